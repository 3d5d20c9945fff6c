"""Whether the files that hold an archive's objects are still as they were recorded: looked at beside a question, for a moment.

Size and time of change decide for nearly all. Where only the time differs, the bytes are read and hashed, as far as the time
allowed goes, since a plain copy of an archive has other times and the right bytes. It never writes.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from threading import Event, Thread

import msgspec

from trailscan.errors import SourceError
from trailscan.files.folder import read_bytes
from trailscan.files.local_objects import LocalObject, cause
from trailscan.store.database import Connection, run
from trailscan.store.verdict import INVALID, names_of

LOOKING = 0.25  # seconds for looking at sizes and times
READING = 0.25  # seconds for reading the bytes of files whose time alone differs
NAMED = 3  # files that are named
PORTION = 4096  # rows
_SAME = 2_000  # nanoseconds between two times that are the same: a float of seconds is no more exact
_SECOND = 1_000_000_000
FAILURES = names_of(INVALID)

# What each object's file should be: as the last `verify` saw it, else as it was recorded when it was taken in.
_RECORDED = f"""
WITH seen AS (
  SELECT object_id, max(file_bytes) AS bytes, max(file_modified) AS modified, bool_or(status IN {FAILURES}) AS is_bad
  FROM verdicts WHERE kind = 'archive' AND object_id BETWEEN $first AND $last GROUP BY object_id
)
SELECT o.object_id, coalesce(o.copy, o.path), o.member, o.member_offset, o.bytes, o.sha256,
       coalesce(o.bucket || '/', '') || o.key,
       CASE WHEN o.member IS NULL THEN o.bytes ELSE c.bytes END,
       coalesce(CASE WHEN o.member IS NULL THEN epoch_ns(o.last_modified) ELSE c.modified END, 0),
       coalesce(epoch_ns(o.loaded_at), epoch_ns(o.fetched_at), 0), s.bytes, s.modified, coalesce(s.is_bad, false)
