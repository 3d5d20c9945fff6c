"""Tar headers, read within bounds: every number is checked before it is used, and every step goes forward.

Python's own reader believes what a header says: a negative size makes it walk in circles, a size beyond 2^63 stops it,
and a crafted pax header keeps its pattern busy for ever. Members of the forms v7, ustar, GNU and pax are found; after a
broken header the search goes on at the next sound one, so that a hostile member does not hide its neighbours.
Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block"; GNU tar manual, "Basic Tar Format".
"""

import os
import re
from collections.abc import Iterator
from enum import Enum
from typing import Protocol

import msgspec

BLOCK = 512
LARGEST_HEADER = 1 << 20  # bytes of a name or pax header
LARGEST_SIZE = 1 << 62  # bytes; no disk holds more
ZEROS_CHECKED = 64 << 20  # bytes behind the end mark that are looked at
MOST_FLAWS = 1_000  # broken headers that are searched past
_PIECE = 1 << 20
_ASCII = 127
_OCTAL = re.compile(rb" *([0-7]*) *(?:\0.*)?", re.DOTALL)
_DECIMAL = re.compile(rb"[0-9]{1,19}")
_NO_DATA = b"123456"  # links, devices, folders, pipes: whatever size they claim, no content follows


class Kind(Enum):
    """What a member is, as far as it matters here."""

    FILE = "file"
    FOLDER = "folder"
    SPARSE = "sparse"
    OTHER = "other"


class Member(msgspec.Struct, frozen=True):
    """A member: its name, content size and position in bytes, and time in seconds since 1970."""

    name: str
    kind: Kind
    size: int
    mtime: float
    offset: int


class Flaw(msgspec.Struct, frozen=True):
    """What is wrong, with the name of the member it concerns, None when it is the tar."""

    reason: str
    name: str | None = None


class Stream(Protocol):
    """What a tar is read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes."""

    def seek(self, offset: int, /) -> int:
        """Go to a position from the start."""

    def close(self) -> None:
        """Close it."""


def members(stream: Stream, end: int | None) -> Iterator[Member | Flaw]:
    """The members of a tar and what is wrong with it; `end` is its size in bytes where that is known.

    Raises what the stream raises, EOFError where a header is cut short.
    """
    return _Reader(stream, end).members()


class _BadHeader(ValueError):
    """A block is no header that can be used."""


