"""Plain bytes to raw CloudTrail records, whatever wrapper they arrive in; the records are slices, never re-encoded.

Native files take one call of a decoder and a proof by arithmetic; all else is walked by `records.walk`. Never raises on
bad input: what cannot be read comes out as `Damage`.
"""

import re
from collections.abc import Sequence

import msgspec

from trailscan.records.damage import Damage
from trailscan.records.insights import is_insights_csv, messages
from trailscan.records.needles import Sieve
from trailscan.records.sift import Sift
from trailscan.records.walk import Walk

_NATIVE = b'{"Records":['
_END = b"]}"
_BOM = b"\xef\xbb\xbf"
_OPENING = b'{"'  # of an object that is not empty and has no white space
_NEWLINE = ord("\n")
_WHITE = b" \t\r\n"
_CODE = re.compile(rb"<Code>([\w.-]{1,100})</Code>")
_NOT_CLOUDTRAIL = "The object holds no CloudTrail records in any shape known here."


class _Native(msgspec.Struct):
    Records: list[msgspec.Raw]


_native = msgspec.json.Decoder(_Native)


class Unwrapped(msgspec.Struct):
    """The records of an object: `records[n]` is its element number `indexes[n]`; damage has the indexes in between.

    Shapes: records, array, record, json-lines, lookup-events, eventbridge, cloudwatch-logs, logs-insights, digest,
    error-body, unknown.
    """

    shape: str
    records: Sequence[msgspec.Raw | bytes]
    indexes: Sequence[int]
    damage: list[Damage]


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
    return raw.startswith(_NATIVE) and raw[-4:].rstrip(b"\r\n").endswith(_END)


def unwrap_sifted(raw: bytes, sieve: Sieve) -> tuple[Unwrapped, int] | None:
    """The records of a native text that a sieve lets through, and how many there are in all; None where it is not native.

    Only what is let through is looked at closely: that the rest are objects and UTF-8 is not asked.
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
    if not all(record.startswith(_OPENING) and _is_utf8(record) for record in chosen):
        return None
    return Unwrapped("records", chosen, kept, []), len(records)


def _nothing_else(raw: bytes, records: list[msgspec.Raw]) -> bool:
    """Whether the file is UTF-8 and holds these objects, the commas between them, and not one byte more."""
    position = len(_NATIVE)
    for record in records:
        if raw[position : position + 2] != _OPENING:
            return False
        position += len(memoryview(record)) + 1
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
    base = len(_BOM) if raw.startswith(_BOM) else 0
    body = raw[base:]
    start = body.lstrip(_WHITE)[:1]
    if start == b"<":
        return Unwrapped("error-body", [], [], [_error_body(body)])
    sift = Sift()
    if is_insights_csv(body):
        _insights(sift, body, base)
        return _settled(sift, "logs-insights")
    if not start:
        return Unwrapped("unknown", [], [], [Damage("empty", "The object holds nothing but white space.")])
    count = Walk(sift, body, base).documents()
    if start not in (b"{", b"[") and not sift.records and sift.shape is None:
        return Unwrapped("unknown", [], [], [Damage("not-cloudtrail", _NOT_CLOUDTRAIL)])
    return _settled(sift, "json-lines" if count > 1 else "array" if start == b"[" else "record")


def _insights(sift: Sift, body: bytes, base: int) -> None:
    sift.named("logs-insights")
    for text, start in messages(body):
        before = sift.index
        if text is None:
            sift.reject("truncated", "This row is broken or has no @message: it could not be read.", base + start)
            continue
        Walk(sift, text, None, 1).documents()
        if sift.index == before:
            sift.reject("not-a-record", "The @message of this row is empty.", base + start)


def _settled(sift: Sift, layout: str) -> Unwrapped:
    """What was found, under the wrapper's name; a text of nothing but strangers is one damage, not one for each."""
    if not sift.records and (sift.without_message or (sift.shape is None and _only_strangers(sift))) and layout != "array":
        return Unwrapped(sift.shape or "unknown", [], [], [Damage("not-cloudtrail", _NOT_CLOUDTRAIL)])
    return Unwrapped(sift.shape or layout, sift.records, sift.indexes, sift.all_damage())


def _only_strangers(sift: Sift) -> bool:
    return all(damage.what == "not-a-record" for damage in sift.damage)


def _error_body(body: bytes) -> Damage:
    code = _CODE.search(body[: 1 << 16])
    named = f" ({code[1].decode()})" if code else ""
    return Damage("error-body", f"The object is an error page{named}, saved in place of the file: fetch it again.", None, 0)
