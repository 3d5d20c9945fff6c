"""Reading many objects at once, in processes of their own: reading is Python's work, and one Python does one thing at a time.

Chunks of objects go in, outcomes and batches of records come back in the same order, a few chunks ahead of who takes them.
"""

import hashlib
import os
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from trailscan.errors import OutOfMemory, SourceError
from trailscan.files.folder import read_bytes
from trailscan.files.local_objects import LocalObject
from trailscan.processes import starting
from trailscan.records.batches import Batch, Packer, spool_folder
from trailscan.records.collector import Envelope
from trailscan.records.damage import Damage
from trailscan.records.inflate import INFLATED_LIMIT
from trailscan.records.object_reader import Reading, altered, read_object, resized, unreadable
from trailscan.records.prefilter import Needles, Prefilter

CHUNK_BYTES = 1 << 20  # of objects as stored; inflated about eight times that
CHUNK_OBJECTS = 256
BATCH_BYTES = 32 << 20  # of records; a larger object comes as several batches
PARENT_CHECK = 0.3  # seconds
AHEAD = 3  # chunks a process may be ahead

Numbered = tuple[int, LocalObject]
Done = TypeVar("Done")


class Outcome(msgspec.Struct, frozen=True):
    """What became of one object; `read` and `kept` count records, `read` is None when the prefilter spared the object."""

    object_id: int
    shape: str
    status: str
    sha256: str | None
    sha256_raw: str | None
    raw_bytes: int
    read: int | None
    kept: int
    damage: list[Damage]
    foreign: int = 0  # elements that are sound and not CloudTrail
    envelopes: dict[int, Envelope] = {}


class Read(msgspec.Struct, frozen=True):
    """The outcomes of one chunk, and its records."""

    outcomes: list[Outcome]
    batches: list[Batch]


class Workers:
    """A pool of reading processes; a context manager. Make it before other threads are started: it forks where it can."""

    def __init__(
        self, jobs: int | None = None, needles: Needles | None = None, hash_all: bool = True, limit: int = INFLATED_LIMIT
    ) -> None:
        self.jobs = jobs or os.cpu_count() or 1
        self._folder = spool_folder()
        settings = (needles, hash_all, limit, self._folder)
        self._pool = ProcessPoolExecutor(self.jobs, starting(), initializer=_prepare, initargs=settings)
        self._pool.submit(os.getpid)  # starts the processes now, while this one is small

    def read(self, chunks: Iterable[Sequence[Numbered]]) -> Iterator[Read]:
        """Read chunk after chunk; see `each`."""
        return self.each(_read_chunk, chunks)

    def each(self, task: Callable[[Sequence[Numbered]], Done], chunks: Iterable[Sequence[Numbered]]) -> Iterator[Done]:
        """Do a task with chunk after chunk, in order; the first are begun at once, whoever takes the results later.

        `task` is a function of a module; an empty chunk gives its result at once, so that who waits can look at the clock.
        Taking raises OutOfMemory when a process died (out of memory, killed).
        """
        waiting = iter(chunks)
        begun: deque[Future[Done]] = deque()
        for chunk in islice(waiting, self.jobs * AHEAD):
            if not chunk:
                waiting = chain([chunk], waiting)
                break
            begun.append(self._submit(task, chunk))
        return self._each(task, waiting, begun)

    def _each(
        self, task: Callable[[Sequence[Numbered]], Done], chunks: Iterator[Sequence[Numbered]], pending: "deque[Future[Done]]"
    ) -> Iterator[Done]:
        try:
            for chunk in chunks:
                if chunk:
                    pending.append(self._submit(task, chunk))
                else:
                    yield task(chunk)
                while pending and (len(pending) > self.jobs * AHEAD or pending[0].done()):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise _died() from error

    def _submit(self, task: Callable[[Sequence[Numbered]], Done], chunk: Sequence[Numbered]) -> "Future[Done]":
        try:
            return self._pool.submit(task, chunk)
        except BrokenProcessPool as error:
            raise _died() from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)


def _died() -> OutOfMemory:
    return OutOfMemory("a reading process died or was killed", "it may have run out of memory: try fewer with --jobs")


def chunked(objects: Iterable[Numbered | None]) -> Iterator[list[Numbered]]:
    """Chunks of about a megabyte or some hundred objects; a None sends what there is, be it nothing."""
    chunk: list[Numbered] = []
    size = 0
    for numbered in objects:
        if numbered is not None:
            chunk.append(numbered)
            size += numbered[1].bytes
        if numbered is None or size >= CHUNK_BYTES or len(chunk) >= CHUNK_OBJECTS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


class _Settings:
    """What this process was told once; tasks stay small."""

    sieve: Prefilter | None = None
    hash_all = True
    limit = INFLATED_LIMIT
    folder = ""


def _prepare(needles: Needles | None, hash_all: bool, limit: int, folder: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that commits
    _Settings.sieve = Prefilter(needles) if needles else None
    _Settings.hash_all = hash_all
    _Settings.limit = limit
    _Settings.folder = folder
    threading.Thread(target=_end_with, args=(os.getppid(), folder), daemon=True).start()


def _end_with(parent: int, folder: str) -> None:
    """End this process when its parent was killed: it would wait for ever, and its spool files with it."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _read_chunk(chunk: Sequence[Numbered]) -> Read:
    outcomes: list[Outcome] = []
    batches: list[Batch] = []
    packer = Packer()
    for object_id, found in chunk:
        reading = _read(found)
        outcomes.append(_outcome(object_id, reading))
        for indexes, records in _portions(reading):
            packer.add(object_id, indexes, records)
            if packer.bytes >= BATCH_BYTES:
                batches.append(packer.pack(_Settings.folder))
                packer = Packer()
    if packer.records:
        batches.append(packer.pack(_Settings.folder))
    return Read(outcomes, batches)


def _read(found: LocalObject) -> Reading:
    try:
        data = read_bytes(found)
    except SourceError as error:
        return unreadable(str(error))
    sha256 = hashlib.sha256(data).hexdigest() if found.sha256 else None
    if sha256 != (found.sha256 or None):
        return altered(found.sha256 or "", sha256 or "")
    if found.sha256 == "" and len(data) != found.bytes:
        return resized(found.bytes, data)
    try:
        return read_object(data, _Settings.limit, _Settings.sieve, _Settings.hash_all, sha256)
    except Exception as error:  # noqa: BLE001 - one object must never take its neighbours with it, whatever it is
        return unreadable(f"reading it failed with {type(error).__name__}: {error}")


def _outcome(object_id: int, reading: Reading) -> Outcome:
    return Outcome(
        object_id,
        reading.shape,
        reading.status,
        reading.sha256,
        reading.sha256_raw,
        reading.raw_bytes,
        reading.read,
        len(reading.records),
        reading.damage,
        reading.foreign,
        reading.envelopes,
    )


def _portions(reading: Reading) -> Iterator[tuple[Sequence[int], Sequence[msgspec.Raw | bytes]]]:
    """An object's records in portions that fit a batch: one, but for objects of many megabytes."""
    if reading.raw_bytes <= BATCH_BYTES:
        yield reading.indexes, reading.records
        return
    step = max(1, len(reading.records) * BATCH_BYTES // reading.raw_bytes)
    for start in range(0, len(reading.records), step):
        yield reading.indexes[start : start + step], reading.records[start : start + step]
