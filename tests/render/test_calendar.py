"""The picture of what is held: what stands where, in blocks and in ASCII, with colours and without, within the width."""

import re
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailscan.render.calendar import GLYPHS, Cell, Strip, Style, draw, has_blocks

START = datetime.fromisoformat("2026-02-26")
PLAIN = Style(blocks=False)


def days(*states, start=START, **more):
    return [Cell(start + timedelta(days=number), state, **more) for number, state in enumerate(states)]


def drawn(cells, style=PLAIN, title="111122223333 eu-west-1"):
    return list(draw([Strip(title, cells)], style))


def test_a_character_stands_under_its_day_in_its_month():
    assert drawn(days("held", "held", "missing", "empty", "unknown")) == [
        "           1   5    10   15   20   25   30",
        "111122223333 eu-west-1",
        "  2026-02                           ##!",
        "  2026-03  .?                               1 unknown",
        "",
        "# held  . empty  ! missing  ? unknown",
    ]


def test_by_hour_a_line_is_a_day():
    cells = [Cell(datetime.fromisoformat(f"2026-03-01T{hour:02}:00"), "held") for hour in range(6, 24)]
    ruler, _, line, *_ = drawn(cells, Style("hour", blocks=False))
    assert (ruler, line) == ("              0     6     12    18", "  2026-03-01        " + "#" * 18)


def test_what_is_lost_is_summed_beside_the_line():
    cells = [Cell(START, "missing", 1200, 3), Cell(START + timedelta(days=1), "damaged", 0, 4)]
    assert drawn(cells)[2].endswith("!x      1,200 missing, 7 damaged")


def test_hits_stand_under_their_days():
    cells = [Cell(START + timedelta(days=number), "held", hits=hits) for number, hits in enumerate((0, 9, 10))]
    _, _, line, hits, _, legend = drawn(cells)
    assert (line.index("###"), hits.index("9+"), hits[:6]) == (36, 37, "  hits")
    assert legend == "# held  1-9 + hits"


def test_long_silences_are_one_line_unless_something_happened():
    quiet = days("held", *["unknown"] * 400, "held")
    assert drawn(quiet)[3:5] == ["  2026-03  to 2027-03: ? unknown", "  2027-04  ??#                              2 unknown"]
    assert len(drawn([*quiet[:200], Cell(quiet[200].starts_at, "unknown", hits=1), *quiet[201:]])) > len(drawn(quiet))


def test_colours_are_added_around_characters_and_change_nothing_else():
    cells = days(*GLYPHS, hits=1)
    coloured = drawn(cells, Style(colour=True))
    assert any("\x1b[1;31m!\x1b[0m" in line for line in coloured)
    assert [re.sub(r"\x1b\[[\d;]*m", "", line) for line in coloured] == drawn(cells, Style())


def test_titles_are_made_safe():
    assert drawn(days("held"), title="\x1b[2J\u202e")[1] == r"\x1b[2J\u202e"


def test_nothing_is_drawn_of_nothing():
    assert list(draw([], PLAIN)) == []


@pytest.mark.parametrize(
    ("encoding", "has"), [("utf-8", True), ("cp437", False), ("latin-1", False), ("ascii", False), ("?", False)]
)
def test_blocks_are_for_encodings_that_have_them(encoding, has):
    assert has_blocks(encoding) == has


@given(
    st.lists(
        st.tuples(st.sampled_from(list(GLYPHS)), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 20)), max_size=70
    ),
    st.sampled_from(["day", "hour"]),
    st.booleans(),
)
def test_whatever_is_drawn_fits_eighty_columns(found, unit, blocks):
    step = timedelta(**{f"{unit}s": 1})
    cells = [Cell(START + step * number, *cell) for number, cell in enumerate(found)]
    lines = drawn(cells, Style(unit, 80, blocks=blocks))
    assert all(len(line) <= 80 and line == line.rstrip() for line in lines)
    assert blocks or all(line.isascii() for line in lines)
