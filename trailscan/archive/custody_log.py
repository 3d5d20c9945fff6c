"""The archive's custody log: what was done to it, when and with what outcome, each line chained to the one before.

Lines are only ever appended, under the archive's lock; a line holds the SHA-256 of the line before it and of the bytes that
the manifest gained since, so that the hash of the last line alone vouches for the whole log and for every object's hash.
It is no proof against someone who writes the whole log anew: against that, a person writes down `head()`.
"""

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, BinaryIO

import msgspec

from trailscan.archive.folder import ArchiveFolder
from trailscan.errors import of_system
from trailscan.version import __version__

NOTHING = "0" * 64  # what the first line holds in place of a hash
NARROWED = "narrowed"  # the argument of a `pack` line from which on the manifest is another: part of the one before
_LONGEST = 16 << 20  # bytes of a line; `load` of many paths makes a long one
_TAIL = 1 << 16
_PIECE = 1 << 20
_MOST_FLAWS = 1000
_SHORTENED = "the database remembers this line, and the log does not hold it: lines were removed or replaced"
_CREDENTIALS = re.compile(r"(?i)(?<=://)[^/\s@]*(?=@)|(?<=[?&]x-amz-signature=)[^&\s]+|(?<=[?&]x-amz-security-token=)[^&\s]+")
Plain = str | int | float | bool | None | list[str]
Argument = Plain | dict[str, Plain]  # no deeper: what nests without end would exhaust the stack
_Natural = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class Segment(msgspec.Struct, frozen=True):
    """A part of manifest.jsonl, by byte offsets, and the SHA-256 of its bytes, hex."""

    start: _Natural = msgspec.field(name="from")
    end: _Natural = msgspec.field(name="to")
    sha256: str


class Entry(msgspec.Struct, frozen=True):
    """One line: `at` is ISO 8601 in UTC, `previous` the SHA-256 of the line before with its line feed, hex."""

    number: _Natural  # from 1, one more for each line
    at: str
    version: str  # of trailscan
    command: str  # sync, load, verify, pack, unpack, rebuild
    arguments: dict[str, Argument]
    counts: dict[str, int]
    sums: dict[str, str]
    manifest: Segment
    previous: str


class Flaw(msgspec.Struct, frozen=True):
    """What does not hold: the line's number from 1, and the reason."""

    line: int
    reason: str


class Remembered(msgspec.Struct, frozen=True):
    """A line that somebody else, as the database, knows the log to have had: its number from 1, and its SHA-256, hex."""

    line: int
    head: str


class _Tail(msgspec.Struct, frozen=True):
    """What the next line goes on from."""

    number: int
    head: str
    manifest_end: int
    is_whole: bool  # the last line ends in a line feed


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


