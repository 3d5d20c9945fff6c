"""DuckDB's results as Tables, read in chunks."""

from collections.abc import Iterator

from trailscan.search.table import Column, Kind, Row, Table
from trailscan.store.database import Connection

CHUNK_ROWS = 2_000
_KINDS: dict[str, Kind] = {
    "BIGINT": "integer",
    "INTEGER": "integer",
    "BOOLEAN": "boolean",
    "TIMESTAMP": "timestamp",
    "JSON": "json",
}


def table_of(result: Connection) -> Table:
    """The result of a connection's last statement; the connection is busy until the table was read."""
    columns = tuple(Column(name, _KINDS.get(str(kind), "text")) for name, kind, *_ in result.description)
    return Table(columns, _chunks(result))


def _chunks(result: Connection) -> Iterator[list[Row]]:
    while chunk := result.fetchmany(CHUNK_ROWS):
        yield chunk
