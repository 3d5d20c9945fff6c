"""One session: how it went, every event of it, who started it and by what right, what the machine did meanwhile."""

import shlex
from collections.abc import Mapping
from datetime import datetime, timedelta

from trailscan.investigate.activity import by_machine
from trailscan.investigate.caller import caller_sections
from trailscan.investigate.subject import Subject
from trailscan.query.filters import Where
from trailscan.query.report import Grid, Section
from trailscan.query.tables import grid_of
from trailscan.store.database import Connection

CALLS = """event_time, event_name, who, source_ip_address, result, user_access_key_id, event_id, object_id, record_index"""
_FROM = "FROM evidence WHERE {} AND row_id NOT IN (SELECT row_id FROM hidden)"
# In the second that CloudTrail's times can tell apart, a session may start and end.
_STEP = "coalesce(step_of(event_source, event_name), 0)"
_IN_ORDER = f"ORDER BY event_time NULLS LAST, {_STEP}, event_id, object_id, record_index"
# Who started it; where no start is held, whoever called first.
_CHANNEL = "role_of(event_source, event_name) = 'channel'"
_FIRST = f"ORDER BY result <> 'ok', {_STEP} > 0, {_CHANNEL}, event_time NULLS LAST, event_id LIMIT 1"
_LIFE = """
SELECT session_id, outcome, started_at, ended_at, end_status, duration_s, resumes, terminates, door, starter, who, user_name,
       user_arn, user_issuer_arn, mfa_authenticated, user_access_key_id, source_ip_addresses, user_agents, target, target_kind,
       document, purpose, reason, client, client_ip_addresses, node_answered, requested_by, access_request, account_id, region,
       flags
FROM {} WHERE session_id = ? AND account_id IS NOT DISTINCT FROM ? AND region IS NOT DISTINCT FROM ?
ORDER BY started_at NULLS LAST
"""

Sections = list[Section]


def session_sections(
    connection: Connection, subject: Subject, this: Where, around: timedelta
) -> tuple[Sections, Sections, int]:
    """What is said of a session before its provenance and after, and how many events it has; copies must be hidden."""
    found = _FROM.format(this.sql)
    calls = grid_of(connection, f"SELECT {CALLS} {found} {_IN_ORDER}", this.parameters)
    first = _named(grid_of(connection, f"SELECT * {found} {_FIRST}", this.parameters))
    life = _life(connection, subject)
    head = [
        Section("session", f"Session {subject.id} (times are UTC)", life, stacked=True, notes=_untold(life)),
        Section("events", "Its events", calls, notes=(f"their original records: {_records(subject)}",)),
    ]
    start, end = _span(life, calls)
    but = Where("session_id IS DISTINCT FROM ?", (subject.id,))
    tail = caller_sections(connection, first, but, (start, end or _last(start, calls)), around)
    if start is not None:
        tail.insert(0, by_machine(connection, _named(life)["target"], start, end))
    return head, tail, len(calls.rows)


def _life(connection: Connection, subject: Subject) -> Grid:
    """The session's row. ECS Exec opens sessions too: where no StartSession is held, its row stands first."""
    scope = (subject.id, subject.account, subject.region)
    life = grid_of(connection, _LIFE.format("sessions"), scope)
    if _named(life)["started_at"] is not None:
        return life
    door = grid_of(connection, _LIFE.format("doors"), scope)
    return Grid(life.columns, (*door.rows, *life.rows))


def _untold(life: Grid) -> tuple[str, ...]:
    return () if life.rows else ("no call of it was seen to succeed: only refused or failed calls name it",)


def _span(life: Grid, calls: Grid) -> tuple[datetime | None, datetime | None]:
    """When it started, or was first seen, and when it ended; None where that is not recorded, or lies before the start."""
    times = _times(calls)
    row = _named(life)
    start, end = row["started_at"], row["ended_at"]
    began = start if isinstance(start, datetime) else (times[0] if times else None)
    return began, end if isinstance(end, datetime) and began and end >= began else None


def _last(start: datetime | None, calls: Grid) -> datetime | None:
    return max([start, *_times(calls)]) if start else None


def _times(calls: Grid) -> list[datetime]:
    return [row[0] for row in calls.rows if isinstance(row[0], datetime)]


def _records(subject: Subject) -> str:
    return f"trailscan query --session {shlex.quote(subject.id)} --format record"


def _named(grid: Grid) -> Mapping[str, object]:
    """The first row by column names; all None where there is none."""
    names = [column.name for column in grid.columns]
    return dict(zip(names, grid.rows[0] if grid.rows else [None] * len(names), strict=True))
