"""`trailscan show`: its arguments and help."""

from enum import StrEnum
from typing import Annotated

import typer

from trailscan.cli.commands import options

EXAMPLES = """\b
Examples:
  trailscan show 5f0c2a9e
  trailscan show alice@example.com-k3v7qmx2t5hw9ad4cz6ey8bnru --around 1h
  trailscan show 5f0c2a9e --format json -o event.json"""


class Format(StrEnum):
    """How a report is written."""

    TEXT = "text"
    JSON = "json"


class Kind(StrEnum):
    """What an id names."""

    EVENT = "event"
    SESSION = "session"


def show(
    what: Annotated[str, typer.Argument(metavar="ID", help="Event or session id, or the first characters of one (4 or more).")],
    kind: Annotated[Kind | None, typer.Option("--kind", help="What the id names, where it could be either.")] = None,
    around: Annotated[
        str, typer.Option("--around", metavar="SPAN", help="How long before and after to look: 90s, 15m, 12h, 7d.")
    ] = "15m",
    output_format: Annotated[Format, typer.Option("--format", "-f", help="How to write it.")] = Format.TEXT,
    output: options.Output = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Show one event or one session whole.

    The original record or all events of the session, the objects that hold them with their SHA-256 and what `verify` said
    of them, where the credential came from, what the same principal did before and after, and what the target's own role
    did meanwhile.
    """
    from trailscan.cli.showing import show_subject
    from trailscan.times import parse_span

    root = options.archive_root(archive)
    raise typer.Exit(show_subject(root, what, kind and kind.value, parse_span(around), output_format.value, output, quiet))
