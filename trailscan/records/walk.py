"""The patient way through a text: every wrapper CloudTrail records arrive in, opened in place, damage stepped over.

It walks the bytes once instead of parsing them whole, so a broken stretch costs only the records it touches. It is the
slow path behind `shapes.unwrap`, ten times slower than the decoder that reads native files.
"""

import re

import msgspec

from trailscan.records.damage import Damage
from trailscan.records.salvage import Broken, Text, end_of_value, name_at, resume, skip_space
from trailscan.records.sift import NOT_A_RECORD, Sift, Stretch, kind_of

LEVELS = 4  # wrappers within wrappers: pages of envelopes, log events of records; more is not seen in the wild

_RECORDS = ("Records", "records")
_SPACES = " \t\r\n"
_CONTAINERS = {
    "Records": "records",
    "records": "records",
    "Events": "lookup-events",
    "events": "cloudwatch-logs",
    "logEvents": "cloudwatch-logs",
    "results": "logs-insights",
}
_RECORD_MARKS = frozenset(("eventVersion", "eventName", "insightDetails", "timeWindow"))
_DIGEST_MARKS = frozenset(("digestS3Object", "logFiles"))
_LOG_EVENT_MARKS = frozenset(("timestamp", "id", "ingestionTime", "eventId", "logStreamName"))
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]{1,20}Z?[ \t]++(?=[\[{])")  # CloudWatch Logs export tasks: time, record
_LIST_IS_LAST = re.compile(r"\][ \t\r\n]*+(?:\}[ \t\r\n]*+)?(?:\Z|[\[{])")
_LIST_ENDS = re.compile(r"[ \t\r\n]*+\][ \t\r\n]*+(?:\}[ \t\r\n]*+)?\Z")
_OTHER_DOCUMENT = re.compile(r'\{[ \t\r\n]*+"(?:Records|records|Events|events|logEvents|messageType|results)"|\d')
_LEFTOVERS = re.compile(r"[ \t\r\n,\]}]*+")
_RESCANS = 1  # times the text: so that the time stays linear
_SHORTEST_EVENT = 60  # bytes: no more than the names of the four members of an `_Event` take
_LOOK_BACK = 64  # characters: a string cut open swallows the opening of the record behind it, white space and all

_json_text = msgspec.json.Decoder(str)


class _Event(msgspec.Struct, rename="camel"):
    """What nearly every record has: enough to know one without looking at each member."""

    event_version: str
    event_time: str
    event_source: str
    event_name: str


_event = msgspec.json.Decoder(_Event)


class Walk:
    """One walk over one text; texts inside strings get a walk of their own, one level deeper."""

    def __init__(self, sift: Sift, raw: bytes, base: int | None = 0, level: int = 0) -> None:
        self.sift, self.raw, self.base, self.level = sift, raw, base, level
        self.text = Text(raw, "latin-1")
        self.resumed_at = -1
        self.rescanned = 0  # characters

    def documents(self) -> int:
        """Sift every value at the top of the text, one a line or one behind the other; return how many there were."""
        position, count, line_end = skip_space(self.text, 0), 0, -1
        stretch, ended, headless = Stretch(self.sift), 0, False
        while position < len(self.text):
            count += 1
            if stretch.count >= 0 and self._opens_document(position):
                stretch.close()
            start, taken = position, None
            if stamp := _STAMP.match(self.text, position):
                self.sift.named("cloudwatch-logs")
                position = stamp.end()
            if line_end < position:
                line_end = self.raw.find(b"\n", position) % (len(self.raw) + 1)
                taken = self._line(position, line_end)
            ended = taken or self._document(position)
            if ended == self.resumed_at:
                stretch.close()
                headless = self.text[start] not in "{["
                if not self._opens_document(ended):
                    stretch.open(self._where(ended))
            position = self._next_document(ended)
        stretch.close(trusted=headless and _LIST_ENDS.match(self.text, ended) is not None)
        return count

    def _opens_document(self, position: int) -> bool:
        """Whether what starts here stands in no list: at the start of a line, or behind neither comma nor bracket."""
        before = self.text[max(0, position - _LOOK_BACK) : position]
        last = before.rstrip(_SPACES)[-1:]
        return position == 0 or last not in (("", ",", "[", ":") if before[-1:] != "\n" else (":",))

    def _document(self, position: int) -> int:
        if self.text[position] in "{[":
            return self._value(position, LEVELS)
        self.refuse(position, "text that opens no object")
        return self.resume(position + 1)

    def _next_document(self, position: int) -> int:
        """Skip white space, and behind damage also what is left of the list that was not recognised."""
        leftovers = _LEFTOVERS.match(self.text, position) if self.resumed_at >= 0 else None
        return leftovers.end() if leftovers else skip_space(self.text, position)

    def _line(self, position: int, end: int) -> int | None:
        """Take a line that is one usual record, without walking it."""
        line = self.raw[position:end].rstrip() if _SHORTEST_EVENT <= end - position < 1 << 20 else b""
        if not line.startswith(b"{") or not _is_event(line):
            return None
        self.sift.keep(line, self._where(position))
        return end

    def _where(self, position: int) -> int | None:
        return None if self.base is None else self.base + position

    def _value(self, position: int, levels: int) -> int:
        """Sift the value that starts here; return where to go on."""
        first = self.text[position]
        if first == "{":
            return _Object(self, position, levels).walk()
        if first == "[" and levels:
            return self.elements(position + 1, levels - 1, guarded=levels == LEVELS)
        return self._element(position)

    def _element(self, position: int) -> int:
        """Sift an element that can only be a record, or something that is none."""
        end = end_of_value(self.text, position)
        if isinstance(end, Broken):
            return self.broken(position, end)
        value = self.raw[position:end]
        if self.text[position] != "{":
            self.sift.reject("not-a-record", NOT_A_RECORD % kind_of(value), self._where(position))
        else:
            self.sift.keep(value, self._where(position))
        return end

    def elements(self, position: int, levels: int, *, guarded: bool, records: bool = False) -> int:
        """Sift the elements of an array from behind its bracket; return the position behind its end.

        Behind damage, the bracket that ends the list must be the last of its document: else the elements since may be an
        array inside a broken record. They are kept, in doubt, and a `guarded` list is read on.
        """
        first, stretch = True, Stretch(self.sift)
        while (position := self._next_element(position, first)) < len(self.text):
            resumed = self.resumed_at == position
            if resumed and _OTHER_DOCUMENT.match(self.text, position):
                break
            if self.text[position] == "]":
                trusted = stretch.count < 0 or _LIST_IS_LAST.match(self.text, position) is not None
                stretch.close(trusted=trusted)
                if trusted or not guarded:
                    return position + 1
                position = self.resume(position + 1)
            else:
                position = self._element(position) if records and not resumed else self._value(position, levels)
            first = self.resumed_at == position
            if first:
                stretch.open(self._where(position))
        stretch.close()
        return position

    def _next_element(self, position: int, first: bool) -> int:
        """The position of the next element or of the closing bracket, or the end of the text."""
        text, start = self.text, position
        position = skip_space(text, position)
        if position < len(text) and not first and text[position] == ",":
            position = skip_space(text, position + 1)
            if position < len(text) and text[position] == "]":
                self.note("not-json", "A comma stands before the end of this array.", position)
        elif position < len(text) and not first and text[position] != "]":
            return self.stray(position, "This is not JSON: a comma or the end of the array was expected.")
        if position >= len(text) and self.resumed_at != start:
            self.note("truncated", "The text ends inside this array: the rest is missing.", position)
            self.resumed_at = position  # so that no wrapper around tells the same cut again
        return position

    def note(self, what: str, reason: str, position: int) -> None:
        """Hold damage of the text that is no element of its own."""
        self.sift.note(Damage(what, reason, None, self._where(position)))

    def stray(self, position: int, reason: str) -> int:
        """Step over what is no element; return where to go on."""
        self.note("not-json", reason, position)
        return self.resume(position)

    def broken(self, start: int, wrong: Broken) -> int:
        """Count the broken element that starts here; return where to go on."""
        self.sift.reject(wrong.what, wrong.reason, self._where(start))
        back = _LOOK_BACK if wrong.what == "not-json" else 0
        position = max(wrong.position - back, start + 1)
        line = self.text.find('\n{"', start + 1, position)
        if line >= 0 and self.rescanned <= _RESCANS * len(self.text):
            self.rescanned += position - line
            position = line + 1  # a record cut off may have swallowed the lines behind it
        return self.resume(position)

    def resume(self, position: int) -> int:
        """The position where reading can go on behind damage."""
        self.resumed_at = resume(self.text, position)
        return self.resumed_at

    def take(self, start: int, end: int) -> None:
        """Sift a slice of this text as a record."""
        self.sift.keep(self.raw[start:end], self._where(start))

    def refuse(self, start: int, kind: str) -> None:
        """Count an element that is no record."""
        self.sift.reject("not-a-record", NOT_A_RECORD % kind, self._where(start))

    def inside(self, start: int, end: int) -> None:
        """Sift what a member holds: a record, or a string that holds the text of one."""
        value, before = self.raw[start:end], self.sift.index
        if value.startswith(b'"'):
            self._inside_string(value, start)
        elif value.startswith(b"{") and self.level < LEVELS:
            Walk(self.sift, value, self._where(start), self.level + 1).documents()
        if self.sift.index == before:
            self.refuse(start, kind_of(value))

    def _inside_string(self, value: bytes, start: int) -> None:
        try:
            text = _json_text.decode(value).encode()
        except (msgspec.DecodeError, UnicodeDecodeError):
            what = "not-json" if value.isascii() else "not-utf8"
            self.sift.reject(what, "This string should hold a record, but cannot be decoded.", self._where(start))
            return
        if text.startswith(b"{") and _is_event(text):
            self.sift.keep(text, None)
        elif text.startswith(b"{") and self.level < LEVELS:
            Walk(self.sift, text, None, self.level + 1).documents()


def _is_event(value: bytes) -> bool:
    try:
        _event.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


class _Object:
    """The object at one position of a walk: a wrapper whose lists are opened on the way, or a leaf."""

    def __init__(self, walk: Walk, start: int, levels: int) -> None:
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
        """Know the object by the names of its members: a record, an envelope of one, or nothing of ours."""
        names, sift = self.values.keys(), self.on.sift
        if names & _RECORD_MARKS and (not self.opened or _is_event(self.on.raw[self.start : end])):
            self.on.take(self.start, end)
        elif self.opened or self._is_control():
            return
        elif "CloudTrailEvent" in names:
            self._envelope("lookup-events", "CloudTrailEvent")
        elif "detail" in names and ("detail-type" in names or "source" in names):
            self._envelope("eventbridge", "detail")
        elif "message" in names and names & _LOG_EVENT_MARKS:
            self._log_event()
        elif "@message" in names:
            self._envelope("logs-insights", "@message")
        elif names == {"field", "value"}:
            self._field()
        elif names & _DIGEST_MARKS:
            sift.named("digest")
        elif shape := next((shape for name, shape in _CONTAINERS.items() if self._text(name) == "null"), None):
            sift.named(shape)
        else:
            self.on.refuse(self.start, "another object")

    def _envelope(self, shape: str, name: str) -> None:
        self.on.sift.named(shape)
        self.on.inside(*self.values[name])

    def _log_event(self) -> None:
        if not self._text("message").startswith('"CWL CONTROL MESSAGE'):
            self._envelope("cloudwatch-logs", "message")

    def _field(self) -> None:
        """One cell of a Logs Insights row; only the cell with the message holds a record."""
        if self._text("field") == '"@message"':
            self._envelope("logs-insights", "value")
        else:
            self.on.sift.cells += 1
