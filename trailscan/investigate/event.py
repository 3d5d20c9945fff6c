"""One event: its record as it was delivered, in every version there is, its copies, and where its credential came from."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from trailscan.investigate.caller import caller_sections
from trailscan.investigate.provenance import OBJECT, Place
from trailscan.investigate.subject import Subject
from trailscan.query.events import ORIGINAL_COLUMNS
from trailscan.query.filters import Where
from trailscan.query.originals import originals
from trailscan.query.report import Grid, Section
from trailscan.query.tables import grid_of
from trailscan.store.database import Connection
from trailscan.store.record_rebuild import record_of

VERSIONS = 10  # of an event that are shown whole
COPIES = 50  # rows of it that are listed
FACTS = """event_id, event_time, event_name, event_source, result, error_code, error_message, who, user_type, user_arn,
           user_access_key_id, user_invoked_by, user_source_identity, mfa_authenticated, source_ip_address, user_agent,
           aws_region, recipient_account_id, target, session_id, request_id, shared_event_id, flags, object_id, record_index"""
_VERSIONS = "FROM evidence WHERE {} AND row_id NOT IN (SELECT row_id FROM hidden) ORDER BY object_id, record_index"

Sections = list[Section]
Missing = Callable[[str], None]


def event_sections(
    connection: Connection, subject: Subject, this: Where, around: timedelta, place: Place, missing: Missing
) -> tuple[Sections, Sections, int]:
    """What is said of an event before its provenance and after, and of how many events that is; its copies must be hidden.

    `missing` is told of each original record that cannot be had.
    """
    versions = _VERSIONS.format(this.sql)
    facts = grid_of(connection, f"SELECT {FACTS} {versions} LIMIT 1", this.parameters)
    rows = grid_of(connection, f"SELECT * {versions} LIMIT {VERSIONS + 1}", this.parameters)
    found = [dict(zip(_names(rows), row, strict=True)) for row in rows.rows]
    head = [Section("event", f"Event {subject.id} (times are UTC)", facts, stacked=True)]
    head += [_record(row, number, place, missing) for number, row in enumerate(found[:VERSIONS], 1)]
    if len(found) > 1:
        head[1:1] = [Section("conflict", "Versions that differ under this event id", notes=_conflict(len(found)))]
    moment = found[0]["event_time"]
    but = Where("event_id IS DISTINCT FROM ?", (subject.id,))
    tail = [*_copies(connection, this, len(found)), *caller_sections(connection, found[0], but, (moment, moment), around)]
    return head, tail, 1


def _record(row: Mapping[str, object], number: int, place: Place, missing: Missing) -> Section:
    """The record from its object, else put together again from its row."""
    name, title = ("record", "Its record") if number == 1 else (f"record_{number}", f"Its record, version {number}")
    where = f"object {row['object_id']}, record {row['record_index']}"
    reasons: list[str] = []
    cells = tuple(row[column] for column in ORIGINAL_COLUMNS)
    found = next(originals([cells], place, reasons.append), None)  # type: ignore[list-item]
    if found is not None:
        checked = "which has the SHA-256 it was recorded with" if row["sha256"] else "of which no SHA-256 was recorded"
        return Section(name, title, document=found.decode("utf-8", "backslashreplace"), notes=(f"from {where}, {checked}",))
    for reason in reasons:
        missing(reason)
    told = f"the original cannot be had: {'; '.join(reasons)}"
    note = f"this is the record put together again from its row ({where}); its keys may have stood in another order"
    return Section(name, title, document=json.dumps(record_of(row)), notes=(told, note))


def _conflict(versions: int) -> tuple[str, ...]:
    told = f"beware: {'more than 10' if versions > VERSIONS else versions} versions; at most one is what CloudTrail wrote"
    return (told, f"the first {VERSIONS} are shown") if versions > VERSIONS else (told,)


def _copies(connection: Connection, this: Where, versions: int) -> Sections:
    """Every place in the archive that holds the event, where there is more than one."""
    statement = f"""SELECT object_id, record_index, recipient_account_id,
                           row_id IN (SELECT row_id FROM hidden) AS is_copy, {OBJECT} AS object
                    FROM evidence WHERE {this.sql} ORDER BY object_id, record_index LIMIT {COPIES + 1}"""
    found = grid_of(connection, statement, this.parameters)
    if len(found.rows) < 2:  # noqa: PLR2004 - itself only
        return []
    note = "a copy says the same as a row that is none" if versions == 1 else "rows that are no copies say different things"
    notes = (note, f"these are the first {COPIES}") if len(found.rows) > COPIES else (note,)
    return [Section("copies", "The same event in several places", Grid(found.columns, found.rows[:COPIES]), notes=notes)]


def _names(grid: Grid) -> Sequence[str]:
    return [column.name for column in grid.columns]
