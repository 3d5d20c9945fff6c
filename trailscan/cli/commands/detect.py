"""`trailscan detect`: its arguments and help."""

from enum import StrEnum
from typing import Annotated

import typer

from trailscan.cli.commands import options, questions
from trailscan.render.formats import PEOPLE

EXAMPLES = """\b
Examples:
  trailscan detect
  trailscan detect --rules rules/ --rules rule.json --since 7d --level high
  trailscan detect --rules builtin --new --fail-on high --quiet      (for scripts: exit code 4)
  trailscan detect --rule 'session*' --format csv -o findings.csv
  trailscan detect --rules rules/ --list"""


class Level(StrEnum):
    """How grave a finding is, as Sigma has it."""

    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


Rules = Annotated[
    questions.Texts,
    typer.Option("--rules", metavar="PATH", help="Rule file or folder; `builtin` are trailscan's own.  [default: builtin]"),
]
LevelOption = Annotated[Level | None, typer.Option("--level", help="Only rules of at least this level.")]
RuleOption = Annotated[questions.Texts, typer.Option("--rule", metavar="ID", help="Only rules of this id or title (* globs).")]
New = Annotated[bool, typer.Option("--new", help="Only what was not reported before.")]
FailOn = Annotated[Level | None, typer.Option("--fail-on", help="Exit code 4 where a finding has at least this level.")]
Notify = Annotated[
    questions.Texts,
    typer.Option(
        "--notify", metavar="URL", help="Tell of what is new: sns:ARN, exec:COMMAND, any Apprise URL, as `watch` does."
    ),
]
Listing = Annotated[bool, typer.Option("--list", help="Show the rules instead, and why some cannot run.")]


def detect(
    rules: Rules = None,
    since: options.Since = None,
    until: options.Until = None,
    level: LevelOption = None,
    rule: RuleOption = None,
    new: New = False,
    fail_on: FailOn = None,
    notify: Notify = None,
    listing: Listing = False,
    output_format: options.Formats = PEOPLE,
    columns: questions.Columns = None,
    sort: questions.Sort = "event_time",
    limit: questions.Limit = None,
    count: questions.Count = False,
    by: questions.By = None,
    output: options.Output = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Run rules over the archive: Sigma rules (.yml) and EventBridge event patterns (.json).

    Every finding cites an event and the object it lies in; --since and --until are about that event. What was shown is kept
    in the archive, and --new passes over it the next time; --count and --by keep nothing. Rules that cannot run are named,
    the others run: exit code 3. Only --notify uses the network.
    """
    from trailscan.cli import asking
    from trailscan.cli.detecting import DetectOptions, detect_in, list_rules

    asked = DetectOptions(
        paths=tuple(rules or ()),
        level=level.value if level else None,
        rules=tuple(rule or ()),
        since=asking.moment(since),
        until=asking.moment(until),
        only_new=new,
        fail_on=fail_on.value if fail_on else None,
        notify=tuple(notify or ()),
    )
    shape = asking.OutputOptions(output_format, asking.names_in(columns), sort, limit, count, by, False, output)
    if listing:
        raise typer.Exit(list_rules(asked, shape, quiet))
    raise typer.Exit(detect_in(options.archive_root(archive), asked, shape, quiet))
