"""Batches of Arrow out of raw buffers, which are wrapped and never copied, and a stream of them that DuckDB pulls.

nanoarrow wraps the buffers, arro3 streams lazily; neither does both.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import nanoarrow
from arro3.core import RecordBatchReader, Schema
from nanoarrow.c_array import CArray
from nanoarrow.c_schema import CSchema

from trailscan.store.arrow import Kinds

Buffer = Any  # what has Python's buffer protocol (PEP 688 names it from Python 3.12 on)

_TYPES = {"integer": nanoarrow.int64(), "short": nanoarrow.int32(), "text": nanoarrow.string()}


def stream(kinds: Kinds, batches: Iterable[CArray]) -> RecordBatchReader:
    """Batches that `raw_batch` made, for DuckDB to pull one after the other, whenever it has worked up the one before."""
    return RecordBatchReader.from_batches(Schema.from_arrow(_schema_of(kinds)), iter(batches))


def raw_batch(kinds: Kinds, rows: int, columns: Sequence[Sequence[Buffer]]) -> CArray:
    """A batch of `rows` rows out of raw buffers, which it keeps alive: of each column its values, of text offsets and bytes.

    Integers are of the machine's byte order, and offsets 32 bits wide and one more than there are rows.
    """
    arrays = [
        nanoarrow.c_array_from_buffers(_TYPES[kind], rows, [None, *buffers])
        for kind, buffers in zip(kinds.values(), columns, strict=True)
    ]
    return nanoarrow.c_array_from_buffers(_schema_of(kinds), rows, [None], children=arrays)


def _schema_of(kinds: Kinds) -> CSchema:
    return nanoarrow.c_schema(nanoarrow.struct({name: _TYPES[kind] for name, kind in kinds.items()}))
