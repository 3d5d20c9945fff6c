"""The patient way through a text: every wrapper CloudTrail records arrive in, opened in place, damage stepped over.

It walks the bytes once instead of parsing them whole, so a broken stretch costs only the records it touches. It is the
slow path behind `shapes.unwrap`, ten times slower than the decoder that reads native files.
"""

import re
from collections import Counter

from trailscan.records.collector import NOT_A_RECORD, RecordCollector, Stretch, kind_of
from trailscan.records.damage import Damage
from trailscan.records.foreign import kind_of_bytes
from trailscan.records.known import is_usual_record
from trailscan.records.objects import Wrapper
from trailscan.records.recovery import Broken, Text, end_of_value, resume, skip_space
from trailscan.records.texts import may_be_packed, text_of, unpacked

LEVELS = 4  # lists within lists that are opened in place, where damage costs only the record it is in
DEPTH = 24  # objects, lists and texts within each other that are looked into at all

_SPACES = " \t\r\n"
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]{1,20}Z?[ \t]++(?=[\[{])")  # CloudWatch Logs export tasks: time, record
_SYSLOG = re.compile(
    r'(?:<\d{1,3}>|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d )[^\n{}"]{0,300}+(?=\{)'
)  # RFC 3164 and 5424: header, record
_LIST_IS_LAST = re.compile(r"\][ \t\r\n]*+(?:\}[ \t\r\n]*+)?(?:\Z|[\[{])")
_LIST_ENDS = re.compile(r"[ \t\r\n]*+\][ \t\r\n]*+(?:\}[ \t\r\n]*+)?\Z")
_OTHER_DOCUMENT = re.compile(r'\{[ \t\r\n]*+"(?:Records|records|Events|events|logEvents|messageType|results)"|\d')
_LEFTOVERS = re.compile(r"[ \t\r\n,\]}]*+")
_RESCANS = 1  # times the text: so that the time stays linear
_SHORTEST_EVENT = 60  # bytes: no more than the names of a record's four members take
_WITHIN = b'\\"event'  # of the text of an event within a string
_EVENT = b"event"
_ESCAPE = b"\\u00"  # a name may be spelled with escapes
_PACKED = (b'"H4sI', b'"eyJ')
_MEMBER_OF_RECORD = re.compile(rb'"event(?:Version|Source|Name)"\s*:')
_LOOK_BACK = 64  # characters: a string cut open swallows the opening of the record behind it, white space and all


class Walk:
    """One walk over one text; what members and strings hold gets a walk of its own, one level deeper.

    `base` is where the text stands in the object; with `is_fixed`, all that is found in it is said to stand there. A `quiet`
    walk looks whether there are records, and counts nothing else but damage.
    """

    def __init__(
        self,
        sift: RecordCollector,
        raw: bytes,
        base: int | None = 0,
        level: int = 0,
        *,
        is_fixed: bool = False,
        quiet: bool = False,
    ) -> None:
        self.sift, self.raw, self.base, self.level = sift, raw, base, level
        self.is_fixed, self.quiet = is_fixed, quiet
        self.text = Text(raw, "latin-1")
        self.resumed_at = -1
        self.rescanned = 0  # characters
        self.missed: Counter[str] = Counter()  # of a quiet walk: the elements of the list in hand that are not CloudTrail

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
            elif header := _SYSLOG.match(self.text, position):
                self.sift.named("syslog")
                position = header.end()
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
        if self.text[position] == '"' and (ended := self._text_document(position)) is not None:
            return ended
        self.refuse(position, "text that opens no object")
        return self.resume(position + 1)

    def _next_document(self, position: int) -> int:
        """Skip white space, and behind damage also what is left of the list that was not recognised."""
        leftovers = _LEFTOVERS.match(self.text, position) if self.resumed_at >= 0 else None
        return leftovers.end() if leftovers else skip_space(self.text, position)

    def _line(self, position: int, end: int) -> int | None:
        """Take a line that is one usual record, without walking it."""
        line = self.raw[position:end].rstrip() if _SHORTEST_EVENT <= end - position < 1 << 20 else b""
        if not line.startswith(b"{") or _WITHIN in line or not is_usual_record(line):
            return None
        self.sift.keep(line, self._where(position))
        return end

    def _where(self, position: int) -> int | None:
        return self.base if self.base is None or self.is_fixed else self.base + position

    def _value(self, position: int, levels: int) -> int:
        """Sift the value that starts here; return where to go on."""
        first = self.text[position]
        if first == "{":
            return Wrapper(self, position, levels).walk()
        if first == "[" and levels:
            return self.elements(position + 1, levels - 1, guarded=levels == LEVELS)
        return self._element(position, levels)

    def _element(self, position: int, levels: int) -> int:
        """Sift an element that is most likely a record: known at one look, or else looked into."""
        end = end_of_value(self.text, position)
        if isinstance(end, Broken):
            return self.broken(position, end)
        value = self.raw[position:end]
        if value.startswith(b"{") and (_WITHIN in value or not is_usual_record(value)):
            return Wrapper(self, position, levels).walk()
        if value.startswith(b"{"):
            self.sift.keep(value, self._where(position))
        elif not self.look_into(position, end):
            self.refuse(position, kind_of(value))
        return end

    def _text_document(self, position: int) -> int | None:
        """Sift a string at the top of a text; None where it holds no record, or is none."""
        end = end_of_value(self.text, position)
        return end if isinstance(end, int) and self.look_into(position, end) else None

    def elements(self, position: int, levels: int, *, guarded: bool, records: bool = False) -> int:
        """Sift the elements of an array from behind its bracket; return the position behind its end.

        Behind damage, the bracket that ends the list must be the last of its document: else the elements since may be an
        array inside a broken record. They are kept, in doubt, and a `guarded` list is read on.
        """
        stretch, count = Stretch(self.sift), len(self.sift.records)
        missed, self.missed = self.missed, Counter()
        try:
            return self._elements(position, levels, stretch, guarded, records)
        finally:
            if len(self.sift.records) > count:
                for kind, number in self.missed.items():
                    self.sift.stranger(kind, number)
            self.missed = missed

    def _elements(self, position: int, levels: int, stretch: Stretch, guarded: bool, records: bool) -> int:
        first = True
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
                position = self._element(position, levels) if records and not resumed else self._value(position, levels)
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
        if not self.quiet:
            self.sift.reject("not-a-record", NOT_A_RECORD % kind, self._where(start))

    def stranger(self, kind: str) -> None:
        """Count an object that is sound and not CloudTrail: in a quiet walk only if its list has records as well."""
        if self.quiet:
            self.missed[kind] += 1
        else:
            self.sift.stranger(kind)

    def inside(self, start: int, end: int, *, is_line: bool) -> None:
        """Sift what the member of a known envelope holds: what is no record there is counted, as damage but for log lines."""
        value, before = self.raw[start:end], self.sift.index
        if value.startswith(b'"'):
            self._inside_string(value, start, is_line=is_line)
        elif value.startswith(b"{") and self.level < DEPTH:
            self._within(value, start, quiet=self.quiet).documents()
        if self.sift.index == before:
            self.refuse(start, kind_of(value))

    def look_into(self, start: int, end: int) -> bool:
        """Sift the records that a value holds, however deep within it; whether there was one, or damage of one."""
        value, before = self.raw[start:end], self.sift.index
        if self.level >= DEPTH:
            return False
        if value.startswith((b"{", b"[")):
            if _may_hold(value):
                self._within(value, start, quiet=True).documents()
        elif value.startswith(b'"') and (_may_hold(value) or may_be_packed(value[1:])):
            text = text_of(value)
            if text is not None:
                self._look_into_text(text, start)
        return self.sift.index > before

    def _look_into_text(self, text: bytes, start: int) -> None:
        packed = unpacked(text, self.sift.budget)
        if packed is not None:
            text, damage = packed
            for found in damage if _may_hold(text) else ():
                self.note(found.what, found.reason, start)
        opening = text.lstrip(b" \t\r\n")[:1]
        is_json = opening in (b"{", b"[") and _MEMBER_OF_RECORD.search(text) is not None
        if is_json or (opening in (b"{", b"[", b'"') and _is_json(text)):
            self._within(text, start, quiet=True, is_fixed=True).documents()
        elif (stamp := _STAMP.match(text.decode("latin-1"))) is not None:
            self._within(text[stamp.end() :], start, quiet=True, is_fixed=True).documents()

    def _inside_string(self, value: bytes, start: int, *, is_line: bool) -> None:
        text = text_of(value)
        if text is None:
            what = "not-json" if value.isascii() else "not-utf8"
            self.sift.reject(what, "This string should hold a record, but cannot be decoded.", self._where(start))
        elif text.lstrip(b" \t\r\n").startswith(b"{") and self.level < DEPTH:
            self._within(text, start, quiet=self.quiet, is_fixed=True).documents()
        elif not self.look_into(start, start + len(value)) and is_line and text.strip():
            self.stranger(f"a line of a log, {kind_of_bytes(text)}")

    def _within(self, value: bytes, start: int, *, quiet: bool, is_fixed: bool = False) -> "Walk":
        return Walk(self.sift, value, self._where(start), self.level + 1, is_fixed=self.is_fixed or is_fixed, quiet=quiet)


def _may_hold(value: bytes) -> bool:
    """Whether a value can hold a record at all: the name of one of its members, or packed bytes."""
    return _EVENT in value or _ESCAPE in value or any(mark in value for mark in _PACKED)


def _is_json(text: bytes) -> bool:
    whole = Text(text, "latin-1")
    end = end_of_value(whole, skip_space(whole, 0))
    return isinstance(end, int)
