"""Texts in other clothes: UTF-16, records that separators stand before, JSON or packed bytes within a string.

Never raises on bad input; how much may come out of strings is bounded by a `Budget`.
"""

import base64
import binascii
import re

import msgspec

from trailscan.records.damage import Damage
from trailscan.records.inflate import inflate

UNPACKED_LIMIT = 64 << 20  # bytes that one packed string may inflate to; CloudWatch and Kinesis send a megabyte
UNPACKED_TOTAL = 256 << 20  # bytes that all packed strings of one object may inflate to

_BOMS = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_UTF8_BOM = b"\xef\xbb\xbf"
_SEPARATOR = b"\x1e"  # RFC 7464: before each document of a JSON text sequence
_WHITE = b" \t\r\n"
_PACKED = (b"H4sI", b"eyJ")  # base64 of gzip and of JSON
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\-\r\n]+={0,2}\s*")
_SHORTEST_PACKED = 60
_json_text = msgspec.json.Decoder(str)


class Plain(msgspec.Struct, frozen=True):
    """A text as UTF-8: where it begins in the object's bytes, None where the offsets are not those of the object."""

    body: bytes
    base: int | None = 0
    damage: tuple[Damage, ...] = ()


class Budget:
    """How many bytes may still come out of the packed strings of one object."""

    def __init__(self, total: int = UNPACKED_TOTAL) -> None:
        self.left = total


def as_utf8(raw: bytes) -> Plain:
    """The text of an object in UTF-8, without a byte order mark; separators of RFC 7464 become spaces.

    Damage: not-utf16, truncated.
    """
    encoding = _encoding_of(raw)
    if encoding is not None:
        return _from_utf16(raw, encoding)
    base = len(_UTF8_BOM) if raw.startswith(_UTF8_BOM) else 0
    body = raw[base:]
    if body.lstrip(_WHITE).startswith(_SEPARATOR):
        body = body.replace(_SEPARATOR, b" ")
    return Plain(body, base)


def _encoding_of(raw: bytes) -> str | None:
    """The UTF-16 that a text is in; without a mark, known by the zeros beside its first two characters."""
    marked = next((name for mark, name in _BOMS if raw.startswith(mark)), None)
    if marked is None:
        zeros = [byte == 0 for byte in raw[:4]]
        if zeros == [False, True, False, True]:
            return "utf-16-le"
        if zeros == [True, False, True, False]:
            return "utf-16-be"
    return marked


def _from_utf16(raw: bytes, encoding: str) -> Plain:
    damage = []
    whole = len(raw) & ~1
    if whole != len(raw):
        damage.append(Damage("truncated", "The UTF-16 text ends within a character.", None, whole))
    try:
        text = raw[:whole].decode(encoding)
    except UnicodeDecodeError as error:
        reason = f"This is not UTF-16, {error.reason}: the character was replaced."
        damage.append(Damage("not-utf16", reason, None, error.start))
        text = raw[:whole].decode(encoding, "replace")
    body = text.removeprefix("\ufeff").encode()
    if body.lstrip(_WHITE).startswith(_SEPARATOR):
        body = body.replace(_SEPARATOR, b" ")
    return Plain(body, None, tuple(damage))


def text_of(value: bytes) -> bytes | None:
    """What a JSON string says, as UTF-8; None for a string that cannot be decoded."""
    try:
        return _json_text.decode(value).encode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def may_be_packed(value: bytes) -> bool:
    """Whether a string begins as base64 of JSON, or of packed JSON, does."""
    return len(value) >= _SHORTEST_PACKED and value.startswith(_PACKED)


def unpacked(text: bytes, budget: Budget) -> tuple[bytes, tuple[Damage, ...]] | None:
    """The bytes that base64 stands for, decompressed; None where it is no base64 of anything to read."""
    if not may_be_packed(text) or not _BASE64.fullmatch(text.strip()):
        return None
    compact = b"".join(text.split()).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        data = base64.b64decode(compact + b"=" * (-len(compact) % 4))
    except (binascii.Error, ValueError):
        return None
    found = inflate(data, min(UNPACKED_LIMIT, budget.left))
    budget.left -= len(found.raw) if found.layers else 0
    return (found.raw, found.damage) if found.raw or found.damage else None
