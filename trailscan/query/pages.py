"""Rows in a wanted order without sorting what they hold: row ids are sorted, and the columns fetched in that order, in batches.

So an answer takes the memory of one batch, however many rows it has and however wide they are.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import duckdb

from trailscan.query.table import Row, Table
from trailscan.query.tables import CHUNK_ROWS, columns_of
from trailscan.store.arrow import read_table
from trailscan.store.database import Connection, run

if TYPE_CHECKING:  # brought by the writers that need it
    from arro3.core import RecordBatch

BATCH_ROWS = 40_000
Taken = TypeVar("Taken")


def paged(connection: Connection, row_ids: str, source: str, names: Sequence[str]) -> Table:
    """The columns `names`, as SQL, of the rows of `source`, whose `row_id` are those that `row_ids`, a SELECT, gives in order.

    The connection is busy until the table was read; its temporary table `page` holds the order.
    """
    run(connection, f"CREATE OR REPLACE TEMP TABLE page AS SELECT row_number() OVER () AS place, row_id FROM ({row_ids})")
    number = int(run(connection, "SELECT count(*) FROM page")[0][0])
    listed = ", ".join(names)
    columns = columns_of(connection.execute(f"SELECT {listed} FROM {source} LIMIT 0"))

    def statement(what: str, first: int, last: int) -> str:
        place = f"(SELECT place, row_id FROM page WHERE place BETWEEN {first:d} AND {last:d})"
        return f"SELECT {what} FROM {place} JOIN {source} USING (row_id) ORDER BY place"

    def chunks() -> Iterator[list[Row]]:
        for first in _batches(number, lambda *span: _first_chunk(connection, statement(listed, *span))):
            yield first
            while chunk := connection.fetchmany(CHUNK_ROWS):
                yield chunk

    def computed(what: str) -> "Iterator[RecordBatch]":
        for table in _batches(number, lambda *span: read_table(connection, statement(what, *span))):
            yield from table.to_batches()

    return Table(columns, chunks(), computed)


def _first_chunk(connection: Connection, statement: str) -> list[Row]:
    return connection.execute(statement).fetchmany(CHUNK_ROWS)


def _batches(number: int, take: Callable[[int, int], Taken]) -> Iterator[Taken]:
    """What `take` gives for the places 1 to `number`, span by span; a span that is too wide for the memory is made shorter."""
    first, rows = 1, BATCH_ROWS
    while first <= number:
        try:
            taken = take(first, first + rows - 1)
        except duckdb.OutOfMemoryException:
            if rows == 1:
                raise
            rows = max(1, rows // 4)
            continue
        yield taken
        first += rows
        rows = min(2 * rows, BATCH_ROWS)
