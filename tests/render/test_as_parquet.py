import io
import os
import threading
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from pyarrow import parquet

from trailscan.errors import TrailscanError
from trailscan.query.table import Column, Table
from trailscan.render.as_parquet import write_parquet

COLUMNS = (Column("event_time", "timestamp"), Column("request_parameters", "json"), Column("records", "integer"))
WHEN = datetime(2026, 3, 1, 9, 15, 2, 50)  # noqa: DTZ001 - cells are naive UTC


def test_a_row_group_is_written_for_each_chunk_that_has_rows():
    out = io.BytesIO()
    assert write_parquet(Table(COLUMNS, iter([[(WHEN, "{}", 1)], [], [(None, None, None)] * 2])), out) == 3
    file = parquet.ParquetFile(out)
    assert file.metadata.num_row_groups == 2
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert file.read().to_pylist()[0] == {
        "event_time": WHEN.replace(tzinfo=UTC),
        "request_parameters": "{}",
        "records": 1,
    }


def test_no_rows_leave_a_file_with_the_schema():
    out = io.BytesIO()
    assert write_parquet(Table(COLUMNS, iter([])), out) == 0
    assert parquet.read_table(out).schema.types == [pa.timestamp("us", tz="UTC"), pa.string(), pa.int64()]


def test_it_can_be_piped():
    reader, writer = os.pipe()
    with open(reader, "rb") as source, open(writer, "wb") as out:
        received = []
        thread = threading.Thread(target=lambda: received.append(source.read()))
        thread.start()
        write_parquet(Table(COLUMNS, iter([[(WHEN, "{}", 1)]])), out)
        assert not out.closed
        out.close()
        thread.join()
    assert parquet.read_table(io.BytesIO(received[0])).num_rows == 1


def test_a_lone_surrogate_is_shown():
    out = io.BytesIO()
    write_parquet(Table((Column("c", "text"),), iter([[("a\ud800",), (None,)]])), out)
    assert parquet.read_table(out)["c"].to_pylist() == ["a\\ud800", None]


@pytest.mark.parametrize(("kind", "cell"), [("integer", 2**63), ("timestamp", "99999-01-01 00:00:00"), ("number", 2**60 + 1)])
def test_a_cell_that_does_not_fit_is_an_error_that_names_its_column(kind, cell):
    with pytest.raises(TrailscanError, match="column c "):
        write_parquet(Table((Column("c", kind),), iter([[(cell,)]])), io.BytesIO())


def test_an_answer_that_breaks_off_leaves_no_readable_file():
    def chunks():
        yield [(WHEN, "{}", 1)] * 1000
        raise OSError("the disk is gone")

    out = io.BytesIO()
    with pytest.raises(OSError, match="the disk is gone"):
        write_parquet(Table(COLUMNS, chunks()), out)
    with pytest.raises(pa.ArrowInvalid):
        parquet.read_table(out)
