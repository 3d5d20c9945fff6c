import io
import json
from datetime import datetime

import pytest

from trailscan.query.table import Column, Table
from trailscan.render.as_json import write_json, write_jsonl


def jsonl(kind, *cells):
    out = io.BytesIO()
    assert write_jsonl(Table((Column("c", kind),), iter([[(cell,) for cell in cells]])), out) == len(cells)
    return out.getvalue().decode().splitlines()


def test_an_array_has_a_row_a_line():
    out = io.BytesIO()
    chunks = iter([[], [("a", 1), ("b", None)], [], [("c", 3)]])
    assert write_json(Table((Column("x", "text"), Column("y", "integer")), chunks), out) == 3
    assert out.getvalue() == b'[\n{"x":"a","y":1},\n{"x":"b","y":null},\n{"x":"c","y":3}\n]\n'


def test_no_rows_are_an_empty_array_and_no_lines():
    array, lines = io.BytesIO(), io.BytesIO()
    assert write_json(Table((Column("x", "text"),), iter([])), array) == 0
    assert write_jsonl(Table((Column("x", "text"),), iter([[]])), lines) == 0
    assert (json.loads(array.getvalue()), lines.getvalue()) == ([], b"")


def test_timestamps_are_utc_with_microseconds_only_when_there_are_any():
    whole = datetime(2026, 3, 1, 9, 15, 2)  # noqa: DTZ001 - cells are naive UTC
    assert jsonl("timestamp", whole, whole.replace(microsecond=50)) == [
        '{"c":"2026-03-01T09:15:02Z"}',
        '{"c":"2026-03-01T09:15:02.000050Z"}',
    ]


def test_json_cells_are_embedded_as_they_were_stored():
    digits = "9" * 60
    assert jsonl("json", f'{{"a":{digits},"b":1,"b":2}}', "null", None) == [
        f'{{"c":{{"a":{digits},"b":1,"b":2}}}}',
        '{"c":null}',
        '{"c":null}',
    ]


def test_json_laid_out_over_lines_stays_on_one():
    assert jsonl("json", '{\r\n "a": "x\\ny"\n}') == ['{"c":{   "a": "x\\ny" }}']


@pytest.mark.parametrize("cell", ["{", "", '1,"injected":2', "1}\n{", "NaN", '"\\ud800"', "1e999", '"raw\nline"'])
def test_text_that_is_not_json_becomes_a_string(cell):
    (line,) = jsonl("json", cell)
    assert json.loads(line) == {"c": cell}


@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_lone_surrogate_is_shown(kind):
    assert jsonl(kind, "a\ud800") == ['{"c":"a\\\\ud800"}']


def test_integers_keep_all_digits():
    cells = [0, -1, 2**63 - 1, -(2**63), 2**64, 10**38]
    assert [json.loads(line)["c"] for line in jsonl("integer", *cells)] == cells


def test_infinity_is_named_rather_than_lost():
    assert jsonl("number", 1.5, float("inf"), float("nan")) == ['{"c":1.5}', '{"c":"inf"}', '{"c":"nan"}']
