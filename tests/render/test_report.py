"""A report as text: aligned, whole, and nothing in it steers a terminal. As JSON: one object whose values are exact."""

import io
import json
import unicodedata
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailscan.query.report import Grid, Report, Section
from trailscan.query.table import Column, Table
from trailscan.render.as_json import write_json as write_table_json
from trailscan.render.report import write_json, write_text

COLUMNS = (Column("event_time", "timestamp"), Column("who", "text"), Column("n", "integer"), Column("ok", "boolean"))
ROWS = ((datetime.fromisoformat("2026-03-01T09:15:02"), "ana", 7, True), (None, "ben", None, False))
REPORT = Report(
    "event",
    "abcd-1",
    (
        Section("facts", "What it is", Grid(COLUMNS, ROWS), stacked=True),
        Section("record", "Its record", document='{"b":1.50,"a":[1,{"x":"y"}],"b":2,"e":"\\u0053"}', notes=("as found",)),
        Section("calls", "Calls", Grid(COLUMNS, ROWS), notes=("one", "two")),
        Section("none", "Nothing", notes=("nothing was found",)),
    ),
)
TEXT = """\
What it is
  event_time  2026-03-01 09:15:02
  who         ana
  n           7
  ok          true

  who         ben
  ok          false

Its record
  {
    "b": 1.50,
    "a": [
      1,
      {
        "x": "y"
      }
    ],
    "b": 2,
    "e": "\\u0053"
  }
  as found

Calls
  event_time           who  n  ok
  2026-03-01 09:15:02  ana  7  true
                       ben     false
  one
  two

Nothing
  nothing was found
"""
JSON = """\
{"kind":"event","id":"abcd-1","sections":{
"facts":{"title":"What it is","rows":[{"event_time":"2026-03-01T09:15:02Z","who":"ana","n":7,"ok":true},
{"event_time":null,"who":"ben","n":null,"ok":false}],"notes":[]},
"record":{"title":"Its record","document":{"b":1.50,"a":[1,{"x":"y"}],"b":2,"e":"\\u0053"},"notes":["as found"]},
"calls":{"title":"Calls","rows":[{"event_time":"2026-03-01T09:15:02Z","who":"ana","n":7,"ok":true},
{"event_time":null,"who":"ben","n":null,"ok":false}],"notes":["one","two"]},
"none":{"title":"Nothing","notes":["nothing was found"]}
}}
"""


def text(report, width=None, colour=False):
    out = io.StringIO()
    write_text(report, out, width, colour)
    return out.getvalue()


def as_json(report):
    out = io.BytesIO()
    write_json(report, out)
    return out.getvalue()


def only(**parts):
    return Report("event", "x", (Section("part", **{"title": "Part"} | parts),))


def test_text_is_just_this():
    assert text(REPORT) == TEXT


def test_json_is_just_this():
    assert as_json(REPORT).decode() == JSON


def test_only_titles_are_coloured_and_only_when_asked():
    coloured = text(REPORT, 100, colour=True)
    assert [line for line in coloured.splitlines() if "\x1b" in line] == [
        f"\x1b[1m{section.title}\x1b[0m" for section in REPORT.sections
    ]
    assert "\x1b" not in text(REPORT, 100)


def test_tables_fit_the_terminal_and_what_is_stacked_stays_whole():
    grid = Grid((Column("a", "text"), Column("b", "text")), (("x" * 90, "y" * 90),))
    tabular, stacked = text(only(grid=grid), 60), text(only(grid=grid, stacked=True), 60)
    assert max(map(len, tabular.splitlines())) == 60
    assert "x" * 90 in stacked


hostile = st.text(st.sampled_from("a\x1b[2J\u202e\x9b\r\n\t\x7f\ud800\ue000{}\"'\\é"), max_size=12)


@given(hostile)
def test_no_text_steers_a_terminal_wherever_it_stands(evil):
    grid = Grid((Column("who", "text"),), ((evil,),))
    document = json.dumps({evil: [evil]}, ensure_ascii=False)
    parts = {"title": evil, "grid": grid, "document": document, "notes": (evil,)}
    shown = text(only(**parts)) + text(only(**parts | {"stacked": True, "document": evil}), 20)
    assert {unicodedata.category(char) for char in shown.replace("\n", "")}.isdisjoint({"Cc", "Cf", "Cs", "Co"})


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.integers(-(2**63), 2**63 - 1))
def test_json_has_the_values_that_the_json_of_a_table_has(words, number):
    grid = Grid((Column("t", "text"), Column("n", "integer"), Column("j", "json")), ((words, number, json.dumps([words])),))
    told = json.loads(as_json(only(title=words, grid=grid, document=json.dumps({words: 1}), notes=(words,))))["sections"][
        "part"
    ]
    out = io.BytesIO()
    write_table_json(Table(grid.columns, iter([list(grid.rows)])), out)
    assert told["rows"] == json.loads(out.getvalue())
    assert (told["title"], told["document"], told["notes"]) == (words, {words: 1}, [words])


@pytest.mark.parametrize("document", ["", "{", "not JSON", "\ud800", '{"a": NaN}'])
def test_a_document_that_is_not_json_is_text(document):
    assert json.loads(as_json(only(document=document)))["sections"]["part"]["document"] == document.replace("\ud800", "\\ud800")
    assert text(only(document=document)).startswith("Part\n")


def test_a_grid_without_rows_has_its_header():
    grid = Grid((Column("who", "text"),), ())
    assert text(only(grid=grid)) == "Part\n  who\n"
    assert json.loads(as_json(only(grid=grid)))["sections"]["part"]["rows"] == []
