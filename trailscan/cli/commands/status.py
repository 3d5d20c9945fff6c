"""`trailscan status`: what an archive holds, what was done to it, and what is damaged."""

from typing import Annotated

import typer

from trailscan.cli.commands import options

EXAMPLES = """\b
Examples:
  trailscan status
  trailscan status --damage --format csv
  trailscan status --about --format json"""


def status(
    damage: Annotated[bool, typer.Option("--damage", help="Only the list of damage.")] = False,
    about: Annotated[
        bool, typer.Option("--about", help="Only the facts: last sync, verification, digests, keys, size.")
    ] = False,
    output_format: options.Tabular = options.TabularFormat.TABLE,
    output: options.Output = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Show what is held, by bucket, account, region and kind, what was last done to it, and what is damaged or missing."""
    from trailscan.cli.reporting import Part, report_status
    from trailscan.errors import UsageError

    if damage and about:
        raise UsageError("--damage and --about each ask for one table only", "run it twice")
    part: Part = "damage" if damage else "about" if about else "all"
    raise typer.Exit(report_status(options.archive_root(archive), part, output_format.value, output, quiet))
