"""`trailscan custody`: its arguments and help."""

import typer

from trailscan.cli.commands import options
from trailscan.render.formats import PEOPLE

EXAMPLES = """\b
Examples:
  trailscan custody
  trailscan custody --format jsonl -o custody-log.jsonl"""


def custody(
    output_format: options.Tabular = PEOPLE,
    output: options.Output = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Show what was done to the archive, when and with what outcome, and whether the log of it is whole.

    Each line of the log holds the SHA-256 of the line before: write down the last one's, the head, and nobody can change
    what came before it unnoticed.
    """
    from trailscan.cli.recounting import recount

    raise typer.Exit(recount(options.archive_root(archive), output_format, output, quiet))
