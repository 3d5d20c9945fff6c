"""The story of one event or session: what the records say of it, where they lie, what its principal did before and after.

Puts the report together. What each part rests on is worked out by the modules it names.
"""

from datetime import timedelta

import msgspec

from trailscan.investigate.activity import hide_duplicates
from trailscan.investigate.event import event_sections
from trailscan.investigate.provenance import Place, provenance
from trailscan.investigate.session import session_sections
from trailscan.investigate.subject import Subject
from trailscan.query.filters import Where
from trailscan.query.report import Report
from trailscan.store.database import Connection, run


class Story(msgspec.Struct, frozen=True):
    """A report and what it rests on.

    `conflicts` are events in versions that differ, `objects` those that hold its events, `damaged` those of them with
    damage, `lost` says in sentences what can no longer be had, or is not what it was.
    """

    report: Report
    events: int
    conflicts: int
    objects: int
    damaged: int
    lost: tuple[str, ...]


def story_of(connection: Connection, subject: Subject, around: timedelta, place: Place) -> Story:
    """All there is to say of a subject.

    `around` is how long before and after its principal's calls are shown; `place` turns a stored path into one on this disk.
    """
    this = _where(subject)
    conflicts = hide_duplicates(connection, this)
    lost: list[str] = []
    if subject.kind == "event":
        head, tail, events = event_sections(connection, subject, this, around, place, lost.append)
    else:
        head, tail, events = session_sections(connection, subject, this, around)
    held = _objects(connection, this)
    origin = provenance(connection, held, place)
    report = Report(subject.kind, subject.id, (*head, *origin.sections, *tail))
    # Where an object's bytes have changed, that says why its record cannot be had.
    return Story(report, events, conflicts, len(held), origin.damaged, origin.lost or tuple(lost))


def _where(subject: Subject) -> Where:
    if subject.kind == "event":
        return Where("event_id = ?", (subject.id,))
    scope = "session_id = ? AND recipient_account_id IS NOT DISTINCT FROM ? AND aws_region IS NOT DISTINCT FROM ?"
    return Where(scope, (subject.id, subject.account, subject.region))


def _objects(connection: Connection, this: Where) -> list[int]:
    """The objects that hold rows of the subject, copies included."""
    statement = f"SELECT DISTINCT object_id FROM events WHERE {this.sql} ORDER BY object_id"
    return [number for (number,) in run(connection, statement, this.parameters)]
