import threading
from array import array

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trailscan.store.arrow import insert, insert_arrow, read_table, reader
from trailscan.store.raw_arrow import raw_batch, stream

KINDS = {"number": "integer", "place": "short", "text": "text", "moment": "time"}
TABLE = "CREATE OR REPLACE TABLE t (number BIGINT, place INTEGER, text VARCHAR, moment TIMESTAMP, more VARCHAR)"
cells = st.tuples(
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.text(max_size=20).filter(lambda text: "\0" not in text),
    st.none() | st.datetimes(),
)
BATCH = {"number": "integer", "place": "short", "text": "text"}


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        yield connection


@given(rows=st.lists(cells, max_size=9))
@settings(max_examples=60)
def test_rows_come_back_as_they_went_in(connection, rows):
    connection.execute(TABLE)
    insert(connection, "t", KINDS, rows)
    assert connection.execute("SELECT * EXCLUDE (more) FROM t").fetchall() == rows
    found = read_table(connection, "SELECT text, moment FROM t")
    assert [column.to_pylist() for column in found.columns] == [[row[2] for row in rows], [row[3] for row in rows]]


def test_what_does_not_fit_is_refused_and_nothing_of_it_is_written(connection):
    connection.execute(TABLE)
    for bad, error in (((2**63, 0, "", None), OverflowError), ((0, 0, "\ud800", None), UnicodeEncodeError)):
        with pytest.raises(error):
            insert(connection, "t", KINDS, [(1, 1, "x", None), bad])
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(0,)]


def raw(number, texts):
    data = b"".join(texts)
    offsets = array("i", [sum(map(len, texts[:end])) for end in range(len(texts) + 1)])
    ids, places = array("q", [number] * len(texts)), array("i", range(len(texts)))
    return raw_batch(BATCH, len(texts), [(ids.tobytes(),), (places.tobytes(),), (offsets.tobytes(), data)])


def test_a_stream_is_pulled_batch_by_batch(connection):
    """No batch is asked for before there is room for it: the archive may be larger than memory."""
    alive, most, lock = 0, 0, threading.Lock()

    class Buffer(bytearray):
        def __del__(self):
            nonlocal alive
            with lock:
                alive -= 1

    def batches():
        nonlocal alive, most
        for number in range(200):
            text = Buffer(b"x" * 100_000)
            with lock:
                alive += 1
                most = max(most, alive)
            one, places = array("q", [number]).tobytes(), array("i", [0]).tobytes()
            yield raw_batch(BATCH, 1, [(one,), (places,), (array("i", [0, len(text)]).tobytes(), text)])

    connection.register("batch", stream(BATCH, batches()))
    found = connection.execute("SELECT count(*), count(DISTINCT number), min(length(text)) FROM batch").fetchall()
    connection.unregister("batch")
    assert found == [(200, 200, 100_000)]
    assert most < 100


def test_texts_of_a_raw_batch_are_cut_where_the_offsets_say(connection):
    connection.register("batch", stream(BATCH, [raw(7, [b"one", b"", "zw\u00f6lf".encode()]), raw(8, [b"x"])]))
    assert sorted(connection.execute("FROM batch").fetchall()) == [(7, 0, "one"), (7, 1, ""), (7, 2, "zw\u00f6lf"), (8, 0, "x")]
    connection.unregister("batch")


def test_an_error_in_the_middle_of_an_answer_is_duckdb_s_own(connection):
    late = "SELECT CASE WHEN i = 2_900_000 THEN {} ELSE i END FROM range(3_000_000) r(i)"
    with pytest.raises(duckdb.InvalidInputException, match="that is wrong"):
        read_table(connection, late.format("error('that is wrong')"))
    with pytest.raises(duckdb.ConversionException):
        read_table(connection, late.format("CAST('x' || i AS BIGINT)"))
    with pytest.raises(duckdb.CatalogException):
        read_table(connection, "FROM nowhere")


def test_rows_go_from_one_database_into_another(connection):
    connection.execute(TABLE)
    with duckdb.connect() as other:
        rows = reader(other, "SELECT i AS number, 'n' || i AS text FROM range(300_000) r(i)")
        insert_arrow(connection, "t", rows)
    assert connection.execute("SELECT count(*), max(number), count(DISTINCT text) FROM t").fetchall() == [
        (300_000, 299_999, 300_000)
    ]