FROM objects o
LEFT JOIN containers c ON c.path = coalesce(o.copy, o.path) AND o.member IS NOT NULL
LEFT JOIN seen s USING (object_id)
WHERE object_id BETWEEN $first AND $last AND o.status <> 'failed' AND o.path IS NOT NULL
"""
_BAD = f"""
SELECT DISTINCT object_id FROM verdicts JOIN objects USING (object_id)
WHERE verdicts.kind = 'archive' AND verdicts.status IN {FAILURES} ORDER BY object_id LIMIT 1000
"""


class Files(msgspec.Struct, frozen=True):
    """How the files of an archive are now: `seen` objects of `of` were looked at.

    `gone` counts objects whose file cannot be found or opened, `altered` those whose bytes are not the recorded ones,
    `unread` those whose file has another time or container than recorded and was not read for lack of time, `restored`
    holds the ids of those that `verify` found altered or gone and that have their recorded bytes again. `named` are the
    first few that are gone or altered, with reasons.
    """

    seen: int = 0
    of: int = 0
    gone: int = 0
    altered: int = 0
    unread: int = 0
    restored: tuple[int, ...] = ()
    named: tuple[tuple[str, str], ...] = ()


class _Row(msgspec.Struct, frozen=True):
    """What is recorded of one object; zero and None where it is not."""

    object_id: int
    path: str
    member: str | None
    offset: int | None
    bytes: int
    sha256: str | None
    name: str
    file_bytes: int | None  # of the tar or zip, for a member
    modified: int
    taken_in: int
    seen_bytes: int | None
    seen_modified: int | None
    is_bad: bool


class Looking:
    """One look over the files, in a thread beside the question; `found` ends it.

    `connection` is one of its own; `place` turns a stored path into one on this disk.
    """

    def __init__(self, connection: Connection, place: Callable[[str], str]) -> None:
        self._connection = connection
        self._place = place
        self._stop = Event()
        self._error: BaseException | None = None
        self._deadline = time.monotonic() + LOOKING
        self._seen = self._gone = self._altered = self._unread = 0
        self._restored: list[int] = []
        self._named: list[tuple[str, str]] = []
        self._to_read: list[tuple[_Row, str]] = []
        self._stats: tuple[str, os.stat_result | OSError | ValueError] | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def found(self, objects: int) -> Files:
        """What was found of the `objects` that are held. Raises what DuckDB raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return Files(
            self._seen, objects, self._gone, self._altered, self._unread, tuple(self._restored), tuple(self._named[:NAMED])
        )

    def stop(self) -> None:
        """End early: nobody wants to know any more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for rows in self._portions():
                for row in rows:
                    self._look(row)
                if self._stop.is_set() or time.monotonic() > self._deadline:
                    break
            self._read_some()
        except BaseException as error:  # noqa: BLE001 - raised again by `found`, in the thread that asks
            self._error = error
        finally:
            self._connection.close()

    def _portions(self) -> Iterator[list[_Row]]:
        """What `verify` found bad, then all in the order of ids, which is about the one in which they lie on the disk."""
        bad = frozenset(number for (number,) in run(self._connection, _BAD))
        if bad:
            yield [row for number in bad for row in self._rows(number, number)]
        least, last = run(self._connection, "SELECT coalesce(min(object_id), 0), coalesce(max(object_id), -1) FROM objects")[0]
        for start in range(least, last + 1, PORTION):
            yield [row for row in self._rows(start, start + PORTION - 1) if row.object_id not in bad]

    def _rows(self, first: int, last: int) -> list[_Row]:
        rows = self._connection.execute(_RECORDED, {"first": first, "last": last}).fetchall()
        return [_Row(*cells) for cells in rows]

    def _look(self, row: _Row) -> None:
        self._seen += 1
        path = self._place(row.path)
        found = self._stat(path)
        if not isinstance(found, os.stat_result):
            self._gone += 1
            self._name(row, f"its file cannot be found: {cause(found)}")
        elif row.seen_bytes == found.st_size and row.seen_modified == found.st_mtime_ns:
            if row.is_bad:  # as verify saw it, and it counts there
                return
        elif row.is_bad or not _is_as_recorded(row, found):
            if row.member is None and row.file_bytes != found.st_size:
                self._note_altered(row, f"its file has {found.st_size:,} bytes, and {row.bytes:,} were recorded")
            else:
                self._to_read.append((row, path))

    def _stat(self, path: str) -> "os.stat_result | OSError | ValueError":
        """Of a tar or zip once for all of its members, as long as they come one after the other."""
        if self._stats is None or self._stats[0] != path:
            try:
                self._stats = path, os.stat(path)
            except (OSError, ValueError) as error:
                self._stats = path, error
        return self._stats[1]

    def _read_some(self) -> None:
        """Read the bytes of what has another time than recorded: first what `verify` found bad, at least one, then in turn."""
        self._to_read.sort(key=lambda found: not found[0].is_bad)
        deadline = time.monotonic() + READING
        for number, (row, path) in enumerate(self._to_read):
            if number and (self._stop.is_set() or time.monotonic() > deadline):
                self._unread += len(self._to_read) - number
                return
            self._read(row, path)

    def _read(self, row: _Row, path: str) -> None:
        try:
            found = hashlib.sha256(read_bytes(LocalObject(path, "", row.bytes, 0.0, row.member, row.offset))).hexdigest()
        except SourceError as error:
            self._note_altered(row, error.message)
            return
        if row.sha256 is None:
            self._unread += 1
        elif found != row.sha256:
            self._note_altered(row, f"its bytes have SHA-256 {found} now, and {row.sha256} was recorded")
        elif row.is_bad:
            self._restored.append(row.object_id)

    def _note_altered(self, row: _Row, reason: str) -> None:
        self._altered += 1
        self._name(row, reason)

    def _name(self, row: _Row, reason: str) -> None:
        if len(self._named) < NAMED:
            self._named.append((row.name, reason))


def _is_as_recorded(row: _Row, found: os.stat_result) -> bool:
    """Whether size and time are those recorded, as far as they were; a tar holds whole seconds only."""
    if row.file_bytes is not None and row.file_bytes != found.st_size:
        return False
    if not row.modified:
        return found.st_mtime_ns <= row.taken_in or not row.taken_in
    is_cut = found.st_mtime_ns % _SECOND == 0 and found.st_mtime_ns // _SECOND == row.modified // _SECOND
    return is_cut or abs(found.st_mtime_ns - row.modified) <= _SAME
