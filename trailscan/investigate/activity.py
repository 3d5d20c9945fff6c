"""What else was called around a moment: by the same principal, and by the machine a session was on, under its own role.

A limit is never silent: where there is more, a note says so, and with which query all of it is shown.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from trailscan.query.deduplicate import EVENT_KEY, hide_copies
from trailscan.query.filters import Where
from trailscan.query.report import Grid, Section
from trailscan.query.tables import grid_of
from trailscan.store.database import Connection, run

MOST = 50  # calls in a section
FIRST_HOUR = timedelta(hours=1)  # of a session with no end recorded
SECOND = timedelta(seconds=1)  # CloudTrail's times know no fractions: the second of the end belongs to the session
COLUMNS = "event_time, event_name, event_source, source_ip_address, aws_region, result, event_id"
_ORDER = "event_time {0}, event_id {0}, object_id {0}, record_index {0}"

# What names a caller, the best first, and the words for it. Source: AWS, "CloudTrail userIdentity element".
_NAMES = {
    "user_arn": "ARN",
    "user_principal_id": "principal id",
    "user_access_key_id": "access key",
    "user_invoked_by": "service",
}
_FIRST, _LAST = datetime.fromisoformat("0001-01-01"), datetime.fromisoformat("9999-12-31T23:59:59")
_MACHINE = re.compile(r"m?i-\w+")  # hexadecimal, but for records whose ids were disguised before they were published
_TASK = re.compile(r"ecs:.+_([^_]+)_[^_]+|arn:[^:]*:ecs:.*:task/(?:.*/)?([^/]+)", re.DOTALL)


class Window(msgspec.Struct, frozen=True):
    """A stretch of time, UTC: `since` belongs to it, `until` does not. Where calls are too many, the nearest are shown."""

    name: str
    since: datetime
    until: datetime
    backwards: bool = False  # the latest are the nearest


class Sought(msgspec.Struct, frozen=True):
    """Whose calls: a column of `evidence` and its exact value; `but` is a condition that leaves out what is told elsewhere."""

    column: str
    value: str
    but: Where = Where("true")


def principal_of(row: Mapping[str, object], but: Where) -> Sought | None:
    """What tells the caller of a row from others; None where the record does not say."""
    for column in _NAMES:
        value = row.get(column)
        if isinstance(value, str) and value:
            return Sought(column, value, but)
    return None


def windows(start: datetime, end: datetime, around: timedelta) -> list[Window]:
    """Before, meanwhile (where that lasts) and after what went on from `start` to `end`."""
    before = Window("before", shifted(start, -around), start, backwards=True)
    after = Window("after", end, shifted(end, around))
    return [before, Window("meanwhile", start, end), after] if end > start else [before, after]


def shifted(moment: datetime, by: timedelta) -> datetime:
    """A moment later or earlier, within the years there are."""
    try:
        return moment + by
    except OverflowError:
        return _LAST if by > timedelta() else _FIRST


def by_principal(connection: Connection, sought: Sought, spans: Sequence[Window]) -> Section:
    """What the principal called before, meanwhile and after."""
    found = _within(connection, sought, spans)
    told = f"every other call by {_NAMES[sought.column]} {sought.value} from {spans[0].since} up to {spans[-1].until}"
    title = "What the same principal did before and after"
    return Section("principal", title, found.grid, notes=(_sought(told, found), *found.notes))


def machine_session(target: object) -> str | None:
    """The session name under which a target's own role calls: its instance id, or its ECS task's id. None for others.

    Sources: AWS, "CloudTrail userIdentity element" (instance roles); "Logging Amazon ECS API calls" (task roles);
    session-manager targets `ecs:<cluster>_<task>_<runtime>`, in which a cluster's name may hold underscores, and tasks' ARNs.
    """
    if not isinstance(target, str):
        return None
    if _MACHINE.fullmatch(target):
        return target
    task = _TASK.fullmatch(target)
    return task[1] or task[2] if task else None


def by_machine(connection: Connection, target: object, start: datetime, end: datetime | None) -> Section:
    """What was called under the target's own role while the session went on; without an end, in the first hour of it."""
    title = "What the target's own role did meanwhile"
    session = machine_session(target)
    if session is None:
        note = f"a target like {target} has no role session of its own to look for" if target else "no target is known"
        return Section("target", title, notes=(note,))
    span = Window("meanwhile", start, shifted(end, SECOND) if end else shifted(start, FIRST_HOUR))
    found = _within(connection, Sought("user_session_name", session), [span])
    told = f"every call under the session name {session} from {span.since} up to {span.until}"
    notes = (_sought(told, found), *found.notes)
    if end is None:
        notes = (*notes, "no end was recorded: this is the session's first hour")
    return Section("target", title, found.grid, notes=notes)


def hide_duplicates(connection: Connection, where: Where) -> int:
    """Mark what `where` finds in `evidence`, and all but one of each event's copies in `hidden`.

    Returns the number of events of which there are versions that differ.
    """
    marked = f"row_id, object_id, {EVENT_KEY}"
    run(connection, f"CREATE OR REPLACE TEMP TABLE hit AS SELECT {marked} FROM evidence WHERE {where.sql}", where.parameters)
    run(connection, "CREATE OR REPLACE TEMP TABLE hidden (row_id BIGINT)")
    return hide_copies(connection)


class _Found(msgspec.Struct, frozen=True):
    grid: Grid | None
    notes: tuple[str, ...]


def _sought(told: str, found: _Found) -> str:
    return f"{'' if found.grid else 'nothing was found; '}looked for: {told}"


def _within(connection: Connection, sought: Sought, spans: Sequence[Window]) -> _Found:
    """The calls of all windows, at most 50 of each; and a note for each that has more."""
    grids: list[Grid] = []
    notes: list[str] = []
    for span in spans:
        grid, more = _calls(connection, sought, span)
        grids.append(grid)
        if more:
            which = f"{'last' if span.backwards else 'first'} {MOST} {span.name}"
            notes.append(f"only the {which} are shown; all of them: {query_of(sought, span)}")
    rows = tuple(row for grid in grids for row in grid.rows)
    return _Found(Grid(grids[0].columns, rows) if rows else None, tuple(notes))


def _calls(connection: Connection, sought: Sought, span: Window) -> tuple[Grid, bool]:
    """The calls of a window in order of time, at most 50, and whether there are more."""
    where = Where(
        f"{sought.column} = ? AND event_time >= ? AND event_time < ? AND ({sought.but.sql})",
        (sought.value, span.since, span.until, *sought.but.parameters),
    )
    hide_duplicates(connection, where)
    order = _ORDER.format("DESC" if span.backwards else "ASC")
    statement = f"""SELECT '{span.name}' AS "when", {COLUMNS} FROM evidence
                    WHERE {where.sql} AND row_id NOT IN (SELECT row_id FROM hidden) ORDER BY {order} LIMIT {MOST + 1}"""
    found = grid_of(connection, statement, where.parameters)
    rows = found.rows[:MOST]
    return Grid(found.columns, rows[::-1] if span.backwards else rows), len(found.rows) > MOST


def query_of(sought: Sought, span: Window) -> str:
    """The command that shows all calls of a window."""
    return f"trailscan query {_filter(sought)} --since {span.since.isoformat()}Z --until {span.until.isoformat()}Z"


def _filter(sought: Sought) -> str:
    if sought.column == "user_arn" and "*" not in sought.value:
        return f"--arn {shlex.quote(sought.value)}"
    literal = "'" + sought.value.replace("'", "''") + "'"
    return f"--where {shlex.quote(f'{sought.column} = {literal}')}"
