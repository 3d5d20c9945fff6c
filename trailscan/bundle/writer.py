"""A bundle while it is written: each member is hashed on its way, for its line of SHA256SUMS and for the whole.

It knows nothing of archives; which files go in, under which names, is for `trailscan.bundle.pack` to say.
"""

import hashlib
import os
import tempfile
from typing import BinaryIO, Self

from trailscan.bundle.format import END, SUMS, Header, header, padding, sums_line
from trailscan.errors import ArchiveError, of_system

_SMALL = 1 << 16  # bytes; a file with fewer is read by one call
_LARGE = 1 << 24  # bytes; a file with more is not read as a whole
_PIECE = 1 << 20
_OPENING = getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe in place of an object must not stop the run
_SUMS_IN_MEMORY = 1 << 25


class Writer:
    """A bundle being written; it is not one before `finish`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._written = 0
        self._sums = tempfile.SpooledTemporaryFile(_SUMS_IN_MEMORY)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sums.close()

    def add(self, name: str, data: bytes, mtime: int) -> str:
        """Add a member; returns its SHA-256."""
        self._put(header(Header(name, len(data), mtime)), data, padding(len(data)))
        return self._summed(name, hashlib.sha256(data).hexdigest())

    def add_file(self, name: str, path: str, mtime: int) -> str:
        """Add a file as a member; returns its SHA-256. Raises OSError when it cannot be read, and then adds nothing."""
        descriptor = os.open(path, os.O_RDONLY | _OPENING)
        try:
            data = os.read(descriptor, _SMALL)
            if len(data) < _SMALL:
                return self.add(name, data, mtime)
            size = os.fstat(descriptor).st_size
            if size > _LARGE:
                return self._stream(name, size, data, descriptor, mtime)
            while piece := os.read(descriptor, _LARGE):
                data += piece
            return self.add(name, data, mtime)
        finally:
            os.close(descriptor)

    def finish(self) -> tuple[str, int]:
        """Add SHA256SUMS and the end; returns the bundle's SHA-256 and its bytes."""
        size = self._sums.tell()
        self._sums.seek(0)
        self._put(header(Header(SUMS, size, 0)))
        while piece := self._sums.read(_PIECE):
            self._put(piece)
        self._put(padding(size), END)
        self._flush()
        return self._digest.hexdigest(), self._written

    def _stream(self, name: str, size: int, piece: bytes, descriptor: int, mtime: int) -> str:
        """Add a file that is too large for memory: once its header is written, there is no way back."""
        digest, left = hashlib.sha256(), size
        self._put(header(Header(name, size, mtime)))
        while piece and left >= len(piece):
            digest.update(piece)
            self._put(piece)
            left -= len(piece)
            try:
                piece = os.read(descriptor, _PIECE)
            except OSError as error:
                raise ArchiveError(f"{name} cannot be read: {error.strerror}", "is the disk failing?") from error
        if piece or left:
            raise ArchiveError(f"{name} changed while it was packed", "stop what writes to it, and pack again")
        self._put(padding(size))
        return self._summed(name, digest.hexdigest())

    def _summed(self, name: str, sha256: str) -> str:
        self._sums.write(sums_line(sha256, name))
        return sha256

    def _put(self, *pieces: bytes) -> None:
        self._pending += pieces
        self._pending_bytes += sum(map(len, pieces))
        if self._pending_bytes >= _PIECE:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        self._digest.update(data)
        self._written += len(data)
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise of_system(error, "cannot write", "the bundle") from error
