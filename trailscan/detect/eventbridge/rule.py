"""EventBridge rules that run over an archive: the events they would have sent.

Sources: Amazon EventBridge User Guide, "Rules" and "Amazon EventBridge quotas".
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping

import msgspec

from trailscan.detect.eventbridge.detail_types import respelled
from trailscan.detect.eventbridge.envelope import LARGEST, envelope, only_reads, size_of
from trailscan.detect.eventbridge.files import Sketch, sketches_of
from trailscan.detect.eventbridge.matching import Entangled, matches
from trailscan.detect.eventbridge.narrowing import narrowed
from trailscan.detect.eventbridge.parsing import Pattern, pattern_of
from trailscan.detect.eventbridge.places import Malformed, parse_json, written
from trailscan.detect.rule import Compiled, Hit, Rule, Uncompiled
from trailscan.store.database import Connection
from trailscan.store.record_rebuild import DOCUMENTS, TEXTS, record_of

QUOTA = 2_048  # characters of a pattern; AWS raises it on request
LARGEST_PATTERN = 64 * 1024  # characters
CHUNK_ROWS = 1_000
WITH_READS = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"

_COLUMNS = ("rowid", "event_time", *TEXTS, *DOCUMENTS, "other_fields")
_READ_ONLY = f"read-only: EventBridge sends it only to rules in the state {WITH_READS}"
_TOO_LARGE = f"larger than {LARGEST // 1024} KB: EventBridge would not have sent it"


class EventPattern(msgspec.Struct, frozen=True):
    """A rule with an event pattern. Read-only management events are sent to it or not, as its state says.

    A bare pattern says nothing of a state: such events are found, with a note.
    """

    rule: Rule
    pattern: Pattern
    state: str | None = None

    @property
    def reads(self) -> bool:
        """Whether read-only management events are looked for."""
        return self.state in {None, WITH_READS}

    def hits(self, connection: Connection) -> Iterator[Hit]:
        """The events that the rule would have sent, copies of one event once; and, with a note, what was kept from it.

        What cannot be judged, since it was made to be hard to judge, is a hit with a note: nothing hides from a rule so.
        """
        seen: set[str] = set()
        for row in _rows(connection, self.pattern, self.reads):
            hit = self._judged(row)
            if hit is not None and hit.identity not in seen:
                seen.add(hit.identity)
                yield hit

    def takes(self, record: Mapping[str, object]) -> bool:
        """Whether a record's event matches and is not kept back by the rule's own state. Raises Entangled."""
        return (self.reads or not only_reads(record)) and matches(self.pattern, envelope(record))

    def _judged(self, row: Mapping[str, object]) -> Hit | None:
        try:
            record = record_of(row)
            if not self.takes(record):
                return None
            return _hit(row, json.dumps(record, sort_keys=True), self._note(record))
        except (Entangled, ValueError, RecursionError) as error:
            return _hit(row, repr(tuple(row.values())[1:]), f"it could not be judged: {error}")

    def _note(self, record: Mapping[str, object]) -> str:
        """Why EventBridge would not have sent an event that matches."""
        notes = [_READ_ONLY] if self.state is None and only_reads(record) else []
        if size_of(envelope(record)) > LARGEST:
            notes.append(_TOO_LARGE)
        return "; ".join(notes)


def compile_pattern(text: bytes, path: str) -> list[Compiled | Uncompiled]:
    """The rules of a .json file; in place of each that cannot run, where it stands and why."""
    try:
        sketches = list(sketches_of(parse_json(text)))
    except Malformed as error:
        sketches = [error]
    return [_compiled(sketch, path) for sketch in sketches]


def _compiled(sketch: Sketch | Malformed, path: str) -> Compiled | Uncompiled:
    if isinstance(sketch, Malformed):
        return Uncompiled(path, sketch.place, str(sketch))
    try:
        pattern = respelled(pattern_of(sketch.pattern, sketch.place))
    except Malformed as error:
        return Uncompiled(path, error.place, str(error))
    text = written(sketch.pattern)
    if len(text) > LARGEST_PATTERN:
        return Uncompiled(path, sketch.place, f"a pattern of more than {LARGEST_PATTERN:,} characters")
    return EventPattern(_described(sketch, text, path), pattern, sketch.state)


def _described(sketch: Sketch, text: str, path: str) -> Rule:
    name = os.path.basename(path).removesuffix(".json")
    notes = [
        sketch.description,
        "It is disabled in AWS." if sketch.state == "DISABLED" else None,
        f"Its pattern has {len(text):,} characters: more than AWS takes by default." if len(text) > QUOTA else None,
    ]
    return Rule(
        id=sketch.arn or sketch.name or f"{name}:{hashlib.sha256(text.encode()).hexdigest()[:16]}",
        title=sketch.name or name,
        level="medium",
        language="event-pattern",
        path=path,
        description=" ".join(filter(None, notes)) or None,
    )


def _rows(connection: Connection, pattern: Pattern, reads: bool) -> Iterator[dict[str, object]]:
    """The rows that may match. They come from a cursor of their own, so that the connection is free meanwhile."""
    where = narrowed(pattern, reads)
    cursor = connection.cursor()
    try:
        cursor.execute(f"SELECT {', '.join(_COLUMNS)} FROM events WHERE {where.sql}", list(where.parameters))
        while chunk := cursor.fetchmany(CHUNK_ROWS):
            yield from (dict(zip(_COLUMNS, row, strict=True)) for row in chunk)
    finally:
        cursor.close()


def _hit(row: Mapping[str, object], content: str, note: str) -> Hit:
    digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    who = "/".join(str(row[column]) for column in ("recipient_account_id", "event_id"))
    return Hit((int(str(row["rowid"])),), f"{who}/{digest}", note)
