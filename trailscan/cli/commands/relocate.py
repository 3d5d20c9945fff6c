"""`trailscan relocate`: its arguments and help."""

from typing import Annotated

import typer

from trailscan.cli.commands import options

EXAMPLES = """\b
Examples:
  trailscan relocate /media/usb/cloudtrail /evidence/case-17/cloudtrail
  trailscan relocate ./old.tar ./case/old.tar"""


def relocate(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The file or folder that was loaded, by the path it had.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Where it lies now.")],
    jobs: options.Jobs = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Re-point loaded files that were moved, each only where its bytes have the SHA-256 that was recorded."""
    from trailscan.cli.relocating import relocate_files

    raise typer.Exit(relocate_files(old, new, jobs, options.archive_root(archive), quiet))
