"""A Table for a person at a terminal: aligned columns, no boxes, a line a row, nothing that could steer the terminal.

Measures at most 1000 rows at a time; wider rows further down widen the columns from there on. Cells are cut, with
`…`, only to fit a terminal whose width is known: what is piped is whole.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TextIO

from trailscan.query.table import Column, Kind, Row, Table, Value
from trailscan.render.escape import for_terminal

_SHEET = 1000  # rows measured together
_GAP = "  "
_NARROWEST = 8  # no column is cut below this: a line that wraps reads better than columns of two letters
_WIDEST_PIPED = 100  # a longer cell overflows: padding all rows to one attacker's longest cell could cost gigabytes


def write_table(table: Table, out: TextIO, width: int | None, colour: bool) -> int:
    """Write header and rows to `out` and return how many rows; `width` is the terminal's in cells, None when piped."""
    written = -1  # the header is not a row
    for lines in _lines(table, width):
        if written < 0 and colour:
            lines[0] = f"\x1b[1m{lines[0]}\x1b[0m"
        out.write("\n".join(lines) + "\n")
        written += len(lines)
    return written


def _lines(table: Table, width: int | None) -> Iterator[list[str]]:
    """The lines of each sheet; the header leads the first."""
    head = [[for_terminal(name)] for name in table.names]
    wanted = [0 for _ in head]
    for sheet in _sheets(table.chunks):
        texts = [first + shown for first, shown in zip(head, _shown(table.columns, sheet), strict=True)]
        wanted = [max(want, *map(_cells, column)) for want, column in zip(wanted, texts, strict=True)]
        if width is None:
            widths = [min(want, _WIDEST_PIPED) for want in wanted]
        else:
            widths = _fit(table.columns, wanted, width)
            texts = [[_cut(text, cells) for text in column] for column, cells in zip(texts, widths, strict=True)]
        yield _aligned(table.columns, texts, widths)
        head = [[] for _ in head]


def _shown(columns: Sequence[Column], sheet: list[Row]) -> list[list[str]]:
    """The cells as text, a list a column."""
    if not sheet:
        return [[] for _ in columns]
    shows = [_SHOWN[column.kind] for column in columns]
    return [list(map(show, cells)) for show, cells in zip(shows, zip(*sheet, strict=True), strict=True)]


def _aligned(columns: Sequence[Column], texts: list[list[str]], widths: list[int]) -> list[str]:
    pads = [_pad_left if column.kind in {"integer", "number"} else _pad_right for column in columns]
    padded = [[pad(text, cells) for text in column] for pad, column, cells in zip(pads, texts, widths, strict=True)]
    return [_GAP.join(line).rstrip(" ") for line in zip(*padded, strict=True)]


def _sheets(chunks: Iterable[list[Row]]) -> Iterator[list[Row]]:
    """The rows, at most 1000 at a time; one empty sheet when there are none, for the header's sake."""
    empty = True
    for chunk in chunks:
        for start in range(0, len(chunk), _SHEET):
            empty = False
            yield chunk[start : start + _SHEET]
    if empty:
        yield []


def _fit(columns: Sequence[Column], wanted: Sequence[int], width: int) -> list[int]:
    """The columns' widths in a terminal of `width`: only text and JSON give way, the widest first."""
    gives = [column.kind in {"text", "json"} for column in columns]
    giving = [want for want, give in zip(wanted, gives, strict=True) if give]
    room = width - len(_GAP) * (len(columns) - 1) - (sum(wanted) - sum(giving))
    limit = _limit(giving, room)
    return [min(want, limit) if give else want for want, give in zip(wanted, gives, strict=True)]


def _limit(wanted: Iterable[int], room: int) -> int:
    """The width to which the wide ones are cut so that all fit into `room`: what narrow ones leave is theirs."""
    left = sorted(wanted, reverse=True)
    limit = max(room, _NARROWEST)
    while left:
        limit = max(room // len(left), _NARROWEST)
        if left[-1] > limit:
            break
        room -= left.pop()
    return limit


def _pad_left(text: str, width: int) -> str:
    return " " * (width - _cells(text)) + text


def _pad_right(text: str, width: int) -> str:
    return text + " " * (width - _cells(text))


def _cut(text: str, width: int) -> str:
    if _cells(text) <= width:
        return text
    room = width - 1
    for index, char in enumerate(text):
        room -= _char_cells(char)
        if room < 0:
            return text[:index] + "…"
    return text


def _cells(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_char_cells, text))


@lru_cache(maxsize=4096)
def _char_cells(char: str) -> int:
    """How many cells a terminal gives a character: two to East Asian wide ones, none to marks over another."""
    if unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def _text(cell: Value) -> str:
    return "" if cell is None else for_terminal(str(cell))


def _plain(cell: Value) -> str:
    return "" if cell is None else str(cell)


def _boolean(cell: Value) -> str:
    return "" if cell is None else "true" if cell else "false"


_SHOWN: dict[Kind, Callable[[Value], str]] = {
    "text": _text,
    "json": _text,
    "integer": _plain,
    "number": _plain,
    "boolean": _boolean,
    "timestamp": _text,  # 2026-03-01 09:15:02, with six decimals only when there are microseconds
}
