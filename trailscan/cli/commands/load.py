"""`trailscan load`: its arguments and help."""

from typing import Annotated

import typer

from trailscan.cli.commands import options

EXAMPLES = """\b
Examples:
  trailscan load ./download
  trailscan load case.tar evidence.zip
  trailscan load --only StartSession --only ResumeSession ./download"""


def load(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, folders, .tar or .zip.")],
    only: options.Only = None,
    jobs: options.Jobs = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Load local CloudTrail files of any shape into the database; they stay where they are."""
    from trailscan.cli.loading import load_paths

    raise typer.Exit(load_paths(paths, tuple(only or ()), jobs, options.archive_root(archive), quiet))
