"""One table of what attackers write, in every format: read back, all agree; and their bytes are those of golden/.

`python tests/views/test_agreement.py` writes golden/ anew; read the difference before it is committed.
"""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyarrow import parquet

from trailscan.query.table import Column, Table
from trailscan.render.as_csv import write_csv
from trailscan.render.as_json import write_json, write_jsonl
from trailscan.render.as_parquet import write_parquet
from trailscan.render.as_table import write_table

GOLDEN = Path(__file__).parent / "golden"
COLUMNS = (
    Column("event_time", "timestamp"),
    Column("user_name", "text"),
    Column("user_agent", "text"),
    Column("records", "integer"),
    Column("duration_s", "number"),
    Column("read_only", "boolean"),
    Column("request_parameters", "json"),
)
WHEN = datetime(2026, 3, 1, 9, 15, 2)  # noqa: DTZ001 - cells are naive UTC
ROWS = [
    (WHEN, "alice", "aws-cli/2.27.1", 1, 1.5, True, '{"target":"i-0123456789abcdef0"}'),
    (WHEN.replace(microsecond=120), "\x1b[2J\x1b]0;owned\x07", "a\r\nb\tc\x85d\u2028e", 2**63 - 1, 1e300, False, "[]"),
    (datetime.min, "=HYPERLINK(1)", "@SUM(A1)", -(2**63), -0.1, None, "-1"),  # noqa: DTZ901
    (datetime.max, "'=1", "\uff1d1+1", 0, 0.0, True, '"=1"'),  # noqa: DTZ901
    (WHEN, "nul\0nul", "\0=1", -1, 1e-7, False, '{"nul":"\\u0000"}'),
    (WHEN, "moc.\u202egpj\u2066", "ze\u200bro\ufeff\u00ad\U000e0041", 7, 2.0, None, '{"\u202e":"\u200b"}'),
    (WHEN, "山田太郎", "🐚 e\u0301 مريم Ünal", 8, 3.25, True, '{"名":"山田\\n\\ud83d\\udc1a"}'),
    (WHEN, 'say "hi", bob', "' OR 1=1 --", 9, 4.0, False, '{"q":"a\\"b\\\\","n":123456789012345678901234567890}'),
    (WHEN, " spaced ", "", 10, 5.0, True, '{"a":[{"b":[[],{},null,true,"{\\"c\\":1}"]}]}'),
    (WHEN, "\\x1b", "\\", 11, 6.0, True, "null"),
    (None,) * 7,
]


def hostile():
    return Table(COLUMNS, iter([ROWS[:4], [], ROWS[4:]]))


def as_bytes(write):
    out = io.BytesIO()
    assert write(hostile(), out) == len(ROWS)
    return out.getvalue()


def as_text(width, colour):
    out = io.StringIO(newline="")
    assert write_table(hostile(), out, width, colour) == len(ROWS)
    return out.getvalue().encode()


def time_of(text):
    return text and datetime.fromisoformat(text)


def from_json(rows):
    return [tuple(time_of(cell) if name == "event_time" else cell for name, cell in row.items()) for row in rows]


def from_csv(written):
    header, *lines = csv.reader(io.StringIO(written.decode(), newline=""))
    read = {
        "text": lambda cell: cell.removeprefix("'"),
        "json": lambda cell: json.loads(cell.removeprefix("'")),
        "integer": int,
        "number": float,
        "boolean": {"true": True, "false": False}.__getitem__,
        "timestamp": time_of,
    }
    assert header == [column.name for column in COLUMNS]
    return [tuple(read[c.kind](cell) if cell else None for c, cell in zip(COLUMNS, row, strict=True)) for row in lines]


def from_parquet(written):
    rows = [tuple(row.values()) for row in parquet.read_table(io.BytesIO(written)).to_pylist()]
    return [(*row[:-1], row[-1] and json.loads(row[-1])) for row in rows]


def expected():
    return [(when and when.replace(tzinfo=UTC), *cells, text and json.loads(text)) for when, *cells, text in ROWS]


def test_json_holds_every_cell():
    assert from_json(json.loads(as_bytes(write_json))) == expected()


def test_jsonl_holds_every_cell():
    assert from_json(map(json.loads, as_bytes(write_jsonl).split(b"\n")[:-1])) == expected()


def test_parquet_holds_every_cell():
    assert from_parquet(as_bytes(write_parquet)) == expected()


def test_csv_holds_every_cell_but_shows_nul_and_cannot_tell_empty_from_absent():
    def shown(cell):
        return cell.replace("\0", "\\x00") or None if isinstance(cell, str) else cell

    assert from_csv(as_bytes(write_csv)) == [tuple(map(shown, row)) for row in expected()]


def test_the_table_holds_a_line_for_every_row():
    assert len(as_text(None, colour=False).decode().splitlines()) == 1 + len(ROWS)


def every_golden():
    return {
        "hostile.json": as_bytes(write_json),
        "hostile.jsonl": as_bytes(write_jsonl),
        "hostile.csv": as_bytes(write_csv),
        "hostile.txt": as_text(None, colour=False),
        "hostile-100-colour.txt": as_text(100, colour=True),
        "parquet-schema.txt": f"{parquet.read_schema(io.BytesIO(as_bytes(write_parquet)))}\n".encode(),
    }


@pytest.mark.parametrize("name", sorted(every_golden()))
def test_bytes_are_those_of_the_golden_file(name):
    assert every_golden()[name] == (GOLDEN / name).read_bytes()


if __name__ == "__main__":
    for name, written in every_golden().items():
        (GOLDEN / name).write_bytes(written)
