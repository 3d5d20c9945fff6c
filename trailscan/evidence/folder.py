"""Local sources: finds the objects in files, folders, tars and zips, and reads any of them again, byte for byte.

It never writes, never extracts and never leaves the folder it was given; names inside an archive are labels, not paths.
What it cannot take is told as a value (`Problem`, or a count in `Survey.passed_over`), so nothing is left out silently.
"""

import bz2
import calendar
import gzip
import lzma
import os
import re
import struct
import tarfile
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from operator import attrgetter
from typing import IO, Generic, Protocol, TypeVar, cast

import msgspec

from trailscan.errors import SourceError
from trailscan.evidence.keys import Level, depth, parse_name

DATABASE = "trailscan.duckdb"  # beside `objects/` it marks a folder as an archive of ours
LARGEST = 2 << 30  # bytes of one object; CloudTrail's own reach some hundred MB inflated

_OBJECTS = (".json", ".jsonl", ".ndjson", ".log", ".csv", ".gz", ".bz2", ".xz", ".zst")
_LEFTOVERS = (".part", ".tmp")
_DESKTOP = (".ds_store", "thumbs.db")
_TAR, _ZIP = ".tar", ".zip"
_PACKED_TARS: dict[str, Callable[[str], "_Stream"]] = {
    ".tar.gz": gzip.GzipFile,
    ".tgz": gzip.GzipFile,
    ".tar.bz2": bz2.BZ2File,
    ".tbz2": bz2.BZ2File,
    ".tar.xz": lzma.LZMAFile,
    ".txz": lzma.LZMAFile,
}
_CONTAINERS = (_TAR, _ZIP, *_PACKED_TARS)
_LARGEST_TAR_HEADER = 1 << 20  # a name or pax header; a hostile one could claim gigabytes
_PIECE = 1 << 20
_LATEST = 1 << 33  # seconds; past year 2200 a file's time is nonsense
# All that hostile bytes can make the standard library's readers raise.
_UNREADABLE = (
    OSError, EOFError, ValueError, RuntimeError, LookupError, OverflowError, struct.error,
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip


class LocalObject(msgspec.Struct, frozen=True):
    """One object on this machine: a file, or a member of a tar or zip.

    `bytes` is its size as listed. `offset` is where a member lies: its content in the (inflated) tar, its local header
    in the zip. `mtime` is in seconds since 1970, 0.0 when nonsense; a zip's has no zone and is taken for UTC.
    """

    path: str
    name: str  # the last part only
    bytes: int
    mtime: float
    member: str | None = None
    offset: int | None = None


class Problem(msgspec.Struct, frozen=True):
    """A file or folder that may hold evidence and was not taken; `path` names it as `display_name` would."""

    path: str
    reason: str


@dataclass(slots=True)
class Survey:
    """What a walk met beside objects: problems, and counts of what cannot be CloudTrail's by rule or extension."""

    problems: list[Problem] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)


def find_objects(paths: Iterable[str], survey: Survey) -> Iterator[LocalObject]:
    """Find the objects in files, folders, tars and zips, each folder in order of names; the walk itself is lazy.

    A file that is named is always taken; in folders and archives only what can be CloudTrail's. Raises SourceError at
    once when one of `paths` is missing or cannot be listed; whatever goes wrong later goes to `survey`.
    """
    named = list(paths)
    for path in named:
        try:
            if os.path.isdir(path):
                os.scandir(path).close()
            else:
                os.stat(path)
        except (OSError, ValueError) as error:
            raise SourceError(f"cannot read {_printable(path)}: {_cause(error)}") from error
    return (found for path in named for found in _find(path, survey))


def read_bytes(obj: LocalObject, limit: int = LARGEST) -> bytes:
    """Read an object's bytes exactly as they lie there (a zip's or packed tar's own compression undone).

    Raises SourceError, which names the object, when it cannot be read, is damaged or exceeds `limit` bytes. Members of
    packed tars are quick to read in the order they were found; each step back inflates the tar from its start.
    """
    try:
        if obj.bytes > limit:
            raise ValueError(f"it has {obj.bytes:,} bytes, more than the limit of {limit:,}")
        if obj.member is None:
            return _read_file(obj.path, obj.bytes, limit)
        container = _container_of(obj.path)
        if container == _ZIP:
            return _ZIPS.get(obj.path).read(obj, limit)
        if container == _TAR:
            with closing(_open_tar(obj.path)) as tar:
                return _read_at(tar, obj)
        return _read_at(_TARS.get(obj.path), obj)
    except _UNREADABLE as error:
        raise SourceError(f"cannot read {display_name(obj)}: {_cause(error)}") from error


def display_name(obj: LocalObject) -> str:
    """Name an object for people, `case.tar!member`, with all that a terminal could obey written as an escape."""
    return _printable(obj.path if obj.member is None else f"{obj.path}!{obj.member}")


