"""`trailscan unpack`: its arguments and help."""

from typing import Annotated

import typer

from trailscan.cli.commands import options

EXAMPLES = """\b
Examples:
  trailscan unpack case-17.tar --archive case-17
  trailscan unpack case-17.tar --archive case-17 --sha256 $SUM_THAT_PACK_PRINTED
  ssh elsewhere cat case-17.tar | trailscan unpack - --archive case-17"""


def unpack(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="A file of `trailscan pack`; - is stdin.")],
    sha256: Annotated[
        str | None, typer.Option("--sha256", metavar="HEX", help="What the bundle's own SHA-256 must be.")
    ] = None,
    jobs: options.Jobs = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Make an archive of a bundle, in a folder that does not exist yet; nothing is left of one that does not hold.

    Every byte is checked against SHA256SUMS on its way to the disk. A database that was left out is made anew.
    """
    from trailscan.cli.unpacking import unpack_bundle

    raise typer.Exit(unpack_bundle(bundle, sha256, jobs, options.archive_root(archive), quiet))
