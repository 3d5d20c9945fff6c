"""The archive's folder: objects as S3 held them, the manifest of where each came from, public keys, and a lock.

An object appears under its final name whole or not at all. The manifest is written before anything is reported as held
and is the source of truth: the database can be made anew from it and the objects.
"""

import contextlib
import ctypes
import errno
import hashlib
import itertools
import json
import os
import shutil
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from trailscan.archive.leftovers import sweep_archive
from trailscan.archive.loaded_paths import LOADED, copy_name, is_elsewhere, loaded_name
from trailscan.archive.manifest import versions
from trailscan.archive.object_paths import key_of
from trailscan.archive.origin import Origin, is_text
from trailscan.cloudtrail.history_windows import HISTORY, parse_window
from trailscan.errors import ArchiveBusy, ArchiveError, NoArchive, UnsafeKey, of_system
from trailscan.files.folder import every_name
from trailscan.files.local_objects import Problem, printable
from trailscan.fingerprints import fingerprint

OBJECTS = "objects"  # the folder that holds what S3 held, as `<bucket>/<key>`
_PIECE = 1 << 20
_LONGEST_LINE = 1 << 20  # bytes; keys have at most 1,024, metadata 2 KB
_MOST_LINES = 1_000  # lines of the manifest that are named as unreadable
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Origin).decode


Arrived = tuple[str, bytes, datetime | None]  # the path to lay it under, its bytes, S3's time of change
Laid = tuple[str, str, str | None]  # the path it lies under, the SHA-256 of its bytes, and of these inflated, hex


