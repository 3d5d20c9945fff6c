"""`trailscan sessions`: its arguments and help."""

from typing import Annotated

import typer

from trailscan.cli.commands import options, questions
from trailscan.render.formats import PEOPLE

EXAMPLES = """\b
Examples:
  trailscan sessions --since 7d
  trailscan sessions --target i-0123456789abcdef0 --format csv -o shells.csv
  trailscan sessions --source-ip 203.0.113.0/24 --all-doors
  trailscan sessions --where "flags LIKE '%principal-changed%'"
  trailscan sessions --by who
  trailscan sessions --session 'alice-*' --format record      (the original records)"""


@questions.with_filters("sessions", failed="Only what was denied or failed, or only what was not.")
def sessions(
    filters: questions.FilterTexts,
    all_doors: Annotated[
        bool,
        typer.Option(
            "--all-doors",
            "--all-access",
            help="Also Run Command, ECS Exec, EC2 Instance Connect, CloudShell and all other doors.",
        ),
    ] = False,
    output_format: options.Formats = PEOPLE,
    columns: questions.Columns = None,
    sort: questions.Sort = "started_at",
    limit: questions.Limit = None,
    count: questions.Count = False,
    by: questions.By = None,
    output: options.Output = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Show who opened a shell on which machine, when and from where: a row a session, put together from its calls.

    The filters are those of `trailscan query`: OR within one, AND between them, * for any characters. A session is found
    when any of its calls matches; --since and --until ask when it started.
    """
    from trailscan.cli import asking
    from trailscan.cli.session_asking import ask_sessions

    shape = asking.OutputOptions(output_format, asking.names_in(columns), sort, limit, count, by, False, output)
    raise typer.Exit(ask_sessions(options.archive_root(archive), asking.filters_of(filters), shape, all_doors, quiet))
