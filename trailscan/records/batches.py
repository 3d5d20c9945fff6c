"""Records on their way from the process that reads to the one that loads: four flat buffers, in memory or in a spool file.

The layout is Arrow's (offsets and data of a string column), so that the loader takes the buffers as they are.
"""

import contextlib
import mmap
import os
import tempfile
from array import array
from collections.abc import Sequence
from itertools import accumulate

import msgspec

SPOOL_FROM = 128 << 10  # bytes; smaller batches go through the pipe
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - memory that processes share; the file is private, and gone in a moment


class Batch(msgspec.Struct, frozen=True):
    """`rows` records: their object ids (int64), indexes (int32), the offsets (int32, one more) and the data they point into."""

    rows: int
    object_ids: bytes
    indexes: bytes
    offsets: bytes
    data: bytes | None  # None: in the file at `spool`
    spool: str | None = None

    def open_data(self) -> bytes | mmap.mmap:
        """The records' bytes; a spool file is mapped and unlinked, so this can be asked once."""
        if self.data is not None or self.spool is None:
            return self.data or b""
        descriptor = os.open(self.spool, os.O_RDONLY)
        try:
            return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
            os.unlink(self.spool)

    def discard(self) -> None:
        """Remove the spool file of a batch that nobody will load."""
        if self.spool is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.spool)


class Packer:
    """Gathers records into one batch."""

    def __init__(self) -> None:
        self.records: list[msgspec.Raw | bytes] = []
        self.object_ids = array("q")
        self.indexes = array("i")
        self.lengths = array("i")
        self.bytes = 0

    def add(self, object_id: int, indexes: Sequence[int], records: Sequence[msgspec.Raw | bytes]) -> None:
        """Take the records of one object."""
        self.records += records
        self.indexes.extend(indexes)
        self.object_ids.extend([object_id] * len(records))
        lengths = [memoryview(record).nbytes for record in records]
        self.lengths.extend(lengths)
        self.bytes += sum(lengths)

    def pack(self, spool_folder: str) -> Batch:
        """The batch, its data in a spool file when it is large."""
        data = b"".join(self.records)
        offsets = array("i", accumulate(self.lengths, initial=0)).tobytes()
        spool = _spool(data, spool_folder) if len(data) >= SPOOL_FROM else None
        ids, indexes = self.object_ids.tobytes(), self.indexes.tobytes()
        return Batch(len(self.records), ids, indexes, offsets, None if spool else data, spool)


def spool_folder() -> str:
    """A private folder for spool files: shared memory where there is some, else the temporary folder."""
    shared = _SHARED_MEMORY if os.path.isdir(_SHARED_MEMORY) and os.access(_SHARED_MEMORY, os.W_OK) else None
    return tempfile.mkdtemp(prefix="trailscan-", dir=shared)


def _spool(data: bytes, folder: str) -> str | None:
    """Write the data to a file of its own; None when there is no room, and the pipe must take it."""
    descriptor, path = tempfile.mkstemp(dir=folder)
    try:
        with open(descriptor, "wb", buffering=0) as file:
            written = file.write(data)
    except OSError:
        written = -1
    if written != len(data):
        os.unlink(path)
        return None
    return path