class _Reader:
    """One pass from front to back."""

    def __init__(self, stream: Stream, end: int | None) -> None:
        self._stream = stream
        self._end = end
        self._at = 0
        self._global: dict[bytes, bytes] = {}
        self._own: dict[bytes, bytes] = {}
        self._long_name: bytes | None = None
        self._flaws: list[Flaw] = []
        self._is_cut = False  # which was said already
        self._broken = 0
        self._done = False

    def members(self) -> Iterator[Member | Flaw]:
        """Everything up to the end of the stream; at most so many broken headers are searched past."""
        while not self._done:
            block = self._block(self._at)
            if self._broken >= MOST_FLAWS:
                yield Flaw(f"more than {MOST_FLAWS:,} broken headers: the rest was not read")
                return
            if block is None:
                yield from self._ended()
            elif not block.strip(b"\0"):
                yield from self._at_end_mark()
            else:
                yield from self._at_header(block)

    def _ended(self) -> Iterator[Flaw]:
        self._done = True
        if not self._is_cut:
            yield Flaw("the tar has no end mark: it may be cut short" if self._at else "the tar is empty")

    def _at_end_mark(self) -> Iterator[Flaw]:
        start = self._first_after_end_mark()
        if isinstance(start, int):
            self._done = not self._resume(start)
            yield Flaw(f"no tar from byte {start:,} on, behind its end mark: {self._what_became()}")
        else:
            self._done = True
            yield from [start] if start else []

    def _at_header(self, block: bytes) -> Iterator[Member | Flaw]:
        try:
            found = self._next(block)
        except _BadHeader as error:
            name = self._name(block) if _is_header(block) else None
            self._done = not self._resume(self._at + BLOCK)
            yield Flaw(f"{error}: {self._what_became()}", name)
            return
        yield from self._flaws
        self._broken += len(self._flaws)
        self._flaws = []
        if found is not None:
            yield found

    def _what_became(self) -> str:
        """How reading went on behind something broken."""
        self._broken += 1
        return "what follows was not read" if self._done else f"read again from the next header, at byte {self._at:,}"

    def _block(self, offset: int) -> bytes | None:
        """The block at a position, None where the stream has ended."""
        self._stream.seek(offset)
        block = self._stream.read(BLOCK)
        if block and len(block) < BLOCK:
            raise EOFError(f"unexpected end of data in a header at byte {offset:,}")
        return block or None

    def _next(self, block: bytes) -> Member | None:
        """The member whose header this is, None for a header that only describes the next one. Raises _BadHeader."""
        if not _is_header(block):
            raise _BadHeader(f"no tar from byte {self._at:,} on (invalid header)")
        size, flag = self._size_of(block), block[156:157]
        after = self._at + BLOCK
        if flag in (b"x", b"g", b"X", b"L", b"K"):
            self._describe(flag, self._content(after, size))
            self._at = after + _padded(size)
            return None
        after = self._after_sparse_map(block, after) if flag == b"S" else after
        member = Member(self._name(block), self._kind(block), size, self._mtime(block), after)
        content = 0 if flag in _NO_DATA else size
        self._forget()
        if self._end is not None and after + content > self._end:
            if member.kind is Kind.FILE:
                self._flaws.append(Flaw(f"unexpected end of data: {after + content - self._end:,} bytes are missing", None))
            self._at, self._is_cut = max(self._end, after), True
        else:
            self._at = after + _padded(content)
        return member

    def _describe(self, flag: bytes, content: bytes) -> None:
        if flag == b"L":
            self._long_name = content.rstrip(b"\0")
        elif flag != b"K":
            (self._global if flag == b"g" else self._own).update(_pax_records(content, self._flaws))

    def _forget(self) -> None:
        """What described the member that was just read says nothing of the next one."""
        self._own, self._long_name = {}, None

    def _content(self, offset: int, size: int) -> bytes:
        if size > LARGEST_HEADER:
            raise _BadHeader(f"a header of {size:,} bytes, more than {LARGEST_HEADER:,}")
        self._stream.seek(offset)
        content = self._stream.read(size)
        if len(content) < size:
            raise EOFError(f"unexpected end of data in a header at byte {offset:,}")
        return content

    def _size_of(self, block: bytes) -> int:
        """The size of the content, in bytes. Raises _BadHeader where no file can have it."""
        own = self._own.get(b"size", self._global.get(b"size"))
        if own is not None and block[156:157] not in (b"x", b"g", b"X", b"L", b"K"):
            size = int(own) if _DECIMAL.fullmatch(own) else -1
        else:
            size = _number(block[124:136])
        if not 0 <= size <= LARGEST_SIZE:
            raise _BadHeader(f"the header at byte {self._at:,} claims a size that no file has")
        return size

    def _mtime(self, block: bytes) -> float:
        own = self._own.get(b"mtime", b"").partition(b".")[0]
        return float(int(own) if _DECIMAL.fullmatch(own) else max(0, _number(block[136:148])))

    def _name(self, block: bytes) -> str:
        name = self._own.get(b"path") or self._long_name
        if name is None:
            name = block[:100].partition(b"\0")[0]
            prefix = block[345:500].partition(b"\0")[0]
            if block[257:263] == b"ustar\0" and prefix:
                name = prefix + b"/" + name
        return name.decode("utf-8", "surrogateescape")

    def _kind(self, block: bytes) -> Kind:
        flag = block[156:157]
        if flag == b"S" or any(key.startswith(b"GNU.sparse.") for key in self._own):
            return Kind.SPARSE
        if flag == b"\0" and self._name(block).endswith("/"):  # how v7 wrote a folder
            return Kind.FOLDER
        return Kind.FILE if flag in b"07\0" else Kind.FOLDER if flag == b"5" else Kind.OTHER

    def _after_sparse_map(self, block: bytes, offset: int) -> int:
        """Where the content begins behind GNU's map of holes, which may take further blocks."""
        more = block[482:483] != b"\0"
        while more:
            block = self._block(offset) or b""
            more = block[504:505] not in (b"\0", b"")
            offset += BLOCK
        return offset

    def _resume(self, offset: int) -> bool:
        """Go to the next sound header from a position on; False where there is none."""
        self._forget()
        self._flaws = []
        found = self._next_header(offset)
        if found is not None:
            self._at = found
        return found is not None

    def _next_header(self, offset: int) -> int | None:
        self._stream.seek(offset)
        while len(piece := self._stream.read(_PIECE)) >= BLOCK:
            for start in range(0, len(piece) - BLOCK + 1, BLOCK):
                if piece[start + 257 : start + 262] == b"ustar" and _is_header(piece[start : start + BLOCK]):
                    return offset + start
            offset += len(piece)
        return None

    def _first_after_end_mark(self) -> int | Flaw | None:
        """The block behind the end mark that is not all zeros, None where there is none, as it should be."""
        offset, seen = self._at, 0
        while seen <= ZEROS_CHECKED:
            offset = _skip_hole(self._stream, offset)
            self._stream.seek(offset)
            if not (piece := self._stream.read(_PIECE)):
                return None
            if piece.strip(b"\0"):
                return offset + (len(piece) - len(piece.lstrip(b"\0"))) // BLOCK * BLOCK
            offset, seen = offset + len(piece), seen + len(piece)
        return Flaw(f"more than {ZEROS_CHECKED >> 20} MB of zeros follow the end of the tar: the rest was not looked at")


