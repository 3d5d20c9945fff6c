"""What a walk through a text gathers: records and their indexes, damage, and the shape they came in.

It judges each record by itself and knows nothing of wrappers (`walk`).
"""

import re
from collections import Counter

import msgspec

from trailscan.records.damage import Damage
from trailscan.records.texts import Budget

DAMAGE_LIMIT = 1000  # a hostile file may hold millions of broken elements: beyond this they are counted only
NOT_A_RECORD = "This element is not a CloudTrail record: it is %s."

_EMPTY_OBJECT = re.compile(rb"\{[ \t\r\n]*+\}")
_UNCERTAIN = "The records from index %d on stand behind damage and may be part of a broken record's own text."

_any_json = msgspec.json.Decoder(msgspec.Raw)
KINDS_LIMIT = 100  # kinds of foreign elements that are told apart


class Envelope(msgspec.Struct, frozen=True):
    """What stands around a record and says what the record itself does not; None where it has its own, or nobody says."""

    account: str | None = None
    region: str | None = None
    time: str | None = None
    flag: str | None = None  # of an event that is no record of CloudTrail's own making


class _Own(msgspec.Struct, rename="camel"):
    recipient_account_id: object = None
    aws_region: object = None
    event_time: object = None


_own = msgspec.json.Decoder(_Own)


class _Identity(msgspec.Struct, rename={"id": "eventID", "name": "eventName", "source": "eventSource", "time": "eventTime"}):
    id: object = None
    name: object = None
    source: object = None
    time: object = None


_identity = msgspec.json.Decoder(_Identity)


class RecordCollector:
    """What has been found so far: records and their indexes, damage, and the shape they came in."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.indexes: list[int] = []
        self.damage: list[Damage] = []
        self.uncounted = 0
        self.doubt: Damage | None = None  # never crowded out by other damage
        self.shape: str | None = None
        self.index = 0  # of the next element
        self.cells = 0  # of Logs Insights rows that are not their @message
        self.foreign: Counter[str] = Counter()  # elements that are sound and not CloudTrail, by what they seem to be
        self.foreign_elements = 0
        self.envelope: Envelope | None = None  # of what is being read
        self.envelopes: dict[int, Envelope] = {}  # of the records that lack what it says, by their index
        self.budget = Budget()

    def named(self, shape: str) -> None:
        """Take the first wrapper met as the name of the shape."""
        self.shape = self.shape or shape

    def keep(self, record: bytes, where: int | None) -> None:
        """Count one element: a record when it is sound JSON in UTF-8, damage otherwise."""
        wrong = _unsound(record)
        if wrong is not None:
            self.reject(*wrong, where)
            return
        self.records.append(record)
        self.indexes.append(self.index)
        if self.envelope is not None and (lacking := _lacking(record, self.envelope)) is not None:
            self.envelopes[self.index] = lacking
        self.index += 1

    def stranger(self, kind: str, number: int = 1) -> None:
        """Count elements that are sound and not CloudTrail."""
        self.foreign[kind if kind in self.foreign or len(self.foreign) < KINDS_LIMIT else "of other kinds"] += number
        self.foreign_elements += number
        self.index += number

    def drop_repeated(self, count: int, index: int, seen: "set[object]") -> None:
        """Of the records behind the first `count`, drop those that say again what an earlier member of one wrapper said.

        A wrapper may carry the same event as text and as fields. Nothing is dropped among other damage.
        """
        fresh = self.records[count:]
        if not seen or self.index - index != len(fresh):
            return
        kept = [record for record in fresh if identity_of(record) not in seen]
        if len(kept) == len(fresh):
            return
        del self.records[count:], self.indexes[count:]
        for number in range(index, self.index):
            self.envelopes.pop(number, None)
        self.index = index
        for record in kept:
            self.keep(record, None)

    def reject(self, what: str, reason: str, where: int | None) -> None:
        """Count one element that cannot be had."""
        self.note(Damage(what, reason, self.index, where))
        self.index += 1

    def note(self, damage: Damage) -> None:
        """Hold damage that is no element of its own."""
        if len(self.damage) < DAMAGE_LIMIT:
            self.damage.append(damage)
        else:
            self.uncounted += 1

    @property
    def without_message(self) -> bool:
        """Whether there are rows of Logs Insights, but the query did not ask for the message."""
        return bool(self.cells) and self.index == 0

    def doubt_from(self, count: int, where: int | None) -> None:
        """Name the doubt in all records behind the first `count`, when there are any."""
        if count < len(self.records) and self.doubt is None:
            index = self.indexes[count]
            self.doubt = Damage("uncertain", _UNCERTAIN % index, None, where)

    def all_damage(self) -> list[Damage]:
        """The damage, with one line for what went beyond the limit, and one for records in doubt."""
        damage = self.damage[:]
        if self.uncounted:
            damage.append(Damage("more-damage", f"{self.uncounted:,} more elements are damaged like these."))
        if self.doubt is not None:
            damage.append(self.doubt)
        return damage


class Stretch:
    """The records since reading was resumed: in doubt unless what follows shows that no broken record holds them."""

    def __init__(self, sift: RecordCollector) -> None:
        self.sift, self.count = sift, -1
        self.where: int | None = None

    def open(self, where: int | None) -> None:
        """Begin here, unless begun before."""
        if self.count < 0:
            self.count, self.where = len(self.sift.records), where

    def close(self, *, trusted: bool = False) -> None:
        """End here."""
        if self.count >= 0 and not trusted:
            self.sift.doubt_from(self.count, self.where)
        self.count = -1


def _unsound(record: bytes) -> tuple[str, str] | None:
    if not record.isascii():
        try:
            record.decode()
        except UnicodeDecodeError as error:
            return "not-utf8", f"This record is not UTF-8: {error.reason} at its byte {error.start}."
    if not record.startswith(b"{"):
        return "not-a-record", NOT_A_RECORD % kind_of(record)
    if _EMPTY_OBJECT.fullmatch(record):
        return "not-a-record", NOT_A_RECORD % "an empty object"
    try:
        _any_json.decode(record)
    except msgspec.DecodeError:
        return "not-json", "This record is not strict JSON: it holds half of a surrogate pair, or NaN or Infinity."
    except RecursionError:
        return "too-deep", "This record is nested too deeply to be a CloudTrail record."
    return None


def kind_of(value: bytes) -> str:
    """What a JSON value is, for a person."""
    names = {b"[": "an array", b'"': "a string", b"n": "null", b"t": "true", b"f": "false", b"{": "another object"}
    return names.get(value[:1], "a number")


def identity_of(record: bytes) -> object:
    """What two spellings of one event share; None where a record has no id."""
    try:
        found = _identity.decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return (found.id, str(found.name), str(found.source), str(found.time)) if isinstance(found.id, str) else None


def _lacking(record: bytes, envelope: Envelope) -> Envelope | None:
    """Of what an envelope says, that which the record does not; None where it lacks nothing."""
    try:
        own = _own.decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        own = _Own()
    lacking = Envelope(
        envelope.account if own.recipient_account_id is None else None,
        envelope.region if own.aws_region is None else None,
        envelope.time if own.event_time is None else None,
        envelope.flag,
    )
    return None if lacking == Envelope() else lacking