# Finding


def _find(path: str, survey: Survey) -> Iterator[LocalObject]:
    if not os.path.isdir(path):
        try:
            yield from _take(path, os.path.basename(path), os.stat(path), survey)
        except OSError as error:  # it was there a moment ago
            survey.problems.append(Problem(_printable(path), _cause(error)))
        return
    objects = os.path.join(path, "objects")
    is_archive = os.path.isfile(os.path.join(path, DATABASE)) and os.path.isdir(objects)
    yield from _walk(objects if is_archive else path, survey)


def _walk(root: str, survey: Survey) -> Iterator[LocalObject]:
    inside = os.path.join(os.path.realpath(root), "")
    pending = [_entries(root, survey)]
    while pending:
        for entry in pending[-1]:
            try:
                if entry.is_dir(follow_symlinks=False):
                    if _is_foreign(entry.path, survey):
                        continue
                    pending.append(_entries(entry.path, survey))
                    break
                if _is_wanted(entry, inside, survey):
                    yield from _take(entry.path, entry.name, entry.stat(), survey)
            except OSError as error:
                survey.problems.append(Problem(_printable(entry.path), _cause(error)))
        else:
            pending.pop()


def _entries(folder: str, survey: Survey) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return iter(sorted(entries, key=attrgetter("name")))
    except OSError as error:
        survey.problems.append(Problem(_printable(folder), _cause(error)))
        return iter(())


def _is_wanted(entry: os.DirEntry[str], inside: str, survey: Survey) -> bool:
    reason = ""
    if entry.is_symlink():
        target = os.path.realpath(entry.path)
        if not target.startswith(inside):
            reason = "a link that leaves the folder is not followed"
        elif os.path.isdir(target):
            reason = "a link to a folder is not followed"
    elif not entry.is_file(follow_symlinks=False):
        reason = "neither a file nor a folder"
    if reason:
        survey.problems.append(Problem(_printable(entry.path), reason))
        return False
    return _container_of(entry.name) is not None or _can_hold_records(entry.name, survey)


def _is_foreign(folder: str, survey: Survey) -> bool:
    """Tell whether a folder is another service's, as in `AWSLogs/111122223333/Config`, and count it then."""
    place = depth(folder.replace(os.sep, "/") + "/")
    if place.level is not Level.FOREIGN:
        return False
    survey.passed_over[f"of other services ({_printable(os.path.basename(folder))})"] += 1
    return True


def _can_hold_records(name: str, survey: Survey) -> bool:
    """Tell whether a name is worth opening; count it as passed over when not."""
    lower = name.lower()
    if name.startswith("._"):
        label = "._*"
    elif lower.endswith(_OBJECTS):
        return True
    elif lower.endswith(_LEFTOVERS):
        label = "*" + os.path.splitext(lower)[1]
    elif lower in _DESKTOP:
        label = lower
    elif parse_name(name) is not None:
        return True
    else:
        label = "*" + os.path.splitext(lower)[1] if "." in lower[1:] else "without extension"
    survey.passed_over[_printable(label)] += 1
    return False


def _container_of(name: str) -> str | None:
    """Give the ending that says a file is a tar or zip, None when it is neither."""
    lower = name.lower()
    if not lower.endswith(_CONTAINERS):
        return None
    return next(ending for ending in _CONTAINERS if lower.endswith(ending))


def _take(path: str, name: str, stat: os.stat_result, survey: Survey) -> Iterator[LocalObject]:
    container = _container_of(name)
    if container is None:
        yield LocalObject(path, name, stat.st_size, _sane(stat.st_mtime))
        return
    try:
        yield from (_zip_members if container == _ZIP else _tar_members)(path, survey)
    except _UNREADABLE as error:
        survey.problems.append(Problem(_printable(path), _cause(error)))


def _member(found: LocalObject, survey: Survey) -> Iterator[LocalObject]:
    """Pass a member on if it can be CloudTrail's."""
    if found.name.startswith("._"):
        survey.passed_over["._*"] += 1
    elif _container_of(found.name):
        survey.problems.append(Problem(display_name(found), "an archive within an archive is not opened: unpack it"))
    elif not _is_foreign(os.path.dirname(found.member or ""), survey) and _can_hold_records(found.name, survey):
        yield found


# Tars


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def seek(self, offset: int, /) -> int: ...
    def tell(self) -> int: ...
    def close(self) -> None: ...


class _Wary:
    """A tar's bytes for tarfile, which would otherwise read a header of any size it is told."""

    def __init__(self, stream: _Stream) -> None:
        self.tell, self.seek, self._read = stream.tell, stream.seek, stream.read

    def read(self, size: int) -> bytes:
        if size > _LARGEST_TAR_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._read(size)


