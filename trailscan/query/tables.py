"""DuckDB's results as Tables, read in chunks, and small ones as Grids, read at once."""

from collections.abc import Iterator, Sequence

from trailscan.query.report import Grid
from trailscan.query.table import Column, Kind, Row, Table
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
    return Table(columns_of(result), _chunks(result))


def columns_of(result: Connection) -> tuple[Column, ...]:
    """The columns of a connection's last statement."""
    return tuple(Column(name, _KINDS.get(str(kind), "text")) for name, kind, *_ in result.description)


def grid_of(connection: Connection, statement: str, parameters: Sequence[object] = ()) -> Grid:
    """The whole result of a statement, for results that are known to be small."""
    table = table_of(connection.execute(statement, list(parameters)))
    return Grid(table.columns, tuple(row for chunk in table.chunks for row in chunk))


def _chunks(result: Connection) -> Iterator[list[Row]]:
    while chunk := result.fetchmany(CHUNK_ROWS):
        yield chunk
