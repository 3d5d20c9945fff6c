"""The options that several commands share, so that they read the same everywhere."""

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from trailscan.render.formats import RECORD, TABULAR

DEFAULT_ARCHIVE = "trailscan-archive"

Archive = Annotated[
    str | None,
    typer.Option(
        "--archive", metavar="DIR", help="The archive's folder.  [default: $TRAILSCAN_ARCHIVE or ./trailscan-archive]"
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but errors.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="NAME", help="Load only events of this name (* globs).  [repeatable]")
]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, metavar="N", help="Reading processes.  [default: one a processor]")]
Output = Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file.")]


if TYPE_CHECKING:
    Tabular = str
    Formats = str
else:  # what can be chosen is known when the program runs
    _FORMAT = typer.Option("--format", "-f", help="How to write the answer.")
    Tabular = Annotated[StrEnum("Tabular", {name.upper(): name for name in TABULAR}), _FORMAT]
    Formats = Annotated[StrEnum("Formats", {name.upper(): name for name in (*TABULAR, RECORD)}), _FORMAT]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="From this time on: ISO 8601, or 7d, 12h, 30m ago.")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before this time.")]


def archive_root(given: str | None) -> str:
    """The archive's folder: the option, else TRAILSCAN_ARCHIVE, else the default."""
    return given or os.environ.get("TRAILSCAN_ARCHIVE") or DEFAULT_ARCHIVE
