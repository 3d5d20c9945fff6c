"""Compressed bytes to plain bytes, however damaged: what can be had is kept, what is wrong comes out as `Damage`.

Never raises on bad input, and never holds much more than `limit` bytes of output: an object may be a bomb.
"""

import bz2
import hashlib
import lzma
import re
import zlib
from collections.abc import Callable
from typing import Protocol, cast

import msgspec
from isal import igzip_lib, isal_zlib

from trailscan.records.damage import Damage

INFLATED_LIMIT = 2 << 30  # bytes; the largest CloudTrail objects seen inflate to some tens of megabytes

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_DEFLATE_RATIO = 1100  # deflate cannot do better than about 1032 to 1
_XZ_MEMORY = 256 << 20  # an xz header may ask for gigabytes of dictionary
_isal_error = cast("type[Exception]", igzip_lib.IsalError)  # its stub declares an instance
_LAYERS = 2  # HTTP clients that mishandle Content-Encoding leave gzip within gzip
_FIRST_STEP, _LAST_STEP = 1 << 10, 1 << 20
_ZEROS = re.compile(rb"\0*+")


class Inflated(msgspec.Struct, frozen=True):
    """The plain bytes of an object, what was wrong on the way, and the compressions undone, outermost first."""

    raw: bytes
    damage: tuple[Damage, ...] = ()
    layers: tuple[str, ...] = ()


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /, max_length: int) -> bytes: ...


class _Format(msgspec.Struct, frozen=True):
    name: str
    magic: re.Pattern[bytes]
    inflater: Callable[[], _Inflater]
    errors: tuple[type[Exception], ...]


_FORMATS = (
    _Format("gzip", re.compile(rb"\x1f\x8b"), lambda: isal_zlib.decompressobj(31), (_isal_error,)),
    _Format("bzip2", re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"), bz2.BZ2Decompressor, (OSError,)),
    _Format(
        "xz",
        re.compile(rb"\xfd7zXZ\0"),
        lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY),
        (lzma.LZMAError, MemoryError),
    ),
)


def inflate(data: bytes, limit: int = INFLATED_LIMIT) -> Inflated:
    """Undo gzip (also concatenated members, also twice), bzip2 or xz; plain bytes pass through.

    At most `limit` bytes come out. Damage: empty, truncated, checksum, corrupt-gzip, trailing-bytes, too-large,
    unsupported-compression.
    """
    if data[:2] == _GZIP_MAGIC:
        raw = one_member(data, limit)
        if raw is not None and _format_of(raw) is None and raw[:4] != _ZSTD_MAGIC:
            return Inflated(raw, (), ("gzip",))
    elif not data:
        return Inflated(b"", (Damage("empty", "The object holds no bytes at all: an interrupted copy leaves this."),))
    return _layer_by_layer(data, limit)


def one_member(data: bytes, limit: int = INFLATED_LIMIT) -> bytes | None:
    """Inflate what CloudTrail delivers, one sound gzip member and nothing after it, in one call; None for anything else."""
    promised = int.from_bytes(data[-4:], "little") + 64
    inflater = isal_zlib.decompressobj(31)
    try:
        raw = inflater.decompress(data, min(promised, limit + 1, len(data) * _DEFLATE_RATIO))
    except _isal_error:
        return None
    sound = inflater.eof and not inflater.unused_data and len(raw) <= limit
    return raw if sound else None


def sha256_raw(data: bytes) -> str:
    """The SHA-256 of an object's inflated bytes, hex: of all that could be had of them."""
    return hashlib.sha256(inflate(data).raw).hexdigest()


def _format_of(data: bytes) -> _Format | None:
    return next((form for form in _FORMATS if form.magic.match(data)), None)


def _layer_by_layer(data: bytes, limit: int) -> Inflated:
    damage: list[Damage] = []
    layers: list[str] = []
    while (form := _format_of(data)) and len(layers) < _LAYERS:
        data, wrong = _Members(form, data, limit).inflate()
        damage += wrong
        layers.append(form.name)
    if data[:4] == _ZSTD_MAGIC:
        reason = "The object is compressed with zstd, which is not read here: decompress it first (zstd -d)."
        damage.append(Damage("unsupported-compression", reason, where_bytes=0))
        data = b""
    elif not layers and len(data) > limit:
        damage.append(_too_large(limit))
        data = data[:limit]
    return Inflated(data, tuple(damage), tuple(layers))