class ArchiveFolder:
    """The folder at `root`. `sha256_raw` gives the hash of an object's inflated bytes, for who puts objects into it."""

    def __init__(self, root: str, sha256_raw: Callable[[bytes], str] | None = None) -> None:
        self.sha256_raw = sha256_raw
        self.root = os.path.abspath(root)
        self.objects = os.path.join(self.root, OBJECTS)
        self.keys = os.path.join(self.root, "keys")
        self.database = os.path.join(self.root, "trailscan.duckdb")
        self.manifest = os.path.join(self.root, "manifest.jsonl")
        self.custody = os.path.join(self.root, "custody.jsonl")
        self._incoming = os.path.join(self.root, "incoming")
        self._landing = os.path.join(self._incoming, "landing")  # the objects that are being laid down, until they are recorded
        self._recording = threading.Lock()
        self._made: set[str] = set()
        self._numbers = itertools.count()
        self._laid = False
        self._brought: bool | None = (
            None  # whether there is a `loaded` folder: asked once, for place() is asked for each object
        )

    def exists(self) -> bool:
        """Whether the folder looks like an archive."""
        return os.path.isdir(self.objects) or os.path.exists(self.database)

    def must_exist(self) -> None:
        """Raise NoArchive unless there is one, Forbidden where that cannot be seen."""
        try:
            names = os.listdir(self.root)
        except NotADirectoryError:
            hint = "give the folder that `trailscan sync` or `trailscan load` filled"
            raise NoArchive(f"{self.root} is a file, and an archive is a folder", hint) from None
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise of_system(error, "cannot look into") from error
        if not {OBJECTS, os.path.basename(self.database), os.path.basename(self.manifest)} & set(names):
            raise NoArchive(f"there is no archive at {self.root}", "fill one with `trailscan sync` or `trailscan load`")

    def create(self) -> None:
        """Make the folder and what belongs in it, as far as it is not there."""
        try:
            for folder in (self.objects, self.keys, self._incoming):
                os.makedirs(folder, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            message = f"{self.root} cannot be made: {error.strerror}"
            raise ArchiveError(message, "choose another folder with --archive") from error
        except OSError as error:
            raise of_system(error, "cannot make") from error

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other writers out (readers need no lock).

        Raises ArchiveBusy, which names the other process, and ReadOnly or Forbidden where nothing can be written.
        """
        path = os.path.join(self.root, ".lock")
        try:
            opened = open(path, "a+", encoding="ascii")  # noqa: SIM115 - closed below
        except OSError as error:
            raise of_system(error, "cannot write") from error
        with opened as file:
            if not _try_lock(file.fileno()):
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise ArchiveBusy(f"{self.root} is being written by process {holder}", "wait for it, or stop it")
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            self._tidy()
            yield

    def place(self, path: str) -> str:
        """Where on disk an origin's path lies: for what a bundle brought under another name, in `loaded/`."""
        if self._brought is None:
            self._brought = os.path.isdir(os.path.join(self.root, LOADED))
        if self._brought and os.path.exists(brought := os.path.join(self.root, loaded_name(path))):
            return brought
        return path if is_elsewhere(path) else os.path.join(self.root, path)

    def put(self, path: str, data: bytes, last_modified: datetime | None) -> tuple[str, str]:
        """Write an object's bytes under its path, whole or not at all; returns the path and the bytes' SHA-256, hex.

        What lies under that path with other content stays, and the object is laid beside it: a later version, or on a
        case-insensitive disk another key. May be called from several threads. Raises ArchiveError when the disk refuses.
        """
        return self._put(path, data, last_modified, hashlib.sha256(data).hexdigest())

    def _put(self, path: str, data: bytes, last_modified: datetime | None, digest: str) -> tuple[str, str]:
        self._laid = True
        try:
            fresh = self._write(data, last_modified)
            path = self._lay(fresh, path, digest)
        except OSError as error:
            raise of_system(error, "cannot write", self.place(path)) from error
        return path, digest

    def lay_at(self, path: str, data: bytes, last_modified: datetime | None) -> None:
        """Write an object's bytes under its path, in place of any that lie there. Raises OSError."""
        self._laid = True
        self._move(self._write(data, last_modified), os.path.join(self.root, path))

    def put_all(self, arrived: Sequence[Arrived]) -> list[Laid]:
        """Put objects, one after the other; returns their paths and SHA-256s.

        Until `landed` is called, the next writer takes them away again unless the manifest knows them: a process that is killed
        in between leaves nothing that nobody recorded. For one thread of one process.
        """
        sums = [hashlib.sha256(data).hexdigest() for _, data, _ in arrived]
        if arrived:
            with open(self._landing, "wb") as file:
                file.write(msgspec.json.encode([(path, digest) for (path, _, _), digest in zip(arrived, sums, strict=True)]))
        return [
            (*self._put(*each, digest), self.sha256_raw(each[1]) if self.sha256_raw else None)
            for each, digest in zip(arrived, sums, strict=True)
        ]

    def landed(self) -> None:
        """What `put_all` laid down last is in the manifest."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._landing)

    def copy(self, path: str) -> str:
        """Copy a file from elsewhere into the archive; returns the path of the copy, relative to the archive.

        Its name tells its content too, so that a later version lies beside it. Raises OSError.
        """
        self._laid = True
        fresh = self._fresh_name()
        digest = hashlib.sha256()
        with open(path, "rb") as source, open(fresh, "xb") as target:
            while piece := source.read(_PIECE):
                digest.update(piece)
                target.write(piece)
        shutil.copystat(path, fresh)
        os.chmod(fresh, 0o644)
        name = copy_name(path, digest.hexdigest())
        self._move(fresh, os.path.join(self.root, name))
        return name

    def note_laid(self) -> None:
        """Somebody else puts objects on this one's behalf: `flush` must reach them."""
        self._laid = True

    def save_keys(self, region: str, keys: list[dict[str, str]]) -> None:
        """Keep CloudTrail's public keys of a region, beside those kept before; each is named by its `fingerprint`."""
        path = os.path.join(self.keys, f"{region}.json")
        kept: dict[str, dict[str, str]] = {}
        with contextlib.suppress(FileNotFoundError):
            try:
                with open(path, "rb") as file:
                    kept = {key["fingerprint"]: key for key in msgspec.json.decode(file.read(), type=list[dict[str, str]])}
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError):
                self._move(path, f"{path}.unreadable")  # kept aside: it may tell who damaged it
        kept |= {key["fingerprint"]: key for key in keys}
        fresh = self._write(msgspec.json.format(msgspec.json.encode(list(kept.values())), indent=1), None)
        self._move(fresh, path)

    def record(self, origins: list[Origin]) -> None:
        """Append to the manifest: from now on these objects are held."""
        lines = b"".join(_encode(origin) + b"\n" for origin in origins)
        with self._recording, open(self.manifest, "ab") as file:
            file.write(lines)

    def recorded(self, start: int = 0, end: int | None = None) -> Iterator[tuple[Origin, int]]:
        """The manifest's origins from a byte offset on, up to another, each with the offset after it."""
        if not os.path.exists(self.manifest):
            return
        with open(self.manifest, "rb") as file:
            file.seek(start)
            for line in file:
                start += len(line)
                if end is not None and start > end:
                    return
                origin = _origin_in(line)
                if origin is not None:
                    yield origin, start

    def unreadable_lines(self, start: int = 0) -> list[int]:
        """The numbers, from 1, of the manifest's lines from a byte offset on that name no object; a thousand at most."""
        if not os.path.exists(self.manifest):
            return []
        with open(self.manifest, "rb") as file:
            file.seek(start)
            bad = list(itertools.islice((at for at, line in enumerate(file, 1) if _origin_in(line) is None), _MOST_LINES))
            file.seek(0)
            before = file.read(start).count(b"\n") if bad else 0
        return [before + at for at in bad]

    def versions(self) -> Iterator[Origin]:
        """Every object that was ever taken in, each version once, with all that the manifest says of it now."""
        end = self.manifest_size()
        return versions(lambda: (origin for origin, _ in self.recorded(0, end)))

    def strays(self, problems: list[Problem]) -> Iterator[Origin]:
        """What lies in `objects/` and no line of the manifest knows; what is no file, or has no name, goes to `problems`."""
        paths = {fingerprint(origin.path.removeprefix(f"{self.root}/")) for origin, _ in self.recorded()}
        for name in every_name(self.objects, problems):
            path = f"{OBJECTS}/{name}"
            if fingerprint(path) not in paths:
                stray = _stray(path, os.path.join(self.root, path))
                if isinstance(stray, Problem):
                    problems.append(stray)
                else:
                    yield stray

    def manifest_size(self) -> int:
        """Bytes in the manifest."""
        return os.path.getsize(self.manifest) if os.path.exists(self.manifest) else 0

    def flush(self) -> None:
        """Return when everything written so far is on the disk itself: one call for thousands of small files."""
        if self._laid:
            sync_filesystem(self.root)
        elif os.path.exists(self.manifest):
            with open(self.manifest, "ab") as file:
                os.fsync(file.fileno())

    def _tidy(self) -> None:
        """Sweep away what a killed run was still receiving or making, and the line of the manifest it was writing."""
        sweep_archive(self.root)
        self._take_back()
        shutil.rmtree(self._incoming, ignore_errors=True)
        os.makedirs(self._incoming, exist_ok=True)
        if not os.path.exists(self.manifest):
            return
        with open(self.manifest, "rb+") as file:
            file.seek(max(0, os.path.getsize(self.manifest) - _LONGEST_LINE))
            tail = file.read()
            unfinished = tail[tail.rfind(b"\n") + 1 :]
            if _is_torn(unfinished):
                file.truncate(file.tell() - len(unfinished))
            elif unfinished:
                file.write(b"\n")

    def _take_back(self) -> None:
        """Remove what a killed run laid down and did not record: nobody was told of it, and the next sync fetches it again."""
        try:
            with open(self._landing, "rb") as file:
                named = msgspec.json.decode(file.read(), type=list[tuple[str, str]])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return
        known = {origin.path for origin, _ in self.recorded()}
        for path, digest in named:
            for laid in {path, f"{path}~{digest[:16]}"} - known:
                place = os.path.join(self.root, laid)
                if laid.startswith(f"{OBJECTS}/") and ".." not in laid.split("/") and _has_sum(place, digest):
                    os.remove(place)

    def _free(self, path: str, digest: str) -> str:
        """The path, or one beside it where it holds something else; "~" is never part of a key's own path."""
        final = self.place(path)
        if not os.path.exists(final):
            return path
        with contextlib.suppress(IsADirectoryError), open(final, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == digest:
                return path
        return f"{path}~{digest[:16]}"

    def _lay(self, fresh: str, path: str, digest: str) -> str:
        """Move a fresh file to its path, or where it finds room beside others; returns where that is."""
        wanted = path
        for _ in range(wanted.count("/")):  # while other threads may make a file of each of its folders
            free = self._free(path, digest)
            try:
                self._move(fresh, self.place(free))
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                path = self._around(wanted)
            else:
                return free
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def _around(self, path: str) -> str:
        """The path with "~" after each folder whose place a file has: S3 can hold both `a` and `a/b`."""
        parts = path.split("/")
        for depth in range(1, len(parts)):
            if os.path.isfile(self.place("/".join(parts[:depth]))):
                parts[depth - 1] += "~"
        return "/".join(parts)

    def _write(self, data: bytes, last_modified: datetime | None) -> str:
        fresh = self._fresh_name()
        descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)
        try:
            written = 0
            while written < len(data):
                written += os.write(descriptor, memoryview(data)[written:])
        finally:
            os.close(descriptor)
        if last_modified is not None:
            seconds = last_modified.replace(tzinfo=UTC).timestamp()
            os.utime(fresh, (seconds, seconds))
        return fresh

    def _fresh_name(self) -> str:
        return os.path.join(self._incoming, f"{os.getpid()}-{next(self._numbers)}")

    def _move(self, fresh: str, final: str) -> None:
        folder = os.path.dirname(final)
        if folder not in self._made:
            os.makedirs(folder, exist_ok=True)
            self._made.add(folder)
        os.replace(fresh, final)


