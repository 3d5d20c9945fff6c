"""`trailscan query`: its arguments and help."""

from typing import Annotated

import typer

from trailscan.cli.commands import options, questions
from trailscan.render.formats import PEOPLE

EXAMPLES = """\b
Examples:
  trailscan query --event StartSession --since 7d
  trailscan query --event '*Session' --event-source ssm.amazonaws.com --source-ip 198.51.100.0/24
  trailscan query --user alice --failed --format csv -o alice.csv
  trailscan query --by user_arn --event StartSession
  trailscan query ./download --event StartSession      (no archive: straight over files)"""


@questions.with_filters("evidence")
def query(
    filters: questions.FilterTexts,
    paths: Annotated[
        questions.Texts, typer.Argument(metavar="[PATH]...", help="Search these files directly; no archive is needed.")
    ] = None,
    output_format: options.Formats = PEOPLE,
    columns: questions.Columns = None,
    sort: questions.Sort = "event_time",
    limit: questions.Limit = None,
    count: questions.Count = False,
    by: questions.By = None,
    all_copies: Annotated[bool, typer.Option("--all-copies", help="Show an event once for each object that holds it.")] = False,
    output: options.Output = None,
    jobs: options.Jobs = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Find events, in the archive or straight in files.

    Filters can be repeated: OR within one, AND between them. Texts may hold * for any characters. Times are ISO 8601 (a
    bare date is midnight UTC) or 7d, 12h, 30m ago; --since is inclusive, --until exclusive.
    """
    from trailscan.cli import asking

    shape = asking.OutputOptions(output_format, asking.names_in(columns), sort, limit, count, by, all_copies, output)
    if paths:
        from trailscan.cli.scanning import ask_files

        raise typer.Exit(ask_files(paths, asking.filters_of(filters), shape, jobs, quiet))
    raise typer.Exit(asking.ask_archive(options.archive_root(archive), asking.filters_of(filters), shape, quiet))