def _skip_hole(stream: Stream, offset: int) -> int:
    """The next position that a sparse file has stored, so that a terabyte of nothing takes no time."""
    if not (isinstance(stream, FileStream) and hasattr(os, "SEEK_DATA")):
        return offset
    try:
        return max(offset, os.lseek(stream.fileno(), offset, os.SEEK_DATA))
    except OSError:  # no data follows, or the file system cannot tell
        return offset if stream.size() <= offset else _end_or(stream, offset)


def _end_or(stream: "FileStream", offset: int) -> int:
    """The end of a file whose rest is a hole; the offset where that cannot be told."""
    try:
        hole = os.lseek(stream.fileno(), offset, os.SEEK_HOLE)
    except OSError:
        return offset
    return stream.size() if hole == offset else offset


class FileStream:
    """A plain file as a stream."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, size: int) -> bytes:
        """At most so many bytes."""
        return os.read(self._descriptor, size)

    def seek(self, offset: int) -> int:
        """Go to a position from the start."""
        return os.lseek(self._descriptor, min(offset, LARGEST_SIZE), os.SEEK_SET)

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _is_header(block: bytes) -> bool:
    """Whether the checksum holds, taken over unsigned bytes or, as some old tars did, over signed ones."""
    if len(block) < BLOCK:
        return False
    stored = _number(block[148:156])
    unsigned = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    if stored == unsigned:
        return True
    high = sum(1 for byte in block[:148] + block[156:] if byte > _ASCII)
    return stored == unsigned - 256 * high


def _number(field: bytes) -> int:
    """A number of a header: octal text, or GNU's binary form; -1 where it is neither, or negative."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    if field[:1] == b"\xff":
        return -1
    octal = _OCTAL.fullmatch(field)
    return int(octal[1] or b"0", 8) if octal else -1


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _pax_records(content: bytes, flaws: list[Flaw]) -> dict[bytes, bytes]:
    """The records `length key=value\\n` of a pax header; what follows a broken one is left out and told of."""
    records: dict[bytes, bytes] = {}
    start = 0
    while start < len(content) and content[start] != 0:
        space = content.find(b" ", start, start + 20)
        length = int(content[start:space]) if space > 0 and content[start:space].isdigit() else 0
        record = content[space + 1 : start + length]
        if length <= space - start + 1 or not record.endswith(b"\n") or b"=" not in record:
            flaws.append(Flaw("a pax header that cannot be read: names and sizes in it are left out"))
            break
        key, _, value = record[:-1].partition(b"=")
        records[key] = value
        start += length
    return records
