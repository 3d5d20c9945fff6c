"""The verdicts of a verification, as tables: row by row for who reads them, and counted for the summary."""

import msgspec

from trailscan.query.table import Table
from trailscan.query.tables import table_of
from trailscan.store.database import Connection, run
from trailscan.store.verdict import OUT_OF_ORDER

_COLUMNS = "kind, object, status, message, object_id, account_id, region, trail, starts_at, ends_at"
_ORDER = """list_position(['digest', 'log', 'archive', 'key', 'custody'], kind), account_id, region, trail, ends_at, object,
            status, message, object_id"""
_NAMED = f"""(status NOT IN ('VALID', 'UNCOVERED', 'NOT_SYNCED', 'NOT_VERIFIABLE')
           OR (status = 'NOT_VERIFIABLE' AND kind = 'key') OR contains(message, '{OUT_OF_ORDER}'))"""


class Tally(msgspec.Struct, frozen=True):
    """How many verdicts there are of one kind and status; `late` are those on digests made afterwards."""

    kind: str
    status: str
    late: bool
    number: int


def verdicts_table(connection: Connection) -> Table:
    """Every verdict."""
    return table_of(connection.execute(f"SELECT {_COLUMNS} FROM verdicts ORDER BY {_ORDER}"))


def notable_table(connection: Connection) -> Table:
    """Kind, object, status and message of the verdicts that a report names one by one."""
    return table_of(connection.execute(f"SELECT kind, object, status, message FROM verdicts WHERE {_NAMED} ORDER BY {_ORDER}"))


def told_table(connection: Connection) -> Table:
    """The same of all verdicts."""
    return table_of(connection.execute(f"SELECT kind, object, status, message FROM verdicts ORDER BY {_ORDER}"))


def tallies(connection: Connection) -> list[Tally]:
    """The verdicts counted."""
    late = "kind = 'digest' AND contains(parse_filename(object), '_backfill.')"
    rows = run(connection, f"SELECT kind, status, {late} AS late, count(*) FROM verdicts GROUP BY ALL ORDER BY ALL")
    return [Tally(*row) for row in rows]


def some(connection: Connection, kind: str, status: str, limit: int) -> list[tuple[str, str]]:
    """The first few objects of a kind and status, with their messages."""
    found = f"SELECT object, message FROM verdicts WHERE kind = ? AND status = ? ORDER BY {_ORDER} LIMIT {limit:d}"
    return [(url, message) for url, message in run(connection, found, [kind, status])]


def noted(connection: Connection, note: str, limit: int) -> tuple[int, list[str]]:
    """How many digests have this note in their message, and the first few of them."""
    where = "FROM verdicts WHERE kind = 'digest' AND contains(message, ?)"
    number = run(connection, f"SELECT count(*) {where}", [note])[0][0]
    return number, [url for (url,) in run(connection, f"SELECT object {where} ORDER BY {_ORDER} LIMIT {limit:d}", [note])]


def keys_of(connection: Connection) -> list[tuple[str, str, str]]:
    """The public keys that are held: what each is called, its status and where it came from."""
    found = "SELECT object, status, message FROM verdicts WHERE kind = 'key' ORDER BY region, object"
    return [(name, status, message) for name, status, message in run(connection, found)]


def span_found(connection: Connection) -> tuple[object, object]:
    """From when to when valid digests speak, naive UTC; None when there is none."""
    found = run(connection, "SELECT min(starts_at), max(ends_at) FROM verdicts WHERE kind = 'digest' AND status = 'VALID'")
    return found[0][0], found[0][1]
