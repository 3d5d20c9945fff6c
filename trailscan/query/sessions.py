"""Who opened which door, asked of the views that store/sessions.sql puts together; never changes what they say.

A filter about callers, addresses, keys, errors or event names lets a session through when any of its calls matches.
"""

from collections.abc import Iterator, Sequence

import msgspec

from trailscan.glob import like
from trailscan.query.events import ORIGINAL_COLUMNS, known_column, quoted, user_sql
from trailscan.query.filter_registry import FILTERS
from trailscan.query.filters import Filters, Where, networks_of, reaching
from trailscan.query.networks import lies_in
from trailscan.query.table import Table
from trailscan.query.tables import table_of
from trailscan.store.database import Connection, run

PEOPLE_COLUMNS = ("started_utc", "lasted", "who_started", "from", "target", "purpose", "outcome", "flags", "session_id")
DOOR_COLUMNS = ("started_utc", "lasted", "door", *PEOPLE_COLUMNS[2:])
FIRST_ADDRESSES = 3  # of one session, in a line for people
_INTERNAL = ("row_ids", "door_kind")

# What people read in place of several columns.
_READABLE = {
    "started_utc": """coalesce(strftime(started_at, '%Y-%m-%d %H:%M:%S'),
                               'before ' || strftime(first_seen_at, '%Y-%m-%d %H:%M:%S'))""",
    "lasted": "CASE WHEN duration_s IS NULL THEN end_status ELSE to_seconds(duration_s)::VARCHAR END",
    # Without its start, the first caller that was seen need not be who opened it.
    "who_started": """CASE WHEN outcome IN ('opened', 'unknown') AND contains(flags, 'no-start-in-archive')
                           THEN coalesce(starter || ' (by session id)', who) ELSE who END""",
    "from": f"""array_to_string((source_ip_addresses::VARCHAR[])[:{FIRST_ADDRESSES}], ', ')
                || CASE WHEN json_array_length(source_ip_addresses) > {FIRST_ADDRESSES}
                     THEN ' and ' || (json_array_length(source_ip_addresses) - {FIRST_ADDRESSES}) || ' more' ELSE '' END""",
}
_SEEN = "coalesce(started_at, first_seen_at)"


class SessionBasis(msgspec.Struct, frozen=True):
    """What an answer about sessions rests on, in counts."""

    sessions: int
    events: int
    objects: int
    denied: int
    failed: int
    conflicts: int  # sessions whose records differ under one event id, or hold a key twice
    addressed: int = 0  # commands addressed by tag, resource group or to all: they may have reached the targets asked for


class Sessions:
    """The sessions, or all doors, that match some filters: counted, listed or grouped. It needs its connection open."""

    def __init__(self, connection: Connection, filters: Filters, all_doors: bool = False) -> None:
        self._connection = connection
        kept = "" if all_doors else "WHERE door_kind = 'session'"
        run(connection, f"CREATE OR REPLACE TEMP TABLE door AS SELECT * FROM all_doors {kept}")
        where = _resolved(connection, filters)
        with user_sql(filters):
            run(connection, f"CREATE OR REPLACE TEMP TABLE found AS SELECT * FROM door WHERE {where.sql}", where.parameters)
        self.basis = _basis(connection, _addressed(connection, filters))

    def table(self, columns: Sequence[str], sort: str = "started_at", limit: int | None = None) -> Table:
        """The sessions as rows; `sort` takes a leading `-`. A start that is not held counts as when it was first seen."""
        known = [*column_names(self._connection), *_READABLE]
        shown = ", ".join(f"{_expression(known_column(name, known))} AS {quoted(name)}" for name in columns)
        return table_of(self._connection.execute(f"SELECT {shown} FROM found {self._order(sort)}{_at_most(limit)}"))

    def originals(self, sort: str = "started_at", limit: int | None = None) -> Table:
        """Where the original records lie that the sessions rest on, session by session (see `search.originals`)."""
        wanted = ", ".join(ORIGINAL_COLUMNS)
        return table_of(
            self._connection.execute(
                f"""WITH sorted AS (SELECT row_ids, row_number() OVER ({self._order(sort)}) AS number FROM found
                                    ORDER BY number{_at_most(limit)}),
                         cited AS (SELECT number, unnest(row_ids) AS row_id, generate_subscripts(row_ids, 1) AS place
                                   FROM sorted)
                    SELECT {wanted} FROM cited JOIN evidence USING (row_id) ORDER BY number, place"""
            )
        )

    def number_of_groups(self, field: str) -> int:
        """How many values a column has."""
        name = known_column(field, column_names(self._connection))
        return int(run(self._connection, f"SELECT count(*) FROM (SELECT DISTINCT {quoted(name)} FROM found)")[0][0])

    def groups(self, field: str, limit: int | None = None) -> Table:
        """How many sessions have each value of a column, the most frequent first, and when the first and last started."""
        name = quoted(known_column(field, column_names(self._connection)))
        spans = f"count(*) AS sessions, min({_SEEN}) AS first_started, max({_SEEN}) AS last_started"
        statement = f"SELECT {name}, {spans} FROM found GROUP BY {name} ORDER BY sessions DESC, {name}{_at_most(limit)}"
        return table_of(self._connection.execute(statement))

    def alone(self, filters: Filters) -> list[tuple[str, int]]:
        """How many sessions each filter lets through when it stands alone, by the filter's name."""
        counts = []
        for name in filters._fields:
            value = getattr(filters, name)
            if value not in ((), None) and name != "where":  # theirs may fail on what the other filters kept from it
                where = _resolved(self._connection, Filters(**{name: value}))
                found = run(self._connection, f"SELECT count(*) FROM door WHERE {where.sql}", where.parameters)
                counts.append((name, int(found[0][0])))
        return counts

    def _order(self, sort: str) -> str:
        name = known_column(sort.removeprefix("-"), [*column_names(self._connection), *_READABLE])
        column = _SEEN if name == "started_at" else _expression(name)
        way = "DESC" if sort.startswith("-") else "ASC"
        return f"ORDER BY {column} {way} NULLS LAST, {_SEEN}, first_seen_at, session_id, event_ids::VARCHAR, row_ids"


