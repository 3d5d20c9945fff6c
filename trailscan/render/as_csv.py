r"""A Table as CSV: RFC 4180 in UTF-8 with a header, but lines end in `\n`; never holds more than one chunk.

Text and JSON cells pass through `for_spreadsheet`, which says how to reverse it; a NUL, which many readers stop at, is
shown as `\x00`. An absent cell is empty, an empty text is `""`. Timestamps and booleans are written as in JSON.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO

from trailscan.query.table import Kind, Table, Value
from trailscan.render.csv_sql import line_sql
from trailscan.render.escape import for_spreadsheet

if TYPE_CHECKING:
    from arro3.core import RecordBatch

# The csv module is not used: where lines end in \n it may leave a cell that holds \r unquoted.
_MUST_QUOTE = re.compile('[",\r\n]|^$')


def write_csv(table: Table, out: BinaryIO) -> int:
    """Write a header and the rows of `table` to `out`; return how many rows."""
    out.write(_lines([map(_text, table.names)]))
    if table.computed is not None:
        return sum(_write_batch(lines, out) for lines in table.computed(line_sql(table.columns)))
    fields = [_FIELDS[column.kind] for column in table.columns]
    written = 0
    for chunk in filter(None, table.chunks):
        columns = [map(field, cells) for field, cells in zip(fields, zip(*chunk, strict=True), strict=True)]
        out.write(_lines(zip(*columns, strict=True)))
        written += len(chunk)
    return written


def _write_batch(lines: "RecordBatch", out: BinaryIO) -> int:
    """Write lines that a database has made: Arrow holds their bytes one after the other."""
    if lines.num_rows:
        import nanoarrow  # arro3 shows no buffers of text

        column = nanoarrow.c_array(lines.column(0))
        _, offsets, characters = column.view().buffers
        at = memoryview(offsets)[column.offset :]
        out.write(memoryview(characters).cast("B")[at[0] : at[lines.num_rows]])
    return lines.num_rows


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    """The rows joined; a line that would be blank is `""`, for readers skip blank lines."""
    lines = [",".join(row) or '""' for row in rows]
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")  # only lone surrogates are replaced


def _text(cell: Value) -> str:
    if cell is None:
        return ""
    text = for_spreadsheet(str(cell).replace("\0", "\\x00"))
    return '"' + text.replace('"', '""') + '"' if _MUST_QUOTE.search(text) else text


def _number(cell: Value) -> str:
    return "" if cell is None else str(cell)


def _boolean(cell: Value) -> str:
    return "" if cell is None else "true" if cell else "false"


def _timestamp(cell: Value) -> str:
    return cell.isoformat() + "Z" if isinstance(cell, datetime) else _text(cell)


_FIELDS: dict[Kind, Callable[[Value], str]] = {
    "text": _text,
    "json": _text,
    "integer": _number,
    "number": _number,
    "boolean": _boolean,
    "timestamp": _timestamp,
}
