"""A question about an archive: found, freed of copies, and answered as a Table, with what the answer rests on."""

import contextlib
import difflib
from collections.abc import Iterator, Sequence

import duckdb
import msgspec

from trailscan.errors import UsageError
from trailscan.query.deduplicate import EVENT_KEY, hide_copies
from trailscan.query.filters import Filters, Where, networks_of, reaching, where_of
from trailscan.query.networks import lies_in, may_lie_in, v6_of
from trailscan.query.pages import paged
from trailscan.query.table import Table
from trailscan.query.tables import table_of
from trailscan.store.database import Connection, run

SESSION_COLUMNS = ("event_time", "event_name", "who", "source_ip_address", "target", "session_id", "result")
PLAIN_COLUMNS = ("event_time", "event_source", "event_name", "who", "source_ip_address", "aws_region", "result")
# What it takes to find the original bytes of a record again (see `originals`).
ORIGINAL_COLUMNS = ("path", "member", "member_offset", "object_bytes", "sha256", "record_index")
_INTERNAL = ("row_id", "member_offset", "object_bytes")


class EventBasis(msgspec.Struct, frozen=True):
    """What an answer rests on, in counts."""

    events: int
    copies: int  # further rows of the same events, hidden
    conflicts: int  # events that occur in versions that differ; every version is shown
    objects: int  # objects that hold hits
    doors: int  # hits that name a machine or a session
    addressed: int = 0  # commands addressed by tag, resource group or to all: they may have reached the targets asked for


class Answer:
    """The events that match some filters, marked once; then counted, listed or grouped. It needs its connection open."""

    def __init__(self, connection: Connection, filters: Filters, all_copies: bool = False) -> None:
        self._connection = connection
        where = _resolved(connection, filters)
        conflicts = 0
        with user_sql(filters):
            mark = f"CREATE OR REPLACE TEMP TABLE hit AS SELECT {_MARKED} FROM evidence WHERE {where.sql}"
            run(connection, mark, where.parameters)
        run(connection, "CREATE OR REPLACE TEMP TABLE hidden (row_id BIGINT)")
        if not all_copies:
            conflicts = hide_copies(connection)
        self.basis = _basis(connection, conflicts, _addressed(connection, filters))

    def table(self, columns: Sequence[str], sort: str = "event_time", limit: int | None = None) -> Table:
        """The events as rows; `sort` takes a leading `-`."""
        known = column_names(self._connection)
        names = [known_column(name, known) for name in columns]
        order = f"{quoted(known_column(sort.removeprefix('-'), known))} {'DESC' if sort.startswith('-') else 'ASC'} NULLS LAST"
        ties = "event_time, event_id, object_id, record_index"
        more = "" if limit is None else f" LIMIT {limit}"
        row_ids = f"SELECT row_id {self._shown()} ORDER BY {order}, {ties}{more}"
        return paged(self._connection, row_ids, "evidence", [quoted(name) for name in names])

    def number_of_groups(self, field: str) -> int:
        """How many values a field has."""
        name = quoted(known_column(field, column_names(self._connection)))
        return int(run(self._connection, f"SELECT count(*) FROM (SELECT DISTINCT {name} {self._shown()})")[0][0])

    def groups(self, field: str, limit: int | None = None) -> Table:
        """How many events have each value of a field, the most frequent first, and when the first and last were."""
        name = quoted(known_column(field, column_names(self._connection)))
        more = "" if limit is None else f" LIMIT {limit}"
        spans = "count(*) AS events, min(event_time) AS first_event, max(event_time) AS last_event"
        grouped = f"SELECT {name}, {spans} {self._shown()} GROUP BY {name} ORDER BY events DESC, {name}{more}"
        return table_of(self._connection.execute(grouped))

    def _shown(self) -> str:
        """The rows of `evidence` that were found, less hidden copies."""
        hidden = " AND row_id NOT IN (SELECT row_id FROM hidden)" if self.basis.copies else ""
        return f"FROM evidence WHERE row_id IN (SELECT row_id FROM hit){hidden}"


