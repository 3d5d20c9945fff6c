"""`trailscan rebuild`: the database made anew from the archive's objects."""

from typing import Annotated

import typer

from trailscan.cli.commands import options

EXAMPLES = """\b
Examples:
  trailscan rebuild
  trailscan rebuild --archive case-17 --only StartSession
  trailscan rebuild --accept-altered    (load also what is not as it was recorded; it stays marked)"""


def rebuild(
    only: options.Only = None,
    accept_altered: Annotated[
        bool, typer.Option("--accept-altered", help="Load also objects whose bytes are not those that were recorded.")
    ] = False,
    jobs: options.Jobs = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Make the database anew from the archive's manifest and objects; the old one is replaced when the new one is whole."""
    from trailscan.cli.rebuilding import rebuild_archive

    raise typer.Exit(rebuild_archive(options.archive_root(archive), tuple(only or ()), jobs, quiet, accept_altered))