class CustodyLog:
    """The log of an archive; a file that is not there is a log with no lines."""

    def __init__(self, archive: ArchiveFolder) -> None:
        self.path = archive.custody
        self._manifest = archive.manifest

    def append(
        self, command: str, arguments: Mapping[str, object], counts: Mapping[str, int], sums: Mapping[str, str] | None = None
    ) -> Entry:
        """Write a line and return when it is on the disk; needs the archive's lock. Raises ArchiveError.

        `arguments` are JSON values; credentials in their URLs are struck out here, so that no caller can forget it. A line
        that a killed process left unfinished stays as it is, is ended, and counts as the line before.
        """
        try:
            tail = self._tail()
            entry = _entry(tail, command, arguments, counts, sums or {}, self._next_segment(tail.manifest_end))
            _write(self.path, (b"" if tail.is_whole else b"\n") + line_of(entry))
        except OSError as error:
            raise of_system(error, "cannot write", self.path) from error
        return entry

    def entries(self) -> Iterator[Entry]:
        """The lines that can be read, in order; `check` names the others."""
        return (entry for entry in map(_parsed, self._lines()) if entry is not None)

    def holds(self, known: Remembered) -> bool:
        """Whether there is a line of this hash."""
        return any(hash_of(line) == known.head for line in self._lines())

    def check(self, known: Remembered | None = None) -> list[Flaw]:
        """What does not hold of the chain, the numbers, the JSON and the manifest's parts; empty when all does.

        With `known`, also that the log has that line.
        Lists a thousand flaws at most. Bytes that the manifest gained after the last line are not looked at: a process that
        was killed leaves some, and the next line covers them.
        """
        shortened = [] if known is None or self.holds(known) else [Flaw(known.line, _SHORTENED)]
        return shortened + list(islice(self._flaws(), _MOST_FLAWS))

    def head(self) -> str:
        """The SHA-256 of the last line, hex: what `tail -n 1 custody.jsonl | sha256sum` says."""
        return self._tail().head

    def uncovered(self) -> int:
        """How many bytes the manifest gained after the last line."""
        return _end_of_lines(self._manifest) - self._tail().manifest_end

    def for_bundle(self) -> bytes:
        """The log as a bundle carries it: less the last lines that only say it was packed, so that packing changes nothing."""
        settled = size = 0
        for line in self._lines():
            size += len(line)
            if not _is_mere_packing(line):
                settled = size
        with contextlib.suppress(FileNotFoundError), open(self.path, "rb") as file:
            return file.read(settled)
        return b""

    def for_part(self, manifest: bytes, arguments: Mapping[str, object], counts: Mapping[str, int]) -> bytes:
        """The log for a bundle of a part of the archive, whose manifest this is: the log, and a line that says so.

        From that line on the manifest vouched for is the new one; the line holds the SHA-256 of the whole one.
        """
        log = self.for_bundle()
        log += b"" if log.endswith(b"\n") or not log else b"\n"
        tail = _tail_of(log, True) or _Tail(0, NOTHING, 0, True)
        with open(self._manifest, "rb") if os.path.exists(self._manifest) else io.BytesIO() as file:
            whole = hashlib.file_digest(file, "sha256").hexdigest()
        part = Segment(0, len(manifest), hashlib.sha256(manifest).hexdigest())
        entry = _entry(tail, "pack", {NARROWED: dict(arguments)}, counts, {"whole_manifest": whole}, part)
        return log + line_of(entry)

    def _lines(self) -> Iterator[bytes]:
        with contextlib.suppress(FileNotFoundError), open(self.path, "rb") as file:
            yield from iter(lambda: file.readline(_LONGEST), b"")

    def _flaws(self) -> Iterator[Flaw]:
        head, number, segments = NOTHING, 0, list[tuple[int, Segment]]()
        for at, line in enumerate(self._lines(), 1):
            number += 1
            entry = _parsed(line)
            if entry is None:
                yield Flaw(at, "it is no entry: cut short when the process that wrote it was killed, or altered")
            else:
                yield from _flaws_of(at, entry, number, head)
                number = entry.number
                if NARROWED in entry.arguments:
                    segments.clear()
                segments.append((at, entry.manifest))
            head = hash_of(line)
        yield from self._flaws_of_manifest(segments)

    def _flaws_of_manifest(self, segments: list[tuple[int, Segment]]) -> Iterator[Flaw]:
        """Read the manifest once and compare each part that a line vouches for."""
        end = 0
        with open(self._manifest, "rb") if os.path.exists(self._manifest) else contextlib.nullcontext() as file:
            for at, segment in segments:
                if segment.start != end:
                    yield Flaw(
                        at, f"its part of the manifest begins at byte {segment.start:,}; the one before ended at {end:,}"
                    )
                elif _hash(file, segment.start, segment.end) != segment.sha256:
                    yield Flaw(at, f"the manifest's bytes {segment.start:,} to {segment.end:,} are not those it vouches for")
                end = segment.end

    def _next_segment(self, start: int) -> Segment:
        """What the manifest gained since `start`; all of it when it has become shorter, which `check` then names."""
        end = _end_of_lines(self._manifest)
        start = start if start <= end else 0
        if end == 0:
            return Segment(0, 0, hashlib.sha256().hexdigest())
        with open(self._manifest, "rb") as file:
            return Segment(start, end, _hash(file, start, end))

    def _tail(self) -> _Tail:
        """Read back from the end as far as the last line that is an entry."""
        if not os.path.exists(self.path):
            return _Tail(0, NOTHING, 0, True)
        size = os.path.getsize(self.path)
        length = _TAIL
        with open(self.path, "rb") as file:
            while True:
                start = max(0, size - length)
                file.seek(start)
                tail = _tail_of(file.read(size - start), start == 0)
                if tail is not None:
                    return tail
                length *= 4


