"""Raw records through parse.sql into a scratch database, without files and readers."""

import json
from functools import cache

from trailscan.store.arrow import rows_as_arrow
from trailscan.store.database import run, scratch, sql
from trailscan.store.rows import BATCH


def parsed(texts, connection=None):
    """The rows of `evidence`, as dicts, of the texts of records; they are records 0, 1, ... of the object 1."""
    connection = connection or _once()
    run(connection, "DELETE FROM events")
    connection.register("batch", rows_as_arrow(BATCH, [(1, index, text) for index, text in enumerate(texts)]))
    run(connection, "INSERT INTO events " + sql("parse.sql"))
    connection.unregister("batch")
    result = connection.execute("SELECT * FROM evidence ORDER BY record_index")
    names = [name for name, *_ in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@cache
def _once():
    return scratch()


def row_of(record):
    """The row of one record, given as values or as text."""
    return parsed([record if isinstance(record, str) else json.dumps(record)])[0]