def _open_tar(path: str) -> _Stream:
    container = _container_of(path) or _TAR
    return open(path, "rb") if container == _TAR else _PACKED_TARS[container](path)


def _tar_members(path: str, survey: Survey) -> Iterator[LocalObject]:
    with closing(_open_tar(path)) as stream, tarfile.open(fileobj=cast("IO[bytes]", _Wary(stream)), mode="r:") as tar:
        while (info := tar.next()) is not None:
            vars(tar)["members"].clear()  # tarfile keeps them all: memory must stay flat
            label = f"{path}!{info.name}"
            if info.issparse():
                survey.problems.append(Problem(_printable(label), "a sparse member is not read"))
            elif info.isreg():
                found = LocalObject(path, _last_part(info.name), info.size, _sane(info.mtime), info.name, info.offset_data)
                yield from _member(found, survey)
            elif not info.isdir():
                survey.passed_over["links and devices in a tar"] += 1
        reason = _ill_end(stream, tar.offset)
        if reason:
            survey.problems.append(Problem(_printable(path), reason))


def _ill_end(stream: _Stream, offset: int) -> str:
    """Say what is wrong after the last member: tarfile stops without a word at a broken header."""
    stream.seek(offset)
    has_end = False
    while piece := stream.read(_PIECE):
        if piece.strip(b"\0"):
            return f"no tar from byte {offset:,} on: what follows was not read"
        has_end = True
    return "" if has_end else "the tar has no end mark: it may be cut short"


def _read_at(tar: _Stream, obj: LocalObject) -> bytes:
    tar.seek(obj.offset or 0)
    data = tar.read(obj.bytes)
    while len(data) < obj.bytes:
        more = tar.read(obj.bytes - len(data))
        if not more:
            raise EOFError(f"the archive ends {obj.bytes - len(data):,} bytes too early")
        data += more
    return data


# Zips


class _Zip:
    """An open zip whose members are found by place and name, for several may share a name."""

    def __init__(self, path: str) -> None:
        self.file = zipfile.ZipFile(path)
        self.close = self.file.close
        self.members = {(info.header_offset, info.filename): info for info in self.file.infolist()}

    def read(self, obj: LocalObject, limit: int) -> bytes:
        info = self.members[obj.offset or 0, obj.member or ""]
        with self.file.open(info) as member:
            return _drain(member.read, limit)


def _zip_members(path: str, survey: Survey) -> Iterator[LocalObject]:
    for info in _ZIPS.get(path).members.values():
        found = LocalObject(path, _last_part(info.filename), info.file_size, _zip_time(info), info.filename, info.header_offset)
        if info.is_dir():
            continue
        if info.flag_bits & 1:
            survey.problems.append(Problem(display_name(found), "the member is encrypted"))
        else:
            yield from _member(found, survey)


def _zip_time(info: zipfile.ZipInfo) -> float:
    try:
        return _sane(calendar.timegm((*info.date_time, 0, 0, 0)))
    except ValueError:
        return 0.0


# Reading


class _Closable(Protocol):
    def close(self) -> object: ...


_Handle = TypeVar("_Handle", bound=_Closable)


class _LastOpened(threading.local, Generic[_Handle]):
    """The archive that this thread opened last, kept open: to open a zip costs reading its whole directory again.

    A forked process opens its own, since it would share the position in the file with its parent.
    """

    def __init__(self, opener: Callable[[str], _Handle]) -> None:
        self.opener = opener
        self.handle: _Handle | None = None
        self.key: tuple[object, ...] = ()

    def get(self, path: str) -> _Handle:
        stat = os.stat(path)
        key = (os.getpid(), path, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if self.handle is None or key != self.key:
            if self.handle is not None:
                self.handle.close()
            self.handle, self.key = None, key
            self.handle = self.opener(path)
        return self.handle


_ZIPS = _LastOpened(_Zip)
_TARS = _LastOpened(_open_tar)


def _read_file(path: str, expected: int, limit: int) -> bytes:
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        data = os.read(handle, expected + 1)  # one byte more shows that there is no more: one call for nearly all
        if len(data) == expected:
            return data
        return data + _drain(lambda size: os.read(handle, size), limit - len(data))
    finally:
        os.close(handle)


def _drain(read: Callable[[int], bytes], limit: int) -> bytes:
    pieces: list[bytes] = []
    while piece := read(_PIECE):
        pieces.append(piece)
        limit -= len(piece)
        if limit < 0:
            raise ValueError("it is larger than the limit")
    return b"".join(pieces)


# Words


def _last_part(name: str) -> str:
    return re.split(r"[/\\]", name)[-1]


def _sane(mtime: float) -> float:
    return float(mtime) if 0 <= mtime < _LATEST else 0.0


def _cause(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _printable(text or type(error).__name__)


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
