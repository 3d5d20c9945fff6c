"""Plain bytes to raw CloudTrail records, whatever wrapper they arrive in; the records are slices, never re-encoded.

Native files take one call of a decoder and a proof by arithmetic; all else is walked by `records.walk`. Never raises on
bad input: what cannot be read comes out as `Damage`.
"""

import re
from collections.abc import Sequence

import msgspec

from trailscan.records.collector import Envelope, RecordCollector
from trailscan.records.csv_tables import read_table, table_in
from trailscan.records.damage import Damage
from trailscan.records.foreign import kind_of_bytes
from trailscan.records.json_scan import Walk
from trailscan.records.known import is_usual_record
from trailscan.records.prefilter import Find, Prefilter
from trailscan.records.texts import as_utf8

_NATIVE = b'{"Records":['
_END = b"]}"
_USUAL = re.compile(rb'\{"eventVersion":"1\.\d\d?","userIdentity":\{')  # how a record of CloudTrail's own files opens
_FIRST = b'{"Records":[{"eventVersion":"1.'
_WITHIN = b'\\"event'  # in a string: a record may lie within it
_MARKS = (_WITHIN, b'"H4sI', b'"eyJ')  # base64 of gzip and of JSON
_NEWLINE = ord("\n")
_BRACE = ord("{")
_WHITE = b" \t\r\n"
_CODE = re.compile(rb"<Code>([\w.-]{1,100})</Code>")
_PRIORITY = re.compile(rb"\s*+<\d{1,3}>")  # a line of syslog
_NOT_CLOUDTRAIL = "The object is not CloudTrail: it seems to be %s."
_STRANGERS = "%s of its elements are not CloudTrail: they seem to be %s."
KINDS_NAMED = 3


class _Native(msgspec.Struct):
    Records: list[msgspec.Raw]


_native = msgspec.json.Decoder(_Native)


class Unwrapped(msgspec.Struct):
    """The records of an object: `records[n]` is its element number `indexes[n]`; damage has the indexes in between.

    `foreign` counts the elements beside them that are sound and not CloudTrail; the damage "not-cloudtrail" names them.
    `envelopes` has what stands around a record and not in it, by the record's index.
    Shapes: records, array, record, json-lines, lookup-events, eventbridge, cloudwatch-logs, logs-insights, csv,
    event-history-csv, splunk, lake, elasticsearch, sns, sqs, kinesis, firehose, wazuh, graylog, fluent-bit, syslog, wrapped,
    digest, error-body, unknown.
    """

    shape: str
    records: Sequence[msgspec.Raw | bytes]
    indexes: Sequence[int]
    damage: list[Damage]
    foreign: int = 0
    envelopes: dict[int, Envelope] = {}


def unwrap(raw: bytes) -> Unwrapped:
    """Every CloudTrail record in the inflated bytes of an object, as slices of JSON text.

    Damage: truncated, not-json, not-utf8, too-deep, not-a-record, duplicate-key, error-body, not-cloudtrail, empty,
    more-damage.
    """
    if raw.startswith(_NATIVE):
        try:
            records = _native.decode(raw).Records
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return _patiently(raw)
        if _nothing_else(raw, records):
            return Unwrapped("records", records, range(len(records)), [])
    return _patiently(raw)


def looks_native(raw: bytes) -> bool:
    """Whether the text begins and ends as CloudTrail's own files do: not an error page, not cut off."""
    return raw.startswith(_FIRST) and raw[-4:].rstrip(b"\r\n").endswith(_END)


def may_wrap(find: Find) -> bool:
    """Whether a text, by its finder, can hold a record within a string, where no needle for a whole string finds it."""
    return any(next(find(mark), None) is not None for mark in _MARKS)


