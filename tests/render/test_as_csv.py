import csv
import io
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from trailscan.query.table import Column, Table
from trailscan.render.as_csv import write_csv

UTF8_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def written(kinds, *rows):
    out = io.BytesIO()
    columns = tuple(Column(f"c{n}", kind) for n, kind in enumerate(kinds))
    assert write_csv(Table(columns, iter([list(rows)])), out) == len(rows)
    return out.getvalue().decode()


@given(st.lists(st.tuples(UTF8_TEXT, UTF8_TEXT)))
def test_any_text_comes_back_through_the_csv_module(rows):
    lines = csv.reader(io.StringIO(written(["text", "json"], *rows), newline=""))
    assert [tuple(cell.removeprefix("'") for cell in line) for line in lines] == [("c0", "c1"), *rows]


@given(st.lists(st.tuples(st.none() | UTF8_TEXT)))
def test_a_row_of_one_cell_is_never_a_blank_line(rows):
    lines = csv.reader(io.StringIO(written(["text"], *rows), newline=""))
    assert len([line for line in lines if line]) == 1 + len(rows)


def test_lines_end_in_a_newline_and_cells_are_quoted_only_where_they_must_be():
    assert written(["text", "text"], ("a b", 'say "x"'), ("a,b", "a\rb")) == 'c0,c1\na b,"say ""x"""\n"a,b","a\rb"\n'


def test_absent_and_empty_differ():
    assert written(["text", "text"], (None, "")) == 'c0,c1\n,""\n'


def test_each_kind_is_written_as_in_json():
    when = datetime(2026, 3, 1, 9, 15, 2)  # noqa: DTZ001 - cells are naive UTC
    row = (when, when.replace(microsecond=50), True, False, -7, 1.5)
    line = written(["timestamp", "timestamp", "boolean", "boolean", "integer", "number"], row).splitlines()[1]
    assert line == "2026-03-01T09:15:02Z,2026-03-01T09:15:02.000050Z,true,false,-7,1.5"


def test_formulas_are_disarmed_in_text_and_json():
    line = written(["text", "json"], ("=cmd|'/c calc'!A1", "-1")).splitlines()[1]
    assert line == "'=cmd|'/c calc'!A1,'-1"


def test_what_the_file_cannot_hold_is_shown():
    assert written(["text", "text"], ("a\0b", "\ud800")) == "c0,c1\na\\x00b,\\ud800\n"


def test_no_rows_leave_a_header():
    assert written(["text", "json"]) == "c0,c1\n"