def column_names(connection: Connection) -> list[str]:
    """The columns that can be asked for: those of the views, but for what means something only to this database."""
    return [name for name, *_ in run(connection, "DESCRIBE door") if name not in _INTERNAL]


def conditions_of(filters: Filters, addresses: Sequence[str] | None = None) -> Where:
    """The filters as a condition over a row; `addresses` are the source addresses that lie in the networks asked for."""
    parts = list(_conditions(filters, addresses))
    return Where(" AND ".join(f"({part.sql})" for part in parts) or "true", tuple(p for part in parts for p in part.parameters))


def _conditions(filters: Filters, addresses: Sequence[str] | None) -> Iterator[Where]:
    for name, entry in FILTERS.items():
        if entry.sessions and (values := getattr(filters, name)):
            yield _any_of(entry.sessions, values)
    if addresses is not None:
        yield Where("list_has_any(source_ip_addresses::VARCHAR[], ?::VARCHAR[])", (list(addresses),))
    if filters.failed is not None:
        yield Where(f"outcome {'IN' if filters.failed else 'NOT IN'} ('denied', 'failed')")
    if filters.since is not None:
        yield Where(f"{_SEEN} >= ?", (filters.since,))
    if filters.until is not None:
        yield Where(f"{_SEEN} < ?", (filters.until,))
    if filters.where is not None:
        yield Where(f"\n{filters.where}\n")


def _any_of(texts: str, values: Sequence[str]) -> Where:
    """Whether any text of a list is one of the values, in which `*` stands for any characters."""
    tests = ["text LIKE ? ESCAPE '\\'" if "*" in value else "text = ?" for value in values]
    parameters = tuple(like(value) if "*" in value else value for value in values)
    return Where(f"len(list_filter({texts}, lambda text: {' OR '.join(tests)})) > 0", parameters)


def _resolved(connection: Connection, filters: Filters) -> Where:
    """The condition; networks are resolved to the addresses among the sessions that lie in them, by Python's own rules."""
    networks = networks_of(filters)
    if not networks:
        return conditions_of(filters)
    found = run(connection, "SELECT DISTINCT unnest(source_ip_addresses::VARCHAR[]) FROM door")
    return conditions_of(filters, [address for (address,) in found if lies_in(address, networks)])


def _addressed(connection: Connection, filters: Filters) -> int:
    """How many commands that AWS took, and that the other filters let through, were sent to no machine by its name."""
    wanted = reaching(filters)
    if wanted is None:
        return 0
    where = _resolved(connection, wanted)
    counted = f"""SELECT count(*) FROM door WHERE names_nobody(targets) AND outcome = 'accepted' AND ({where.sql})
                  AND row_ids NOT IN (SELECT row_ids FROM found)"""
    with user_sql(filters):
        return int(run(connection, counted, where.parameters)[0][0])


def _basis(connection: Connection, addressed: int) -> SessionBasis:
    counted = run(
        connection,
        """WITH cited AS (SELECT DISTINCT unnest(row_ids) AS row_id FROM found)
           SELECT count(*), (SELECT count(*) FROM cited),
                  (SELECT count(DISTINCT object_id) FROM events WHERE rowid IN (SELECT row_id FROM cited)),
                  count(*) FILTER (outcome = 'denied'), count(*) FILTER (outcome = 'failed'),
                  count(*) FILTER (contains(flags, 'conflicting-records') OR contains(flags, 'duplicate-key'))
           FROM found""",
    )
    sessions, events, objects, denied, failed, conflicts = map(int, counted[0])
    return SessionBasis(sessions, events, objects, denied, failed, conflicts, addressed)


def _expression(name: str) -> str:
    return _READABLE.get(name) or quoted(name)


def _at_most(limit: int | None) -> str:
    return "" if limit is None else f" LIMIT {limit}"