@contextlib.contextmanager
def user_sql(filters: Filters) -> Iterator[None]:
    """Check the user's own condition: one expression, nothing around it; errors of DuckDB are errors of it."""
    if filters.where is None:
        yield
        return
    try:
        duckdb.SQLExpression(filters.where)
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise UsageError(
            f"--where cannot be run: {str(error).partition(chr(10))[0]}", "`trailscan docs tables` explains the columns"
        ) from error


def alone(connection: Connection, filters: Filters) -> list[tuple[str, int]]:
    """How many events each filter lets through when it stands alone, by the filter's name: which one leaves none?

    A condition of the user's that fails on events which the other filters kept from it is left out.
    """
    counts = []
    for name in filters._fields:
        value = getattr(filters, name)
        if value not in ((), None):
            where = _resolved(connection, Filters(**{name: value}))
            with contextlib.suppress(*[duckdb.Error] * (name == "where")):
                found = run(connection, f"SELECT count(*) FROM evidence WHERE {where.sql}", where.parameters)
                counts.append((name, int(found[0][0])))
    return counts


def column_names(connection: Connection) -> list[str]:
    """The columns that can be asked for."""
    return [row[0] for row in run(connection, "DESCRIBE evidence")]


def default_columns(connection: Connection) -> list[str]:
    """The columns of the formats for machines: all but those that mean something only to this database."""
    return [name for name in column_names(connection) if name not in _INTERNAL]


def similar_names(connection: Connection, wanted: Sequence[str]) -> list[str]:
    """Event names in the database that look like the wanted ones, for a did-you-mean."""
    names = [name for (name,) in run(connection, "SELECT DISTINCT event_name FROM events") if name]
    folded: dict[str, list[str]] = {}
    for name in sorted(names):
        folded.setdefault(name.casefold(), []).append(name)
    close = [near for name in wanted for near in difflib.get_close_matches(name.casefold(), folded, 3, 0.75)]
    return [name for near in dict.fromkeys(close) for name in folded[near]]


_MARKED = f"row_id, object_id, {EVENT_KEY}, coalesce(target, session_id) IS NOT NULL AS door"


def _resolved(connection: Connection, filters: Filters) -> Where:
    """The filters as SQL; networks of IPv6 are resolved to the addresses in the database that lie in them."""
    networks = v6_of(networks_of(filters))
    if not networks:
        return where_of(filters)
    test = may_lie_in("source_ip_address", networks)
    found = run(connection, f"SELECT DISTINCT source_ip_address FROM events WHERE {test}")
    return where_of(filters, [address for (address,) in found if lies_in(address, networks)])


def _addressed(connection: Connection, filters: Filters) -> int:
    """How many commands that AWS took, and that the other filters let through, were sent to no machine by its name."""
    wanted = reaching(filters)
    if wanted is None:
        return 0
    where = _resolved(connection, wanted)
    counted = f"""SELECT count(DISTINCT coalesce(concat(recipient_account_id, ' ', event_id), row_id::VARCHAR)) FROM evidence
                  WHERE target IS NOT NULL AND names_nobody(targets) AND result = 'ok' AND ({where.sql})
                    AND row_id NOT IN (SELECT row_id FROM hit)"""
    with user_sql(filters):
        return int(run(connection, counted, where.parameters)[0][0])


def _basis(connection: Connection, conflicts: int, addressed: int) -> EventBasis:
    shown = "FROM hit WHERE row_id NOT IN (SELECT row_id FROM hidden)"
    counted = run(
        connection,
        f"SELECT (SELECT count(*) {shown}), (SELECT count(*) FROM hidden), "
        f"(SELECT count(DISTINCT object_id) {shown}), (SELECT count(*) {shown} AND door)",
    )
    events, copies, objects, doors = counted[0]
    return EventBasis(events, copies, conflicts, objects, doors, addressed)


def known_column(name: str, known: Sequence[str]) -> str:
    """The name of a column, if it is one. Raises UsageError with a did-you-mean."""
    if name in known:
        return name
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"the columns are {', '.join(known)}"
    raise UsageError(f"there is no column {name!r}", hint)


def quoted(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'