def hash_of(line: bytes) -> str:
    """The SHA-256 that the next line holds of this one, hex: over its bytes and the line feed that ends it."""
    return hashlib.sha256(line if line.endswith(b"\n") else line + b"\n").hexdigest()


def line_of(entry: Entry) -> bytes:
    """An entry as the log holds it."""
    return _encode(entry) + b"\n"


def _entry(
    tail: _Tail,
    command: str,
    arguments: Mapping[str, object],
    counts: Mapping[str, int],
    sums: Mapping[str, str],
    manifest: Segment,
) -> Entry:
    return Entry(
        number=tail.number + 1,
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        version=__version__,
        command=command,
        arguments=_clean(dict(arguments)),
        counts=dict(counts),
        sums=dict(sums),
        manifest=manifest,
        previous=tail.head,
    )


def _is_mere_packing(line: bytes) -> bool:
    entry = _parsed(line)
    return entry is not None and entry.command == "pack" and NARROWED not in entry.arguments


def _parsed(line: bytes) -> Entry | None:
    """An entry, None for what is none: the log may have been written by an enemy."""
    try:
        return _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _tail_of(data: bytes, is_all: bool) -> _Tail | None:
    """The end of the log as far as `data` holds it, None when more must be read."""
    lines = io.BytesIO(data).readlines()
    if not is_all:
        lines = lines[1:]  # the first may be cut
    for back, line in enumerate(reversed(lines)):
        entry = _parsed(line)
        if entry is not None:
            return _Tail(entry.number + back, hash_of(lines[-1]), entry.manifest.end, data.endswith(b"\n"))
    if not is_all:
        return None
    return _Tail(len(lines), hash_of(lines[-1]) if lines else NOTHING, 0, not data or data.endswith(b"\n"))


def _flaws_of(at: int, entry: Entry, number: int, head: str) -> Iterator[Flaw]:
    if entry.number != number:
        yield Flaw(at, f"its number is {entry.number}, and {number} comes here")
    if entry.previous != head:
        yield Flaw(at, "it does not follow the line before it: one of the two was altered, or lines between were taken out")


def _write(path: str, data: bytes) -> None:
    """Append all or nothing, and see it on the disk."""
    descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)
    try:
        before = os.fstat(descriptor).st_size
        try:
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)
            raise
    finally:
        os.close(descriptor)


def _hash(file: BinaryIO | None, start: int, end: int) -> str:
    """The SHA-256 of a part of a file, or of as much of it as there is."""
    digest = hashlib.sha256()
    if file is not None and 0 <= start < end:
        file.seek(start)
        while start < end and (piece := file.read(min(_PIECE, end - start))):
            digest.update(piece)
            start += len(piece)
    return digest.hexdigest()


def _end_of_lines(path: str) -> int:
    """Where the last whole line of a file ends; 0 for one that is not there."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _TAIL)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def _clean(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """A JSON value with credentials struck out of its texts, and nothing in them that UTF-8 cannot hold."""
    if isinstance(value, str):
        return _CREDENTIALS.sub("***", value.encode("utf-8", "backslashreplace").decode())
    if isinstance(value, Mapping):
        return {name: _clean(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(each) for each in value]
    return value
