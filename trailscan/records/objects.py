"""The object at one position of a walk: a wrapper whose lists are opened on the way, a record, or neither.

It knows the wrappers by the names of their members; what it does not know by name is looked into all the same.
"""

from typing import TYPE_CHECKING

from trailscan.records.collector import Envelope, identity_of
from trailscan.records.foreign import kind_of_members
from trailscan.records.known import RAW_NAMES, is_record
from trailscan.records.recovery import Broken, end_of_value, name_at, skip_space

if TYPE_CHECKING:
    from trailscan.records.json_scan import Walk

_RECORDS = ("Records", "records")
_CONTAINERS = {
    "Records": "records",
    "records": "records",
    "Events": "lookup-events",
    "events": "cloudwatch-logs",
    "logEvents": "cloudwatch-logs",
    "results": "logs-insights",
}
_DIGEST_MARKS = frozenset(("digestS3Object", "logFiles"))
_LOG_EVENT_MARKS = frozenset(("timestamp", "id", "ingestionTime", "eventId", "logStreamName"))
_LONGEST_TEXT = 100  # characters of a member that is looked at as text
# Wrappers that are named by their members; all of a set must be there.
_WRAPPERS = tuple(
    (frozenset(names.split()), shape)
    for names, shape in (
        ("_raw", "splunk"), ("result preview", "splunk"), ("QueryResultRows", "lake"), ("eventJson", "lake"),
        ("hits", "elasticsearch"), ("_source", "elasticsearch"), ("TopicArn", "sns"), ("Sns", "sns"), ("receiptHandle", "sqs"),
        ("ReceiptHandle", "sqs"), ("Messages", "sqs"), ("kinesis", "kinesis"), ("awslogs", "cloudwatch-logs"),
        ("deliveryStreamArn", "firehose"), ("full_log", "wazuh"), ("full_message", "graylog"), ("log", "fluent-bit"),
        ("@timestamp", "elasticsearch"),
    )
)  # fmt: skip


