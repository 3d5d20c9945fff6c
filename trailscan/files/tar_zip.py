"""Objects within tars and zips: found and read again where they lie, never extracted; names inside are labels, not paths.

Whoever made the file is not trusted: sizes and positions are checked against the file, and reading is bounded.
"""

import calendar
import lzma
import os
import re
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Generic, Protocol, TypeVar

import msgspec

from trailscan.files import tar
from trailscan.files.first_bytes import HEAD
from trailscan.files.inflated_stream import InflatedStream
from trailscan.files.local_objects import (
    LocalObject,
    Problem,
    Survey,
    can_hold_records,
    display_name,
    is_foreign,
    printable,
    sane,
)
from trailscan.files.regular_file import open_descriptor, open_regular
from trailscan.files.zip_directory import check_directory, flaw_of_entry, overlapping

_TAR, _ZIP = ".tar", ".zip"
_PACKED_TARS = {
    ".tar.gz": "gzip",
    ".tgz": "gzip",
    ".tar.bz2": "bzip2",
    ".tbz2": "bzip2",
    ".tar.xz": "xz",
    ".txz": "xz",
}
_CONTAINERS = (_TAR, _ZIP, *_PACKED_TARS)
_PIECE = 1 << 20
_UNREADABLE_HEAD = b"{}"  # so that the member is read, and what is wrong with it named

# All that hostile bytes can make the readers raise.
UNREADABLE = (
    OSError, EOFError, ValueError, RuntimeError, LookupError, OverflowError, MemoryError, struct.error,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip


def members(path: str, survey: Survey) -> Iterator[LocalObject]:
    """The members of a tar or zip that can be CloudTrail's. Raises any of UNREADABLE."""
    return (_zip_members if container_of(path) == _ZIP else _tar_members)(path, survey)


def read_member(obj: LocalObject, limit: int) -> bytes:
    """A member's bytes. Raises any of UNREADABLE."""
    container = container_of(obj.path)
    if container == _ZIP:
        return _ZIPS.get(obj.path).read(obj, limit)
    if container == _TAR:
        with closing(_open_tar(obj.path)) as stream:
            return _read_at(stream, obj)
    return _read_at(_TARS.get(obj.path), obj)


def container_of(name: str) -> str | None:
    """Give the ending that says a file is a tar or zip, None when it is neither."""
    lower = name.lower()
    if not lower.endswith(_CONTAINERS):
        return None
    return next(ending for ending in _CONTAINERS if lower.endswith(ending))


def drain(read: Callable[[int], bytes], limit: int) -> bytes:
    """Read to the end. Raises ValueError where there is more than the limit."""
    pieces: list[bytes] = []
    while piece := read(_PIECE):
        pieces.append(piece)
        limit -= len(piece)
        if limit < 0:
            raise ValueError("it is larger than the limit")
    return b"".join(pieces)


def _member(found: LocalObject, survey: Survey, read: Callable[[LocalObject, int], bytes]) -> Iterator[LocalObject]:
    """Pass a member on if it can be CloudTrail's; `read` gives its first bytes."""

    def head() -> bytes:
        try:
            return read(found, min(found.bytes, HEAD))
        except UNREADABLE:
            return _UNREADABLE_HEAD

    if container_of(found.name) and not found.name.startswith("._"):
        survey.problems.append(Problem(display_name(found), "an archive within an archive is not opened: unpack it"))
    elif not is_foreign(os.path.dirname(found.member or ""), survey) and can_hold_records(found.name, survey, head):
        yield found


# Tars


def _open_tar(path: str) -> tar.Stream:
    container = container_of(path) or _TAR
    if container == _TAR:
        return tar.FileStream(open_descriptor(path))
    return InflatedStream(path, _PACKED_TARS[container])


def _tar_members(path: str, survey: Survey) -> Iterator[LocalObject]:
    with closing(_open_tar(path)) as stream:

        def head(member: LocalObject, size: int) -> bytes:
            return _read_at(stream, msgspec.structs.replace(member, bytes=size))

        end = stream.size() if isinstance(stream, tar.FileStream) else None
        for found in tar.members(stream, end):
            if isinstance(found, tar.Flaw):
                label = path if found.name is None else f"{path}!{found.name}"
                survey.problems.append(Problem(printable(label), found.reason))
            elif found.kind is tar.Kind.FILE:
                name = _last_part(found.name)
                yield from _member(
                    LocalObject(path, name, found.size, sane(found.mtime), found.name, found.offset), survey, head
                )
            elif found.kind is tar.Kind.SPARSE:
                survey.problems.append(Problem(printable(f"{path}!{found.name}"), "a sparse member is not read"))
            elif found.kind is tar.Kind.OTHER:
                survey.passed_over["links and devices in a tar"] += 1


def _read_at(stream: tar.Stream, obj: LocalObject) -> bytes:
    stream.seek(obj.offset or 0)
    pieces: list[bytes] = []
    wanted = obj.bytes
    while wanted > 0 and (piece := stream.read(min(wanted, _PIECE))):
        pieces.append(piece)
        wanted -= len(piece)
    if wanted > 0:
        raise EOFError(f"the archive ends {wanted:,} bytes too early")
    return b"".join(pieces)


# Zips


class _Zip:
    """An open zip whose members are found by place and name, for several may share a name."""

    def __init__(self, path: str) -> None:
        with open_regular(path) as file:
            check_directory(file)
        self._raw = open_regular(path)
        self.file = zipfile.ZipFile(self._raw)
        self.members = {(info.header_offset, info.filename): info for info in self.file.infolist()}
        self.overlapping = overlapping(self.file)

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        self._raw.close()

    def __del__(self) -> None:
        if hasattr(self, "_raw"):
            self._raw.close()

    def read(self, obj: LocalObject, limit: int) -> bytes:
        info = self.members[obj.offset or 0, obj.member or ""]
        with self.file.open(info) as member:
            return drain(member.read, limit)

    def head(self, obj: LocalObject, size: int) -> bytes:
        """The first bytes of a member."""
        with self.file.open(self.members[obj.offset or 0, obj.member or ""]) as member:
            return member.read(size)


def _zip_members(path: str, survey: Survey) -> Iterator[LocalObject]:
    opened = _ZIPS.get(path)
    for info in opened.members.values():
        found = LocalObject(path, _last_part(info.filename), info.file_size, _zip_time(info), info.filename, info.header_offset)
        if info.is_dir():
            continue
        if reason := flaw_of_entry(info, info in opened.overlapping):
            survey.problems.append(Problem(display_name(found), reason))
        else:
            yield from _member(found, survey, opened.head)


def _zip_time(info: zipfile.ZipInfo) -> float:
    try:
        return sane(calendar.timegm((*info.date_time, 0, 0, 0)))
    except ValueError:
        return 0.0


# What was opened last


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
_TARS: _LastOpened[tar.Stream] = _LastOpened(_open_tar)


def _last_part(name: str) -> str:
    return re.split(r"[/\\]", name)[-1]
