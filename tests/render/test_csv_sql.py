"""The SQL that writes CSV lines writes what `as_csv` writes, byte for byte."""

import io
from datetime import datetime

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trailscan.query.table import Column, Table
from trailscan.render.as_csv import write_csv
from trailscan.render.csv_sql import line_sql

TYPES = {"text": "VARCHAR", "json": "JSON", "integer": "BIGINT", "boolean": "BOOLEAN", "timestamp": "TIMESTAMP"}
SPECIAL = "'=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\",\0 a/:;A0é漢\U0001f600"
texts = st.text(st.sampled_from(SPECIAL), max_size=6) | st.text(st.characters(codec="utf-8"), max_size=9)
cells = {
    "text": texts,
    "json": st.sampled_from(["{}", '{"a":"b,c"}', "-1", '"=x"', "[1, 2]", "null", '{"a":\n"\\u0000"}', "+"]) | texts,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "timestamp": st.datetimes(),
}
kinds = st.lists(st.sampled_from([*cells]), min_size=1, max_size=4)
tables = kinds.flatmap(
    lambda chosen: st.tuples(st.just(chosen), st.lists(st.tuples(*[st.none() | cells[kind] for kind in chosen]), max_size=6))
)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as opened:
        yield opened


def by_python(columns, rows):
    out = io.BytesIO()
    write_csv(Table(columns, iter([rows])), out)
    return out.getvalue().partition(b"\n")[2]


def by_sql(connection, columns, rows):
    names = [column.name for column in columns]
    kinds = {"integer": pa.int64(), "boolean": pa.bool_(), "timestamp": pa.timestamp("us")}
    arrays = [pa.array([row[at] for row in rows], kinds.get(column.kind, pa.string())) for at, column in enumerate(columns)]
    connection.register("given", pa.table(arrays, names=names))
    connection.execute(f"SELECT {line_sql(columns)} FROM given")
    return "".join(line for (line,) in connection.fetchall()).encode()


@settings(max_examples=300)
@given(table=tables)
@example(table=(["text"], [("",), (None,), ("=",), ("\0",), ('"',)]))
@example(table=(["timestamp"], [(datetime(1, 1, 1),), (datetime(9999, 12, 31, 23, 59, 59, 999999),)]))  # noqa: DTZ001
def test_the_same_bytes(connection, table):
    kinds, rows = table
    columns = tuple(Column(f'c "{at}"', kind) for at, kind in enumerate(kinds))
    assert by_sql(connection, columns, rows) == by_python(columns, rows)


def test_a_stored_json_column(connection):
    connection.execute("CREATE OR REPLACE TEMP TABLE stored (j JSON)")
    connection.execute("""INSERT INTO stored VALUES ('{"a": "x,y"}'), (NULL), ('-1'), ('"=x"')""")
    columns = (Column("j", "json"),)
    rows = connection.execute("SELECT j FROM stored").fetchall()
    connection.execute(f"SELECT {line_sql(columns)} FROM stored")
    assert "".join(line for (line,) in connection.fetchall()).encode() == by_python(columns, rows)
