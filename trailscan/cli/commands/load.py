"""`trailscan load`: its arguments and help."""

from typing import Annotated

import typer

from trailscan.cli.commands import options

EXAMPLES = """\b
Examples:
  trailscan load ./download
  trailscan load case.tar evidence.zip
  trailscan load
  trailscan load --copy /media/usb/cloudtrail
  trailscan load --only StartSession --only ResumeSession ./download"""


def load(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH...]", help="Files, folders, .tar or .zip.", show_default=False)
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Take the files into the archive, too: a disk may be ejected.")] = False,
    only: options.Only = None,
    jobs: options.Jobs = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Load local CloudTrail files of any shape into the database; they stay where they are (see also --copy and `relocate`).

    With no PATH, load what the archive holds already and its database does not: objects that a killed run had fetched, or
    `sync --no-load`.
    """
    from trailscan.cli.loading import Wish, load_backlog, load_paths

    wanted, root = tuple(only or ()), options.archive_root(archive)
    if not paths:
        raise typer.Exit(load_backlog(wanted, jobs, root, quiet))
    raise typer.Exit(load_paths(Wish(tuple(paths), wanted, copy, jobs), root, quiet))
