"""Cells of time as a small picture: a character a day, a line a month; or a character an hour, a line a day.

Pure: values in, lines of text out. It never looks at the terminal; who calls says whether colours and blocks can be shown.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Literal

import msgspec

from trailscan.render.escape import for_terminal

Unit = Literal["day", "hour"]


class Cell(msgspec.Struct, frozen=True):
    """A day or an hour, in UTC: its state (see GLYPHS), and what of it must not be overlooked, in counts."""

    starts_at: datetime
    state: str
    missing: int = 0
    damaged: int = 0
    hits: int = 0


class Strip(msgspec.Struct, frozen=True):
    """The cells of one place, in order of time."""

    title: str
    cells: Sequence[Cell]


class Glyph(msgspec.Struct, frozen=True):
    """How a state is drawn: where blocks can be shown, where only ASCII can, and its colour (SGR)."""

    block: str
    plain: str
    colour: str


GLYPHS: dict[str, Glyph] = {
    "held": Glyph("█", "#", "32"),
    "held, digests in part": Glyph("▓", "%", "32"),
    "held, no digest": Glyph("▒", "=", "36"),
    "empty": Glyph("·", ".", "2"),
    "empty, digests in part": Glyph(":", ":", "2"),
    "missing": Glyph("!", "!", "1;31"),
    "damaged": Glyph("x", "x", "1;33"),
    "unknown": Glyph("?", "?", "35"),
}
_HITS_COLOUR = "1"
_MOST_HITS = 9  # beyond it a + stands
_GAP = "  "
_CUT = "…"
_LEGEND_WIDTH = 80
_LONG = 3  # so many lines without anything known become one

_Drawn = tuple[str, str]  # a character and its colour
_SPACE: _Drawn = (" ", "")
_WIDTHS: dict[Unit, int] = {"day": 31, "hour": 24}
_LABELS: dict[Unit, int] = {"day": len("  2026-03  "), "hour": len("  2026-03-01  ")}
_RULERS: dict[Unit, str] = {"day": "1   5    10   15   20   25   30", "hour": "0     6     12    18"}


class Style(msgspec.Struct, frozen=True):
    """How to draw: in cells of what; within `width` cells (None: no bound); colours or none; blocks or ASCII only."""

    unit: Unit = "day"
    width: int | None = None
    colour: bool = False
    blocks: bool = True


def draw(strips: Iterable[Strip], style: Style) -> Iterator[str]:
    """The lines: a ruler, each strip under its title, and what the characters mean. Nothing for no strips."""
    seen: set[str] = set()
    hits = False
    for number, strip in enumerate(strips):
        if number == 0:
            yield _label("", style.unit) + _RULERS[style.unit]
        yield for_terminal(strip.title)
        yield from _lines(strip.cells, style)
        seen.update(cell.state for cell in strip.cells)
        hits = hits or any(cell.hits for cell in strip.cells)
    if seen:
        yield ""
        yield from _legend(seen, hits, style)


def has_blocks(encoding: str) -> bool:
    """Whether an encoding has the characters that are not ASCII's."""
    try:
        "".join([_CUT, *(glyph.block for glyph in GLYPHS.values())]).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _lines(cells: Sequence[Cell], style: Style) -> Iterator[str]:
    """A line a month (or day), with one under it where there are hits; long silences are one line."""
    rows = [(row, list(group)) for row, group in groupby(cells, lambda cell: _row_of(cell, style.unit))]
    for quiet, group in groupby(rows, lambda row: all(cell.state == "unknown" and not cell.hits for cell in row[1])):
        run = list(group)
        if quiet and len(run) >= _LONG:
            yield f"{_label(run[0][0], style.unit)}to {run[-1][0]}: {_glyph('unknown', style)} unknown"
            continue
        for row, found in run:
            yield _line(row, found, style)
            if any(cell.hits for cell in found):
                yield (_label("hits", style.unit) + _paint(_placed(found, style.unit, _hits), style)).rstrip()


def _line(row: str, cells: Sequence[Cell], style: Style) -> str:
    strip = _placed(cells, style.unit, lambda cell: (_glyph(cell.state, style), GLYPHS[cell.state].colour))
    notes = [
        (sum(cell.missing for cell in cells), "missing"),
        (sum(cell.damaged for cell in cells), "damaged"),
        (sum(cell.state == "unknown" for cell in cells), "unknown"),
    ]
    told = ", ".join(f"{number:,} {name}" for number, name in notes if number)
    label = _label(row, style.unit)
    room = None if style.width is None else max(0, style.width - len(label) - len(strip) - len(_GAP))
    if room is not None and len(told) > room:
        told = told[: max(0, room - 1)] + (_CUT if style.blocks else "~")
    return (label + _paint(strip, style) + _GAP + told).rstrip()


def _row_of(cell: Cell, unit: Unit) -> str:
    return cell.starts_at.date().isoformat()[: 7 if unit == "day" else 10]


def _column_of(cell: Cell, unit: Unit) -> int:
    return cell.starts_at.day - 1 if unit == "day" else cell.starts_at.hour


def _label(text: str, unit: Unit) -> str:
    return f"  {text}".ljust(_LABELS[unit])


def _glyph(state: str, style: Style) -> str:
    return GLYPHS[state].block if style.blocks else GLYPHS[state].plain


def _hits(cell: Cell) -> _Drawn:
    return _SPACE if not cell.hits else (str(cell.hits) if cell.hits <= _MOST_HITS else "+", _HITS_COLOUR)


def _placed(cells: Iterable[Cell], unit: Unit, drawn: Callable[[Cell], _Drawn]) -> list[_Drawn]:
    """A character for each day of a month or hour of a day, blank where there is no cell."""
    strip = [_SPACE] * _WIDTHS[unit]
    for cell in cells:
        strip[_column_of(cell, unit)] = drawn(cell)
    return strip


def _paint(strip: Iterable[_Drawn], style: Style) -> str:
    """The characters as text; neighbours of one colour share its escape sequence."""
    runs = ((colour, "".join(char for char, _ in run)) for colour, run in groupby(strip, lambda drawn: drawn[1]))
    return "".join(f"\x1b[{colour}m{text}\x1b[0m" if colour and style.colour else text for colour, text in runs)


def _legend(seen: Iterable[str], hits: bool, style: Style) -> Iterator[str]:
    """What the characters mean that were drawn, in as many lines as the width asks for."""
    entries = [(_glyph(state, style), glyph.colour, state) for state, glyph in GLYPHS.items() if state in seen]
    if hits:
        entries.append(("1-9 +", _HITS_COLOUR, "hits"))
    line, used = "", 0
    for glyph, colour, name in entries:
        cells = len(glyph) + 1 + len(name)
        if line and used + len(_GAP) + cells > (style.width or _LEGEND_WIDTH):
            yield line
            line, used = "", 0
        gap = _GAP if line else ""
        line += f"{gap}{_paint([(glyph, colour)], style)} {name}"
        used += len(gap) + cells
    yield line
