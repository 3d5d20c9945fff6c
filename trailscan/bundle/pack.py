"""An archive into a bundle, in one pass: each file is read once, and hashed while it is written.

It takes the evidence as it lies there: what is missing or altered is named and packed as it is, never left out in silence.
The form of a bundle is that of `trailscan.bundle.format`.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import OBJECTS, ArchiveFolder
from trailscan.archive.leftovers import held, part_of, sweep_parts
from trailscan.archive.loaded_paths import is_elsewhere, loaded_name
from trailscan.archive.origin import Naming, Origin, naming_of
from trailscan.bundle.format import Names, seconds_of
from trailscan.bundle.writer import Writer
from trailscan.cloudtrail.object_keys import day_range
from trailscan.errors import ArchiveError, of_system
from trailscan.files.local_objects import Problem


class Narrowing(msgspec.Struct, frozen=True):
    """Which objects to pack, by what their keys say: events of [since, until), accounts, regions; None and empty mean all."""

    since: datetime | None = None
    until: datetime | None = None
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != Narrowing()

    def tells(self, naming: Naming) -> bool:
        """Whether a key says all that the choice needs."""
        dated = naming.delivered_at is not None or not (self.since or self.until)
        return dated and bool(naming.account_id or not self.accounts) and bool(naming.region or not self.regions)

    def takes(self, naming: Naming) -> bool:
        """Whether an object of such a key is wanted; days of delivery are taken whole, with the slack of a sync."""
        first, last = day_range(self.since, self.until)
        day = naming.delivered_at.date() if naming.delivered_at else None
        in_time = day is None or ((first is None or first <= day) and (last is None or day <= last))
        account = not self.accounts or naming.account_id in self.accounts
        return self.tells(naming) and in_time and account and (not self.regions or naming.region in self.regions)

    def as_arguments(self) -> dict[str, object]:
        """The choice as the custody log holds it."""
        return {
            "since": None if self.since is None else f"{self.since.isoformat()}Z",
            "until": None if self.until is None else f"{self.until.isoformat()}Z",
            "account": list(self.accounts),
            "region": list(self.regions),
        }


class Recorded(msgspec.Struct, frozen=True):
    """What is known of a file that should be in the archive: its time in the tar, and the SHA-256s it may have (none: any)."""

    mtime: int
    sums: frozenset[str]


class Packed(msgspec.Struct):
    """What went into a bundle: `objects` are those of `objects/` and `loaded/`, `members` all files but SHA256SUMS."""

    members: int = 0
    objects: int = 0
    left_out: int = 0  # by the narrowing
    unnamed: int = 0  # of these, because their keys do not tell
    bytes: int = 0  # of the bundle
    sha256: str = ""  # of the bundle
    problems: list[Problem] = []


class Load(msgspec.Struct, frozen=True):
    """What to pack beside the objects: the database at a path, files by member name, and SHA-256s of loaded files by path."""

    database: str | None = None
    more: Mapping[str, bytes] = {}
    known: Mapping[str, frozenset[str]] = {}


class _Chosen(msgspec.Struct):
    """The manifest's objects by path, those outside apart; `manifest` is its text when it is not the whole one."""

    held: dict[str, Recorded] = {}
    elsewhere: dict[str, Recorded] = {}
    regions: set[str] = set()
    manifest: list[bytes] = []


def pack(archive: ArchiveFolder, out: str, narrowing: Narrowing, load: Load, tell: Callable[[Packed], None]) -> Packed:
    """Write the bundle, whole or not at all; needs the archive's lock, where that can be had. Raises ArchiveError."""
    if os.path.exists(out) and not os.path.isfile(out):
        raise ArchiveError(f"{out} is not a file", "name a file for the bundle")
    out = os.path.realpath(out)
    fresh = part_of(out)
    sweep_parts(out)
    packed = Packed()
    try:
        with open(fresh, "xb", buffering=0) as file, held(fresh), Writer(file) as writer:
            _Run(archive, writer, packed, tell).run(narrowing, load)
            packed.sha256, packed.bytes = writer.finish()
            os.fsync(file.fileno())
        os.replace(fresh, out)
    except OSError as error:
        raise of_system(error, "cannot write", out) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(fresh)
    return packed