class Wrapper:
    """One object, walked member by member."""

    def __init__(self, walk: "Walk", start: int, levels: int) -> None:
        self.on, self.start, self.levels = walk, start, levels
        self.values: dict[str, tuple[int, int]] = {}
        self.opened: set[str] = set()

    def walk(self) -> int:
        """Sift the object; return where to go on."""
        text, position, first = self.on.text, self.start + 1, True
        while True:
            position = skip_space(text, position)
            if text[position : position + 1] == "}":
                if first:
                    self.on.refuse(self.start, "an empty object")
                else:
                    self._leaf(position + 1)
                return position + 1
            if not first and text[position : position + 1] == ",":
                position = skip_space(text, position + 1)
            elif not first and position < len(text):
                return self._broken(Broken("not-json", "This is not JSON: a comma or a closing brace was expected.", position))
            after = self._member(position)
            if isinstance(after, Broken):
                return self._broken(after)
            if after == self.on.resumed_at:
                return after
            position, first = after, False

    def _member(self, position: int) -> int | Broken:
        found = name_at(self.on.text, position)
        if isinstance(found, Broken):
            return found
        name, value = found
        if name in _CONTAINERS and self.levels and self.on.text[value : value + 1] == "[":
            return self._open(name, value)
        end = end_of_value(self.on.text, value)
        if isinstance(end, int):
            self.values[name] = (value, end)
        return end

    def _open(self, name: str, value: int) -> int:
        """Sift the list of a wrapper; the same list twice is a way to hide records from other readers."""
        self.on.sift.named(_CONTAINERS[name])
        if name in self.opened:
            self.on.note("duplicate-key", f'The name "{name}" stands twice in this object: both lists were read.', value)
        self.opened.add(name)
        return self.on.elements(value + 1, self.levels - 1, guarded=name in _RECORDS, records=name in _RECORDS)

    def _broken(self, wrong: Broken) -> int:
        if not self.opened:
            return self.on.broken(self.start, wrong)
        self.on.note(wrong.what, wrong.reason, wrong.position)
        return self.on.resume(wrong.position)

    def _text(self, name: str) -> str:
        start, end = self.values.get(name, (0, 0))
        return self.on.text[start:end]

    def _is_control(self) -> bool:
        return self._text("messageType") == '"CONTROL_MESSAGE"'

    def _leaf(self, end: int) -> None:
        """Know the object by its members: a record, an envelope of one, something that holds one, or nothing of ours."""
        if is_record(self._members()):
            if self.opened or not (self.values.keys() & RAW_NAMES and self._descend(raw_only=True)):
                self.on.take(self.start, end)
        elif not (self.opened or self._is_control() or self._is_envelope() or self._is_empty() or self._descend()):
            self.on.stranger(kind_of_members(self._members()))

    def _is_envelope(self) -> bool:
        """Sift what a known envelope of one record holds; False where this is none."""
        names = self.values.keys()
        if "CloudTrailEvent" in names:
            self._envelope("lookup-events", "CloudTrailEvent")
        elif "detail" in names and names & {"detail-type", "source"}:
            self._event_of_bus()
        elif "message" in names and names & _LOG_EVENT_MARKS and not names & {"@timestamp", "event"}:
            self._log_event()
        elif "@message" in names and self._text("@message").startswith(('"{', "{")):
            self._envelope("logs-insights", "@message")
        elif names == {"field", "value"}:
            self._field()
        else:
            return False
        return True

    def _is_empty(self) -> bool:
        """Whether this holds no record and need not: a digest, or a wrapper without its list."""
        shape = next((shape for name, shape in _CONTAINERS.items() if self._text(name) == "null"), None)
        shape = "digest" if self.values.keys() & _DIGEST_MARKS else shape
        if shape is not None:
            self.on.sift.named(shape)
        return shape is not None

    def _descend(self, *, raw_only: bool = False) -> bool:
        """Look into every member, those first that hold original text; whether there was a record, or damage of one."""
        sift, before, named = self.on.sift, self.on.sift.index, self.on.sift.shape
        seen: set[object] = set()
        names = sorted(self.values, key=lambda name: name not in RAW_NAMES)
        for name in names:
            if raw_only and name not in RAW_NAMES:
                break
            count, index = len(sift.records), sift.index
            self.on.look_into(*self.values[name])
            sift.drop_repeated(count, index, seen)
            if len(names) > 1:
                seen.update(identity for record in sift.records[count:] if (identity := identity_of(record)))
        if sift.index == before:
            return False
        sift.shape = named or self._shape()
        return True

    def _shape(self) -> str:
        names = self.values.keys()
        return next((shape for wanted, shape in _WRAPPERS if wanted <= names), "wrapped")

    def _members(self) -> dict[str, str]:
        text = self.on.text
        return {name: text[start : min(end, start + _LONGEST_TEXT)] for name, (start, end) in self.values.items()}

    def _envelope(self, shape: str, name: str) -> None:
        self.on.sift.named(shape)
        self.on.inside(*self.values[name], is_line=shape != "lookup-events")

    def _event_of_bus(self) -> None:
        """An event of EventBridge: what CloudTrail put there is a record, which may lack what the envelope says."""
        sift, around, shape = self.on.sift, self.on.sift.envelope, self.on.sift.shape
        sift.envelope = Envelope(*(self._string(name) for name in ("account", "region", "time")))
        try:
            found = self.on.look_into(*self.values["detail"])
        finally:
            sift.envelope = around
        if found:
            sift.shape = shape or "eventbridge"
        else:
            self.on.stranger(kind_of_members(self._members()))

    def _string(self, name: str) -> str | None:
        text = self._text(name)
        return text[1:-1] or None if text.startswith('"') and len(text) < _LONGEST_TEXT and "\\" not in text else None

    def _log_event(self) -> None:
        if not self._text("message").startswith('"CWL CONTROL MESSAGE'):
            self._envelope("cloudwatch-logs", "message")

    def _field(self) -> None:
        """One cell of a Logs Insights row; only the cell with the message holds a record."""
        if self._text("field") == '"@message"':
            self._envelope("logs-insights", "value")
        else:
            self.on.sift.cells += 1
