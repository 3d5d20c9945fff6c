"""A Report for a person at a terminal, as text, or for machines, as one JSON object; its tables look as they do elsewhere.

Every text that came from a log is escaped; nothing is cut in stacked rows and documents, for they are there to be cited.
"""

import io
from collections.abc import Iterator
from typing import BinaryIO, TextIO

import msgspec
import orjson

from trailscan.query.report import Grid, Report, Section
from trailscan.query.table import Column, Row, Table
from trailscan.render.as_json import write_jsonl
from trailscan.render.as_table import write_table
from trailscan.render.escape import for_terminal, for_utf8

_INDENT = "  "


def write_text(report: Report, out: TextIO, width: int | None, colour: bool) -> None:
    """Write the sections below each other; `width` is the terminal's in cells, None when piped."""
    for number, section in enumerate(report.sections):
        title = for_terminal(section.title)
        out.write("\n" * (number > 0) + (f"\x1b[1m{title}\x1b[0m" if colour else title) + "\n")
        out.writelines(f"{_INDENT}{line}".rstrip(" ") + "\n" for line in _lines(section, width))


def write_json(report: Report, out: BinaryIO) -> None:
    """Write `{"kind", "id", "sections": {name: {"title", "rows", "document", "notes"}}}`, each section on lines of its own.

    Rows have the names and values that `query --format json` gives them; a document is embedded as it was found.
    """
    out.write(b'{"kind":%b,"id":%b,"sections":{' % (_string(report.kind), _string(report.id)))
    for number, section in enumerate(report.sections):
        out.write(b",\n" if number else b"\n")
        out.write(b"%b:{%b}" % (_string(section.name), b",".join(_members(section))))
    out.write(b"\n}}\n")


def _lines(section: Section, width: int | None) -> Iterator[str]:
    if section.document is not None:
        yield from map(for_terminal, _pretty(section.document).split("\n"))
    if section.grid is not None and section.stacked:
        yield from _stacked(section.grid)
    elif section.grid is not None:
        yield from _tabular(section.grid, width)
    yield from map(for_terminal, section.notes)


def _pretty(document: str) -> str:
    """JSON on many lines, each token as it was spelt; what is not JSON stays as it is."""
    try:
        return msgspec.json.format(document, indent=2)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return document


def _stacked(grid: Grid) -> Iterator[str]:
    """A line for each value that there is, rows apart by an empty line."""
    widest = max((len(column.name) for column in grid.columns), default=0)
    for number, row in enumerate(grid.rows):
        if number:
            yield ""
        for column, cell in zip(grid.columns, row, strict=True):
            if cell is not None:
                shown = str(cell).lower() if column.kind == "boolean" else for_terminal(str(cell))
                yield f"{column.name:<{widest}}{_INDENT}{shown}"


def _tabular(grid: Grid, width: int | None) -> list[str]:
    text = io.StringIO()
    write_table(_table(grid.columns, list(grid.rows)), text, None if width is None else width - len(_INDENT), False)
    return text.getvalue().removesuffix("\n").split("\n")


def _members(section: Section) -> Iterator[bytes]:
    yield b'"title":' + _string(section.title)
    if section.grid is not None:
        yield b'"rows":[' + b",\n".join(_rows(section.grid)) + b"]"
    if section.document is not None:
        (row,) = _rows(Grid((Column("document", "json"),), ((section.document,),)))
        yield row[1:-1]
    yield b'"notes":[' + b",".join(map(_string, section.notes)) + b"]"


def _rows(grid: Grid) -> list[bytes]:
    """Each row as a JSON object."""
    out = io.BytesIO()
    write_jsonl(_table(grid.columns, list(grid.rows)), out)
    return out.getvalue().splitlines()


def _table(columns: tuple[Column, ...], rows: list[Row]) -> Table:
    return Table(columns, iter([rows]))


def _string(text: str) -> bytes:
    return orjson.dumps(for_utf8(text))
