"""An answer to stdout or into a file: the one place that knows which format goes where."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, TextIO, cast

from trailscan.archive.leftovers import held, part_of, sweep_parts
from trailscan.errors import OutputError, UsageError
from trailscan.query.report import Report
from trailscan.query.table import Table
from trailscan.render.escape import for_terminal
from trailscan.render.formats import FORMATS, PEOPLE

if TYPE_CHECKING:  # brought by the one command that draws
    from trailscan.render.calendar import Strip, Unit


def write_table(table: Table, wanted: str, output: str | None) -> None:
    """Write a table in one of the formats. Raises UsageError where a terminal would get bytes, OutputError."""
    if wanted == PEOPLE:
        _write_for_people(table, output)
        return
    if FORMATS[wanted].binary and output is None and sys.stdout.isatty():
        raise UsageError(f"{wanted} is not for a terminal", "give a file: -o FILE")
    write = FORMATS[wanted].writer()
    with _opened(output) as out:
        write(table, out)


def write_count(number: int, output: str | None) -> None:
    """Write one integer."""
    with _opened(output) as out:
        out.write(f"{number}\n".encode())


def write_records(table: Table, place: Callable[[str], str], missing: Callable[[str], None], output: str | None) -> None:
    """Write the original record of each row, one a line."""
    from trailscan.query.originals import originals

    rows = (row for chunk in table.chunks for row in chunk)
    with _opened(output) as out:
        for record in originals(rows, place, missing):
            out.write(record + b"\n")


def write_report(report: Report, wanted: str, output: str | None) -> None:
    """Write a report as text or as JSON."""
    from trailscan.render import report as views

    if wanted == "text":
        _for_people(lambda out, width, colour: views.write_text(report, out, width, colour), output)
        return
    with _opened(output) as out:
        views.write_json(report, out)


def write_lines(lines: Iterable[str], output: str | None) -> None:
    """Write text for people; what it quotes must be safe for a terminal already."""
    _for_people(lambda out, _width, _colour: out.writelines(f"{line}\n" for line in lines), output)


def write_calendar(strips: "Iterable[Strip]", unit: "Unit", output: str | None) -> None:
    """Draw strips of days or hours, with blocks where the encoding has them."""
    from trailscan.render.calendar import Style, draw, has_blocks

    def write(out: TextIO, width: int | None, colour: bool) -> None:
        out.writelines(f"{line}\n" for line in draw(strips, Style(unit, width, colour, has_blocks(out.encoding))))

    _for_people(write, output)


def _write_for_people(table: Table, output: str | None) -> None:
    from trailscan.render.as_table import write_table as write

    _for_people(lambda out, width, colour: write(table, out, width, colour), output)


def _for_people(write: Callable[[TextIO, int | None, bool], object], output: str | None) -> None:
    """Let `write` write text to stdout, with the terminal's width and perhaps colour, or to a file."""
    if output is None:
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if terminal else None
        write(sys.stdout, width, terminal and "NO_COLOR" not in os.environ)
        return
    with _opened(output) as raw:
        import io

        text = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
        write(text, None, False)
        text.detach()


class _Screen:
    """stdout when it is a terminal: formats for machines are shown there too, and may hold what would steer it."""

    def write(self, data: bytes) -> int:
        lines = bytes(data).decode("utf-8", "backslashreplace").split("\n")
        sys.stdout.buffer.write("\n".join(map(for_terminal, lines)).encode())
        return len(data)


@contextlib.contextmanager
def _opened(output: str | None) -> Iterator[BinaryIO]:
    """stdout; a device or pipe, as it is; or a file that appears under its name only when it is whole."""
    if output is None:
        yield cast("BinaryIO", _Screen()) if sys.stdout.isatty() else sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    output = os.path.realpath(output)  # a link stays, and what it leads to is written
    is_file = not os.path.exists(output) or os.path.isfile(output)
    fresh = part_of(output) if is_file else output
    if is_file:
        sweep_parts(output)
    try:
        with open(fresh, "wb") as file, held(fresh) if is_file else contextlib.nullcontext():
            yield file
        if is_file:
            os.replace(fresh, output)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror}") from error
    finally:
        if is_file:
            with contextlib.suppress(FileNotFoundError):
                os.remove(fresh)