def _origin_in(line: bytes) -> Origin | None:
    """What a line of the manifest says, None for what is none: a disk or an enemy may have altered it."""
    try:
        return _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _has_sum(place: str, digest: str) -> bool:
    try:
        with open(place, "rb") as file:
            return stat.S_ISREG(os.lstat(place).st_mode) and hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False


def _is_torn(unfinished: bytes) -> bool:
    """Whether bytes at the end are the beginning of a line whose writer was killed; all else is evidence, whole or altered."""
    if not unfinished.strip(b"\0"):  # a disk that lost its power leaves zeros
        return True
    if len(unfinished) >= _LONGEST_LINE or not unfinished.startswith(b"{"):
        return False
    try:
        json.JSONDecoder().raw_decode(unfinished.decode("utf-8", "ignore"))
    except json.JSONDecodeError as error:
        return error.pos >= len(error.doc) - len("\\u000") or error.msg.startswith("Unterminated string")
    except RecursionError:
        return False
    return False


def _stray(path: str, place: str) -> Origin | Problem:
    """An object in the archive that the manifest does not know: its path still tells bucket and key."""
    found = os.lstat(place)
    if not stat.S_ISREG(found.st_mode) or not is_text(path):
        why = "its name is not UTF-8" if stat.S_ISREG(found.st_mode) else "neither a file nor a folder"
        return Problem(printable(path), f"{why}, and no line of the manifest knows it")
    try:
        bucket, key = key_of(path.partition("/")[2])
    except UnsafeKey:
        return Origin("file", path, path, found.st_size, stray=True)
    if parse_window(f"{bucket}/{key}"):
        return Origin(HISTORY, f"{bucket}/{key}", path, found.st_size, stray=True)
    return Origin("s3", key, path, found.st_size, bucket=bucket, stray=True)


def sync_filesystem(path: str) -> None:
    """Return when all that was written on the disk that holds `path` is there to stay."""
    if sys.platform != "linux":
        if hasattr(os, "sync"):
            os.sync()
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        ctypes.CDLL(None).syncfs(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
