"""A Table as Parquet, a row group a chunk: timestamps are microseconds UTC, JSON is text, zstd packs it all.

Never leaves a readable file behind when the rows broke off: an answer with a part missing must not look whole.
"""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
from pyarrow import parquet

from trailscan.errors import TrailscanError
from trailscan.query.table import Column, Table, Value
from trailscan.render.escape import for_utf8

_TYPES = {
    "text": pa.string(),
    "json": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def write_parquet(table: Table, out: BinaryIO) -> int:
    """Write `table` to `out`, which need not be seekable; return how many rows.

    Raises TrailscanError for a cell its column's type cannot hold, such as an integer beyond 64 bits.
    """
    schema = _schema(table)
    sink = _Sink(out)
    writer = parquet.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd")
    written = 0
    try:
        for batch in _batches(table, schema):
            writer.write_batch(batch)
            written += batch.num_rows
    except BaseException:
        sink.broken = True
        raise
    finally:
        writer.close()
    return written


def arrow_of(table: Table) -> pa.Table:
    """A table as Arrow, all of it in memory. Raises TrailscanError as `write_parquet` does."""
    schema = _schema(table)
    return pa.Table.from_batches(list(_batches(table, schema)), schema)


def _schema(table: Table) -> pa.Schema:
    return pa.schema([(column.name, _TYPES[column.kind]) for column in table.columns])


def _batches(table: Table, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    if table.computed is not None:
        names = ", ".join('"' + name.replace('"', '""') + '"' for name in table.names)
        for batch in map(pa.record_batch, table.computed(names)):
            yield pa.record_batch([column.cast(kind) for column, kind in zip(batch.columns, schema.types, strict=True)], schema)
        return
    for chunk in filter(None, table.chunks):
        yield pa.record_batch(list(map(_array, table.columns, zip(*chunk, strict=True))), schema=schema)


def _array(column: Column, cells: Sequence[Value]) -> pa.Array:
    try:
        return pa.array(cells, _TYPES[column.kind])
    except UnicodeEncodeError:
        return pa.array([for_utf8(cell) if isinstance(cell, str) else cell for cell in cells], pa.string())
    except (OverflowError, TypeError, ValueError) as error:
        raise TrailscanError(
            f"a cell of column {column.name} does not fit Parquet's {_TYPES[column.kind]}: {error}",
            hint="choose csv or jsonl, which write any value",
        ) from error


class _Sink:
    """`out` until `broken`: pyarrow writes a file's closing part even after an error, and then nothing may pass."""

    closed = False

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.broken = False

    def write(self, part: bytes) -> int:
        if not self.broken:
            self._out.write(part)
        return len(part)

    def flush(self) -> None:
        """Leave it to the owner of `out`, as closing is."""

    close = flush
