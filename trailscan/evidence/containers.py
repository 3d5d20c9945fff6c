"""Objects within tars and zips: found and read again where they lie, never extracted; names inside are labels, not paths."""

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
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import IO, Generic, Protocol, TypeVar, cast

from trailscan.evidence.local import LocalObject, Problem, Survey, can_hold_records, display_name, is_foreign, printable, sane

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
# All that hostile bytes can make the standard library's readers raise.
UNREADABLE = (
    OSError, EOFError, ValueError, RuntimeError, LookupError, OverflowError, struct.error,
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
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
        with closing(_open_tar(obj.path)) as tar:
            return _read_at(tar, obj)
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


def _member(found: LocalObject, survey: Survey) -> Iterator[LocalObject]:
    """Pass a member on if it can be CloudTrail's."""
    if found.name.startswith("._"):
        survey.passed_over["._*"] += 1
    elif container_of(found.name):
        survey.problems.append(Problem(display_name(found), "an archive within an archive is not opened: unpack it"))
    elif not is_foreign(os.path.dirname(found.member or ""), survey) and can_hold_records(found.name, survey):
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
    container = container_of(path) or _TAR
    return open(path, "rb") if container == _TAR else _PACKED_TARS[container](path)


def _tar_members(path: str, survey: Survey) -> Iterator[LocalObject]:
    with closing(_open_tar(path)) as stream, tarfile.open(fileobj=cast("IO[bytes]", _Wary(stream)), mode="r:") as tar:
        while (info := tar.next()) is not None:
            vars(tar)["members"].clear()  # tarfile keeps them all: memory must stay flat
            label = f"{path}!{info.name}"
            if info.issparse():
                survey.problems.append(Problem(printable(label), "a sparse member is not read"))
            elif info.isreg():
                found = LocalObject(path, _last_part(info.name), info.size, sane(info.mtime), info.name, info.offset_data)
                yield from _member(found, survey)
            elif not info.isdir():
                survey.passed_over["links and devices in a tar"] += 1
        reason = _ill_end(stream, tar.offset)
        if reason:
            survey.problems.append(Problem(printable(path), reason))


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
            return drain(member.read, limit)


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
_TARS = _LastOpened(_open_tar)


def _last_part(name: str) -> str:
    return re.split(r"[/\\]", name)[-1]