def _too_large(limit: int) -> Damage:
    return Damage("too-large", f"The object inflates to more than {limit:,} bytes: the rest was not read.", None, limit)


class _Members:
    """One pass over the members of a compressed stream, in growing steps, so that many members stay linear."""

    def __init__(self, form: _Format, data: bytes, limit: int) -> None:
        self.form, self.data, self.limit = form, data, limit
        self.room = limit
        self.position = 0
        self.pieces: list[bytes] = []
        self.damage: list[Damage] = []

    def inflate(self) -> tuple[bytes, list[Damage]]:
        while self._member() and self._another_follows():
            pass
        return b"".join(self.pieces), self.damage

    def _wrong(self, what: str, reason: str) -> bool:
        self.damage.append(Damage(what, reason, None, self.limit - self.room))
        return False

    def _keep(self, piece: bytes) -> bool:
        """Keep a piece as far as there is room; False when there is not enough."""
        if len(piece) > self.room:
            self.pieces.append(piece[: self.room])
            self.room = 0
            self.damage.append(_too_large(self.limit))
            return False
        self.pieces.append(piece)
        self.room -= len(piece)
        return True

    def _member(self) -> bool:
        """Inflate the member that starts here; True when it was whole and the next may be looked for."""
        start, kept, room = self.position, len(self.pieces), self.room
        inflater, step = self.form.inflater(), _FIRST_STEP
        while not inflater.eof:
            chunk = self.data[self.position : self.position + step]
            if not chunk:
                return self._wrong("truncated", f"The {self.form.name} stream ends before its end mark: the rest is missing.")
            try:
                piece = inflater.decompress(chunk, self.room + 1)
            except self.form.errors as error:
                if self.form.name != "gzip":
                    return self._wrong(f"corrupt-{self.form.name}", f"The {self.form.name} stream is damaged: {error}.")
                del self.pieces[kept:]
                self.position, self.room = start, room
                return self._damaged_gzip()
            self.position += len(chunk) - len(inflater.unused_data)
            if not self._keep(piece):
                return False
            step = min(step * 2, _LAST_STEP)
        return True

    def _another_follows(self) -> bool:
        if match := _ZEROS.match(self.data, self.position):
            self.position = match.end()  # tapes and block devices pad with zeros
        if self.position == len(self.data):
            return False
        if self.form.magic.match(self.data, self.position):
            return True
        extra = len(self.data) - self.position
        return self._wrong("trailing-bytes", f"{extra:,} bytes that are not {self.form.name} follow the compressed stream.")

    def _damaged_gzip(self) -> bool:
        """Inflate a member without its checks, so that no sound byte before the damage is lost."""
        body = _gzip_body(self.data, self.position)
        inflater = zlib.decompressobj(-15)
        while not inflater.eof:
            chunk = self.data[body : body + _FIRST_STEP * 16]
            before = inflater.copy()
            try:
                piece = inflater.decompress(chunk, self.room + 1)
            except zlib.error as error:
                self._keep(_until_error(before, chunk, self.room + 1))
                return self._wrong("corrupt-gzip", f"The gzip stream is damaged: {error}.")
            if not self._keep(piece):
                return False
            if not chunk:
                return self._wrong("truncated", "The gzip stream ends before its end mark: the rest is missing.")
            body += len(chunk) - len(inflater.unused_data)
        self.position = min(body + 8, len(self.data))
        self._wrong("checksum", "The inflated bytes do not match the checksum or length that gzip stored with them.")
        return True


def _until_error(inflater: "zlib._Decompress", chunk: bytes, room: int) -> bytes:
    """Feed the failing chunk byte by byte: all that inflates before the error."""
    pieces: list[bytes] = []
    try:
        for byte in chunk:
            piece = inflater.decompress(bytes((byte,)), max(room, 1))
            room -= len(piece)
            pieces.append(piece)
            if room <= 0:
                break
    except zlib.error:
        pass  # the caller has reported it
    return b"".join(pieces)


def _gzip_body(data: bytes, start: int) -> int:
    """Offset of the deflate stream behind a gzip header (RFC 1952, section 2.3)."""
    flags = data[start + 3] if len(data) > start + 3 else 0
    body = start + 10
    if flags & 4:
        body += 2 + int.from_bytes(data[body : body + 2], "little")
    for flag in (8, 16):
        if flags & flag:
            body = data.find(b"\0", body) + 1 or len(data)
    return body + (2 if flags & 2 else 0)