class _Run:
    """One packing; members come in the order of their names, so that it always makes the same bytes."""

    def __init__(self, archive: ArchiveFolder, writer: Writer, packed: Packed, tell: Callable[[Packed], None]) -> None:
        self._archive = archive
        self._writer = writer
        self._packed = packed
        self._tell = tell
        self._names = Names()

    def run(self, narrowing: Narrowing, load: Load) -> None:
        chosen = self._choose(narrowing, load.known)
        self._add_text("custody.jsonl", self._custody(narrowing, chosen))
        self._add_more(load.more, before="keys/")
        self._add_keys(chosen.regions if narrowing else None)
        for path in sorted(chosen.elsewhere, key=loaded_name):
            self._names.objection(loaded_name(path))
            self._add_object(loaded_name(path), path, chosen.elsewhere[path])
        self._add_manifest(narrowing, chosen)
        self._add_objects(narrowing, chosen)
        if load.database is not None and not narrowing and os.path.exists(load.database):
            self._add("trailscan.duckdb", load.database, 0)
        self._add_more(load.more, after="trailscan.duckdb")

    # Choosing

    def _choose(self, narrowing: Narrowing, known: Mapping[str, frozenset[str]]) -> _Chosen:
        chosen, unwanted = _Chosen(), set[str]()
        for origin in self._archive.versions():
            naming = naming_of(origin.key) if narrowing else None
            if naming is not None and not narrowing.takes(naming):
                self._packed.left_out += 1
                self._packed.unnamed += not narrowing.tells(naming)
                unwanted.add(origin.path)
                continue
            if origin.copy is not None:
                chosen.held[origin.copy] = Recorded(seconds_of(origin.last_modified), _sums_of_file(origin))
            elif is_elsewhere(origin.path):
                chosen.elsewhere[origin.path] = _recorded_elsewhere(origin, known)
            else:
                chosen.held[origin.path] = Recorded(seconds_of(origin.last_modified), _sums_of(origin))
            if naming is not None:
                chosen.regions.add(naming.region or "")
                chosen.manifest.append(msgspec.json.encode(origin) + b"\n")
        for path in unwanted & chosen.elsewhere.keys():  # a .tar that also holds what was not asked for
            del chosen.elsewhere[path]
            self._object_to(path, "it also holds what was not asked for, so it was left out as a whole")
        return chosen

    def _custody(self, narrowing: Narrowing, chosen: _Chosen) -> bytes:
        custody = CustodyLog(self._archive)
        if not narrowing:
            return custody.for_bundle()
        counts = {"objects": len(chosen.held) + len(chosen.elsewhere), "left_out": self._packed.left_out}
        return custody.for_part(b"".join(chosen.manifest), narrowing.as_arguments(), counts)

    # Adding

    def _add_keys(self, regions: set[str] | None) -> None:
        for name in sorted(_listed(self._archive.keys)):
            if name.endswith(".json") and (regions is None or name.removesuffix(".json") in regions):
                self._add(f"keys/{name}", os.path.join(self._archive.keys, name), 0)

    def _add_manifest(self, narrowing: Narrowing, chosen: _Chosen) -> None:
        if narrowing:
            self._add_text("manifest.jsonl", b"".join(chosen.manifest))
        elif os.path.exists(self._archive.manifest):
            self._add("manifest.jsonl", self._archive.manifest, 0)

    def _add_objects(self, narrowing: Narrowing, chosen: _Chosen) -> None:
        """What lies in `objects/`, in the manifest or not; then what the manifest knows and does not lie there, or not so."""
        for path in sorted(chosen.held) if narrowing else self._walk(OBJECTS):
            objection = self._names.objection(path)
            if not objection:
                self._add_object(path, path, chosen.held.pop(path, None))
            elif path not in chosen.held:
                self._object_to(path, objection)
        for path, recorded in sorted(chosen.held.items()):
            self._add_renamed(path, recorded)

    def _add_renamed(self, path: str, recorded: Recorded) -> None:
        """Add an object whose own name will not do, or that is missing, where `ArchiveFolder.place` will look for it."""
        name = loaded_name(path) if self._names.objection(path) else path
        objection = self._names.objection(name) if name != path else ""
        if objection:
            self._object_to(path, objection)
        else:
            self._add_object(name, path, recorded)

    def _add_object(self, name: str, path: str, recorded: Recorded | None) -> None:
        """Add one object; say so when its bytes are not those recorded."""
        try:
            sha256 = self._writer.add_file(name, self._archive.place(path), recorded.mtime if recorded else 0)
        except OSError as error:
            self._object_to(path, f"it is not packed: {error.strerror}")
            return
        self._count()
        self._packed.objects += 1
        if recorded is not None and recorded.sums and sha256 not in recorded.sums:
            self._object_to(path, "its bytes are not those that were recorded: their SHA-256 differs; packed as they are")

    def _add(self, name: str, path: str, mtime: int) -> None:
        objection = self._names.objection(name)
        if objection:
            self._object_to(name, objection)
            return
        try:
            self._writer.add_file(name, path, mtime)
        except OSError as error:
            self._object_to(name, f"it is not packed: {error.strerror}")
            return
        self._count()

    def _add_text(self, name: str, text: bytes) -> None:
        if text:
            self._names.objection(name)
            self._writer.add(name, text, 0)
            self._count()

    def _add_more(self, more: Mapping[str, bytes], before: str = "\U0010ffff", after: str = "") -> None:
        for name in sorted(more):
            if after < name < before:
                self._add_text(name, more[name])

    def _count(self) -> None:
        self._packed.members += 1
        self._tell(self._packed)

    def _object_to(self, path: str, reason: str) -> None:
        self._packed.problems.append(Problem(path, reason))

    def _walk(self, folder: str) -> Iterator[str]:
        """The files below a folder of the archive, by their paths, in the order of these as text."""
        place = os.path.join(self._archive.root, folder)
        if not os.path.isdir(place):
            return
        with os.scandir(place) as entries:
            found = sorted(
                (f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name, entry) for entry in entries
            )
        for name, entry in found:
            if name.endswith("/"):
                yield from self._walk(f"{folder}/{entry.name}")
            elif entry.is_file(follow_symlinks=False):
                yield f"{folder}/{name}"
            else:
                self._object_to(f"{folder}/{name}", "neither a file nor a folder, and not packed")


def _recorded_elsewhere(origin: Origin, known: Mapping[str, frozenset[str]]) -> Recorded:
    if origin.member is not None:
        return Recorded(0, frozenset())
    return Recorded(seconds_of(origin.last_modified), _sums_of(origin) or known.get(origin.path, frozenset()))


def _sums_of_file(origin: Origin) -> frozenset[str]:
    return _sums_of(origin) if origin.member is None else frozenset()


def _sums_of(origin: Origin) -> frozenset[str]:
    return frozenset() if origin.sha256 is None else frozenset((origin.sha256,))


def _listed(folder: str) -> Sequence[str]:
    return os.listdir(folder) if os.path.isdir(folder) else ()
