"""`trailscan status`: what an archive holds, and what is damaged."""

from typing import Annotated

import typer

from trailscan.cli import options

EXAMPLES = """\b
Examples:
  trailscan status
  trailscan status --damage --format csv"""


def status(
    damage: Annotated[bool, typer.Option("--damage", help="Only the list of damage.")] = False,
    output_format: options.Tabular = options.TabularFormat.TABLE,
    output: options.Output = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Show what is held, by bucket, account, region and kind, and what is damaged or missing."""
    from trailscan.cli.reporting import report_status

    raise typer.Exit(report_status(options.archive_root(archive), damage, output_format.value, output, quiet))
