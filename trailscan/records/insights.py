"""Rows of a CloudWatch Logs Insights CSV: the texts of its `@message` column. It never guesses what a text holds."""

import re
from collections.abc import Iterator

_CELL = re.compile(rb'(?:"((?:[^"]|"")*+)"|([^,"\r\n]*+))(,|\r?\n|\Z)')
_HEADER = re.compile(rb'[^\r\n]{0,2000}?@message"?\s*(?:,|\r?\n|\Z)')


def is_insights_csv(raw: bytes) -> bool:
    """Whether the first line is a CSV header with a column `@message`."""
    return raw[:1] not in (b"{", b"[") and _HEADER.match(raw) is not None


def messages(raw: bytes) -> Iterator[tuple[bytes | None, int]]:
    """The `@message` cell of each row (None where there is none) with the offset of its row."""
    rows = _rows(raw)
    header, _ = next(rows, ([], 0))
    column = header.index(b"@message") if b"@message" in header else len(header)
    for cells, start in rows:
        yield (cells[column] if column < len(cells) else None), start


def _rows(raw: bytes) -> Iterator[tuple[list[bytes], int]]:
    """Rows of cells (RFC 4180); a row whose quotes do not match ends the table with a row of no cells."""
    position = start = 0
    cells: list[bytes] = []
    while position < len(raw):
        cell = _CELL.match(raw, position)
        if cell is None:
            yield [], start
            return
        quoted, plain, separator = cell.groups()
        cells.append(plain if quoted is None else quoted.replace(b'""', b'"'))
        position = cell.end()
        if separator != b",":
            if cells != [b""]:
                yield cells, start
            cells, start = [], position
