"""`trailscan status`: what an archive holds, what was done to it, and what is damaged."""

from typing import Annotated

import typer

from trailscan.cli.commands import options
from trailscan.render.formats import PEOPLE

EXAMPLES = """\b
Examples:
  trailscan status
  trailscan status --damage --format csv
  trailscan status --about --format json
  trailscan status --dismiss 1f0c9d2e7a4b --reason 'an S3 notification, no log'"""


def status(
    damage: Annotated[bool, typer.Option("--damage", help="Only the list of damage.")] = False,
    about: Annotated[
        bool, typer.Option("--about", help="Only the facts: last sync, verification, digests, keys, size.")
    ] = False,
    dismiss: Annotated[
        str | None,
        typer.Option("--dismiss", metavar="ID", help="Set a damage or a foreign file aside, by its id; see --damage."),
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; goes into the custody log.")] = None,
    output_format: options.Tabular = PEOPLE,
    output: options.Output = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Show what is held, by bucket, account, region and kind, what was last done to it, and what is damaged or missing."""
    from trailscan.cli.reporting import Part, dismiss_flaw, report_status
    from trailscan.errors import UsageError

    if damage and about:
        raise UsageError("--damage and --about each ask for one table only", "run it twice")
    if (dismiss is None) != (not (reason or "").strip()):
        raise UsageError("--dismiss needs --reason, and --reason needs --dismiss", "say what is set aside, and why")
    if dismiss is not None and reason is not None:
        raise typer.Exit(dismiss_flaw(options.archive_root(archive), dismiss, reason, quiet))
    part: Part = "damage" if damage else "about" if about else "all"
    raise typer.Exit(report_status(options.archive_root(archive), part, output_format, output, quiet))
