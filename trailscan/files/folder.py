"""Local sources: finds the objects in files, folders, tars and zips, and reads any of them again, byte for byte.

It never writes, never extracts and never leaves the folder it was given. What it cannot take is told as a value (`Problem`,
or a count in `Survey.passed_over`), so nothing is left out silently.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from operator import attrgetter

from trailscan.errors import SourceError
from trailscan.files.first_bytes import HEAD
from trailscan.files.local_objects import (
    LocalObject,
    Problem,
    Survey,
    can_hold_records,
    cause,
    display_name,
    is_foreign,
    printable,
    sane,
)
from trailscan.files.regular_file import open_descriptor
from trailscan.files.tar_zip import UNREADABLE, container_of, drain, members, read_member

DATABASE = "trailscan.duckdb"  # beside `objects/` it marks a folder as an archive of ours
LARGEST = 2 << 30  # bytes of one object; CloudTrail's own reach some hundred MB inflated


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
            raise SourceError(f"cannot read {printable(path)}: {cause(error)}") from error
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
        return read_member(obj, limit)
    except UNREADABLE as error:
        raise SourceError(f"cannot read {display_name(obj)}: {cause(error)}") from error


def every_name(folder: str, problems: list[Problem]) -> Iterator[str]:
    """The path of everything below a folder that is no folder, relative to it with "/", in order of names.

    A folder that cannot be listed goes to `problems`.
    """

    def note(error: OSError) -> None:
        problems.append(Problem(printable(str(error.filename)), cause(error)))

    for root, folders, names in os.walk(folder, onerror=note):
        links = {name for name in folders if os.path.islink(os.path.join(root, name))}
        folders[:] = sorted(set(folders) - links)
        below = root[len(folder) :].replace(os.sep, "/").strip("/")
        yield from (f"{below}/{name}" if below else name for name in sorted([*names, *links]))


def _find(path: str, survey: Survey) -> Iterator[LocalObject]:
    if not os.path.isdir(path):
        try:
            found = os.stat(path)
            if stat.S_ISREG(found.st_mode):
                yield from _take(path, os.path.basename(path), found, survey)
            else:
                survey.problems.append(Problem(printable(path), "neither a file nor a folder"))
        except OSError as error:  # it was there a moment ago
            survey.problems.append(Problem(printable(path), cause(error)))
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
                    if is_foreign(entry.path, survey):
                        continue
                    pending.append(_entries(entry.path, survey))
                    break
                if _is_wanted(entry, inside, survey):
                    yield from _take(entry.path, entry.name, entry.stat(), survey)
            except OSError as error:
                survey.problems.append(Problem(printable(entry.path), cause(error)))
        else:
            pending.pop()


def _entries(folder: str, survey: Survey) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return iter(sorted(entries, key=attrgetter("name")))
    except OSError as error:
        survey.problems.append(Problem(printable(folder), cause(error)))
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
        survey.problems.append(Problem(printable(entry.path), reason))
        return False
    return container_of(entry.name) is not None or can_hold_records(entry.name, survey, lambda: _head(entry.path))


def _head(path: str) -> bytes:
    handle = open_descriptor(path)
    try:
        return os.read(handle, HEAD)
    finally:
        os.close(handle)


def _take(path: str, name: str, found: os.stat_result, survey: Survey) -> Iterator[LocalObject]:
    if container_of(name) is None:
        yield LocalObject(path, name, found.st_size, sane(found.st_mtime))
        return
    try:
        yield from members(path, survey)
    except UNREADABLE as error:
        survey.problems.append(Problem(printable(path), cause(error)))


def _read_file(path: str, expected: int, limit: int) -> bytes:
    handle = open_descriptor(path)
    try:
        data = os.read(handle, expected + 1)  # one byte more shows that there is no more: one call for nearly all
        if len(data) == expected:
            return data
        return data + drain(lambda size: os.read(handle, size), limit - len(data))
    finally:
        os.close(handle)
