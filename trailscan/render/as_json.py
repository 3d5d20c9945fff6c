"""A Table as JSON: one array with a row a line, or JSON Lines; never holds more than one chunk.

Timestamps are `2026-03-01T09:15:02Z`, with six decimals only when there are microseconds. JSON cells are embedded as
they were stored: numbers keep their digits, objects their repeated keys.
"""

import math
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import orjson

from trailscan.query.table import Column, Table, Value
from trailscan.render.escape import for_utf8

_TIMES = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_INT64 = range(-(2**63), 2**63)


def write_json(table: Table, out: BinaryIO) -> int:
    """Write `table` to `out` as one array of objects, each on a line of its own; return how many."""
    written = 0
    out.write(b"[")
    for lines in _lines(table):
        out.write(b",\n" if written else b"\n")
        out.write(b",\n".join(lines))
        written += len(lines)
    out.write(b"\n]\n")
    return written


def write_jsonl(table: Table, out: BinaryIO) -> int:
    """Write `table` to `out` as one object a line; return how many."""
    written = 0
    for lines in _lines(table):
        out.write(b"\n".join(lines))
        out.write(b"\n")
        written += len(lines)
    return written


def _lines(table: Table) -> Iterator[list[bytes]]:
    names = table.names
    for chunk in table.chunks:
        if chunk:
            columns = map(_encodable, table.columns, zip(*chunk, strict=True))
            yield [_object(names, row) for row in zip(*columns, strict=True)]


def _encodable(column: Column, cells: Iterable[Value]) -> Iterable[object]:
    if column.kind == "json":
        return [_embedded(cell) for cell in cells]
    if column.kind == "number":
        return [_finite(cell) for cell in cells]
    return cells


def _embedded(cell: Value) -> object:
    """The JSON text itself, on one line; text that is not JSON becomes a string."""
    if not isinstance(cell, str):
        return cell
    try:
        orjson.loads(cell)
    except orjson.JSONDecodeError:
        return cell
    return orjson.Fragment(cell.replace("\n", " ").replace("\r", " "))  # in valid JSON these stand between tokens only


def _finite(cell: Value) -> object:
    """JSON has no infinity: the number's name stands for it, as in the CSV, rather than a null."""
    return str(cell) if isinstance(cell, float) and not math.isfinite(cell) else cell


def _object(names: list[str], row: Iterable[object]) -> bytes:
    record = dict(zip(names, row, strict=True))
    try:
        return orjson.dumps(record, option=_TIMES)
    except TypeError:  # a lone surrogate, or an integer beyond 64 bits
        return orjson.dumps({name: _tamed(cell) for name, cell in record.items()}, option=_TIMES)


def _tamed(cell: object) -> object:
    if isinstance(cell, str):
        return for_utf8(cell)
    if isinstance(cell, int) and cell not in _INT64:
        return orjson.Fragment(str(cell))
    return cell
