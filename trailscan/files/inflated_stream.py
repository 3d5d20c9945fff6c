"""A tar's bytes out of its compression (gzip, bzip2, xz), readable at any position and bounded in size and memory.

A few megabytes of zeros can inflate to terabytes, and an xz header can ask for gigabytes of dictionary; neither is allowed.
"""

import bz2
import lzma
import os
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

from trailscan.files.regular_file import open_regular

MOST_TIMES = 200  # bytes out for each byte in: JSON of CloudTrail reaches about 30
LEAST_LIMIT = 1 << 30  # bytes out that any file may have
XZ_MEMORY = 128 << 20  # bytes; `xz -9` asks for 65 MB
_STEP = 64 << 10  # compressed bytes read at once
_PIECE = 1 << 20  # inflated bytes taken at once


class TooLarge(ValueError):
    """A stream inflates to more than it may."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    """zlib's decompressor with the interface of the other two: what it could not use yet stays in it."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inflater.decompress(self._inflater.unconsumed_tail + data, max_length)


DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "gzip": _Gzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY),
}


class InflatedStream:
    """The inflated bytes of a file, member after member; a step back starts again from the beginning.

    Reading raises TooLarge, EOFError where the file is cut short, ValueError where it is damaged, MemoryError.
    """

    def __init__(self, path: str, compression: str) -> None:
        self._file: BinaryIO = open_regular(path)
        self._make = DECOMPRESSORS[compression]
        self._compression = compression
        self.limit = max(LEAST_LIMIT, MOST_TIMES * os.fstat(self._file.fileno()).st_size)
        self._restart()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def tell(self) -> int:
        """The position in the inflated bytes."""
        return self._position

    def seek(self, offset: int) -> int:
        """Go to a position of the inflated bytes, or to their end where there are fewer."""
        if offset < self._position:
            self._restart()
        while self._position < offset and self.read(min(_PIECE, offset - self._position)):
            pass
        return self._position

    def read(self, size: int) -> bytes:
        """At most so many bytes; fewer than that only at the end."""
        pieces: list[bytes] = []
        while size > 0 and (piece := self._some(min(size, _PIECE))):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _restart(self) -> None:
        self._file.seek(0)
        self._position = 0
        self._input = b""
        self._decompressor = self._make()
        self._begun = False

    def _some(self, size: int) -> bytes:
        """One to `size` bytes, none at the end."""
        while True:
            if self._decompressor.eof and not self._next_member():
                return b""
            piece = self._decompress(size)
            self._position += len(piece)
            if self._position > self.limit:
                raise TooLarge(f"it inflates to more than {self.limit:,} bytes: the rest was not read")
            if piece:
                return piece
            if not self._input and not self._decompressor.eof and not self._fill():
                return self._at_end()

    def _decompress(self, size: int) -> bytes:
        try:
            return self._decompressor.decompress(self._take_input(), size)
        except (OSError, zlib.error, lzma.LZMAError) as error:
            raise ValueError(f"the {self._compression} stream is damaged: {error}") from error

    def _take_input(self) -> bytes:
        taken, self._input = self._input, b""
        self._begun |= bool(taken)
        return taken

    def _fill(self) -> bool:
        self._input = self._file.read(_STEP)
        return bool(self._input)

    def _next_member(self) -> bool:
        """Begin the stream that follows, as concatenated files have it; padding of zeros is skipped."""
        self._input = self._decompressor.unused_data.lstrip(b"\0")
        while not self._input and self._fill():
            self._input = self._input.lstrip(b"\0")
        if not self._input:
            return False
        self._decompressor = self._make()
        return True

    def _at_end(self) -> bytes:
        if not self._begun:
            raise EOFError("it is empty")
        raise EOFError(f"the {self._compression} stream ended before the end-of-stream marker was reached")