def unwrap_sifted(raw: bytes, sieve: Prefilter) -> tuple[Unwrapped, int] | None:
    """The records of a native text that a sieve lets through, and how many there are in all; None where it is not native.

    Only what is let through is looked at closely: that the rest are records and UTF-8 is not asked.
    """
    try:
        records = _native.decode(raw).Records
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    lengths = [memoryview(record).nbytes for record in records]
    if len(_NATIVE) + sum(lengths) + max(len(lengths) - 1, 0) + len(_END) != len(raw.rstrip(b"\r\n")):
        return None
    kept = sieve.hits_of_native(raw, lengths)
    chosen = [bytes(records[position]) for position in kept]
    if not all(is_usual_record(record) and _is_utf8(record) for record in chosen):
        return None
    return Unwrapped("records", chosen, kept, []), len(records)


def _nothing_else(raw: bytes, records: list[msgspec.Raw]) -> bool:
    """Whether the file is UTF-8 and holds these records of CloudTrail, the commas between them, and not one byte more."""
    position, opens_as_usual = len(_NATIVE), _USUAL.match
    for record in records:
        length = len(memoryview(record))
        if not opens_as_usual(raw, position) and (raw[position] != _BRACE or not is_usual_record(record)):
            return False
        position += length + 1
    position += 1 if records else 2  # the last record has no comma; then the two brackets
    if position != len(raw) and (raw[-1] != _NEWLINE or position != len(raw.rstrip(b"\r\n"))):
        return False
    return raw.isascii() or _is_utf8(raw)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _patiently(raw: bytes) -> Unwrapped:
    plain = as_utf8(raw)
    body = plain.body
    start = body.lstrip(_WHITE)[:1]
    if start == b"<" and not _PRIORITY.match(body):
        return Unwrapped("error-body", [], [], [_error_body(body)])
    if not start:
        return Unwrapped("unknown", [], [], [Damage("empty", "The object holds nothing but white space.")])
    sift = RecordCollector()
    sift.damage += plain.damage
    if table := table_in(body):
        read_table(sift, table, body, plain.base)
        return _settled(sift, "csv")
    count = Walk(sift, body, plain.base).documents()
    if start not in (b"{", b"[") and not sift.records and sift.shape is None:
        return Unwrapped("unknown", [], [], [*plain.damage, Damage("not-cloudtrail", _NOT_CLOUDTRAIL % kind_of_bytes(raw))])
    return _settled(sift, "json-lines" if count > 1 else "array" if start == b"[" else "record")


def _settled(sift: RecordCollector, layout: str) -> Unwrapped:
    """What was found, under the wrapper's name; a text of nothing but strangers is one damage, not one for each."""
    shape = sift.shape or layout
    if not sift.records and _only_strangers(sift):
        if sift.foreign:
            return Unwrapped("unknown", [], [], [Damage("not-cloudtrail", _NOT_CLOUDTRAIL % _kinds(sift))])
        if sift.without_message:
            reason = _NOT_CLOUDTRAIL % "a result of Logs Insights without @message: ask for that field"
            return Unwrapped(shape, [], [], [Damage("not-cloudtrail", reason)])
        if sift.shape is None and layout != "array":
            return Unwrapped("unknown", [], [], [Damage("not-cloudtrail", _NOT_CLOUDTRAIL % "JSON without members")])
    damage = sift.all_damage()
    if sift.foreign:
        damage.append(Damage("not-cloudtrail", _STRANGERS % (f"{sift.foreign_elements:,}", _kinds(sift))))
    return Unwrapped(shape, sift.records, sift.indexes, damage, sift.foreign_elements, sift.envelopes)


def _only_strangers(sift: RecordCollector) -> bool:
    return all(damage.what == "not-a-record" for damage in sift.damage)


def _kinds(sift: RecordCollector) -> str:
    """What the strangers seem to be, the most frequent first."""
    named = [kind for kind, _ in sift.foreign.most_common(KINDS_NAMED)]
    more = len(sift.foreign) - len(named)
    return "; ".join(named) + (f"; and {more:,} more kinds" if more else "")


def _error_body(body: bytes) -> Damage:
    code = _CODE.search(body[: 1 << 16])
    named = f" ({code[1].decode()})" if code else ""
    return Damage("error-body", f"The object is an error page{named}, saved in place of the file: fetch it again.", None, 0)
