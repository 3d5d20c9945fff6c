"""Objects into an archive's database: numbered, read by the workers, loaded transaction by transaction."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.origin import Origin, bytes_of, file_of
from trailscan.aws.s3_paging import Oddity
from trailscan.fetch.download import MissingObject
from trailscan.files.local_objects import FileState, LocalObject, Problem, state_of_file
from trailscan.records.damage import Damage
from trailscan.records.worker_pool import Workers, chunked
from trailscan.store.archive_stats import manifest_mark, next_object_id, set_manifest_mark, strays
from trailscan.store.counts import CHANGED, Loaded
from trailscan.store.database import Connection, Database, run

Arrived = TypeVar("Arrived")
KEEP_AT_ONCE = 5_000  # objects in one transaction that only notes them

Incoming = tuple[Origin, int | None]  # and the id it was held under before, if it is loaded anew


class Ingest:
    """One run's way into an archive; `stop` is asked often and ends it after the transaction in hand.

    Needs the archive's lock. Raises what Database raises. `unreadable` are lines that the manifest gained since the database
    was last made to agree with it, and that name no object. An object whose bytes are not those that
    were recorded is not loaded, but with `accept_altered`.
    """

    def __init__(
        self,
        archive: ArchiveFolder,
        workers: Workers | None,
        only: tuple[str, ...],
        stop: Callable[[], bool],
        database: Database | None = None,
        *,
        accept_altered: bool = False,
    ) -> None:
        self.database = database or Database(archive.database)
        self.is_new = not self.database.exists()
        self._archive = archive
        self._workers = workers
        self._stop = stop
        self._only = only
        self._origins: dict[int, Origin] = {}
        self._replaced: dict[int, int] = {}
        self._containers: dict[str, FileState] = {}
        self._container = ""
        self._next_id = 1
        self._is_settled = False
        self._strays: dict[str, int] = {}
        known_to = 0
        self._accept_altered = accept_altered
        self._fresh = False
        if not self.is_new:
            with self.database.reading() as connection:
                self._next_id = next_object_id(connection)
                known_to = manifest_mark(connection)
                self._strays = strays(connection)
        self.unreadable = [_of_line(number) for number in archive.unreadable_lines(known_to)]

    def load(
        self, incoming: Iterable[Incoming | None], is_whole: Callable[[], bool] = lambda: True, *, fresh: bool = False
    ) -> Iterator[Loaded]:
        """Load the objects as they come; None among them means that none will come for a while. Yields each commit's counts.

        `is_whole` is asked at the end: whether all that the manifest records has come. `fresh` objects are not in the manifest
        yet: they are put there before their rows are committed.
        """
        self._fresh = fresh
        if self._workers is None:
            raise ValueError("this intake was made to keep, not to load")
        reads = self._workers.read(chunked(map(self._numbered, incoming)))
        self.database.create()
        from trailscan.store.loader import Loader  # brings DuckDB, while the first objects are being read
        from trailscan.store.rows import insert_containers

        def before_commit(connection: Connection, is_last: bool) -> None:
            insert_containers(connection, self._containers)
            self._archive.flush()
            if is_last and is_whole():
                self._settle(connection)

        loader = Loader(self._origins, self._only, self._replaced, self._archive.record, fresh)
        yield from loader.into_archive(self.database, reads, self._stop, before_commit)

    def keep(self, incoming: Iterable[Incoming | None]) -> int:
        """Note objects as held without loading them; returns how many."""
        from trailscan.store.repaired import repairs_of, replaced_by
        from trailscan.store.rows import forget, insert_damage, insert_objects, unread_row

        self.database.create()
        kept = 0
        for chunk in _batched((found for found in incoming if found is not None), KEEP_AT_ONCE):
            kept += len(chunk)
            with self.database.writing() as connection:
                numbered = [(self._take_id(), origin) for origin, _ in chunk]
                forget(connection, [before for _, before in chunk if before is not None] + replaced_by(connection, numbered))
                insert_objects(connection, [unread_row(number, origin, "fetched") for number, origin in numbered])
                insert_damage(connection, [(number, CHANGED) for number, origin in numbered if origin.changed])
                insert_damage(connection, [(number, damage) for number, origin in numbered for damage in repairs_of(origin)])
                self._archive.flush()
        return kept

    def note_missing(self, missing: Sequence[MissingObject], before: Sequence[int]) -> None:
        """Keep objects that could not be had as damage, in place of what was noted of them before."""
        from trailscan.store.rows import forget, insert_damage, insert_objects, unread_row

        numbered = [(self._take_id(), found) for found in missing]
        with self.database.writing() as connection:
            forget(connection, list(before))
            insert_objects(connection, [unread_row(number, found.origin, "failed") for number, found in numbered])
            insert_damage(connection, [(number, Damage(found.what, found.reason)) for number, found in numbered])

    def note_problems(self, problems: Sequence[Problem]) -> None:
        """Keep what could not even be listed as damage, once."""
        if problems:
            with self.database.writing() as connection:
                _note_once(connection, "unreadable-file", [f"{problem.path}: {problem.reason}" for problem in problems])

    def note_listing(self, url: str | None, oddities: Iterable[Oddity], was_odd: bool) -> None:
        """Keep what was odd in a bucket's listing as damage; what was odd before, below `url`, was listed anew."""
        reasons = [f"{oddity.where}: {oddity.reason}" for oddity in oddities]
        if not reasons and not (url and was_odd):
            return
        with self.database.writing() as connection:
            if url is not None:
                run(connection, "DELETE FROM damage WHERE what = 'listing' AND starts_with(reason, ?)", [url])
            _note_once(connection, "listing", reasons)

    def settle(self) -> None:
        """Note that all of the manifest is in the database, unless the last transaction did."""
        if not self._is_settled:
            with self.database.writing() as connection:
                self._settle(connection)

    def _settle(self, connection: Connection) -> None:
        if self.unreadable:
            _note_once(connection, "unreadable-line", self.unreadable)
        set_manifest_mark(connection, self._archive.manifest_size())
        self._is_settled = True

    def _numbered(self, incoming: Incoming | None) -> tuple[int, LocalObject] | None:
        if incoming is None or self._stop():
            return None
        origin, before = incoming
        number = self._take_id()
        self._origins[number] = origin
        if before is None and not origin.stray:  # found in `objects/` by a rebuild, and now come from its source
            before = self._strays.pop(origin.path, None)
        if before is not None:
            self._replaced[number] = before
        place = self._archive.place(bytes_of(origin))
        if origin.member is not None and bytes_of(origin) != self._container:
            self._note_container(bytes_of(origin), place)
        return number, file_of(origin, place, self._recorded(origin))

    def _note_container(self, path: str, place: str) -> None:
        """How a tar or zip is before its members are read: a change of any of them shows in it."""
        self._container = path
        if (state := state_of_file(place)) is not None:
            self._containers[path] = state

    def _recorded(self, origin: Origin) -> str | None:
        """What an object's SHA-256 must be; empty when none was recorded, and only its size tells."""
        if self._accept_altered or origin.sha256 is not None:
            return None if self._accept_altered else origin.sha256
        return None if self._fresh or origin.stray else ""

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1


def _of_line(number: int) -> str:
    return f"manifest.jsonl line {number}: it names no object: altered, or not written by trailscan"


def _batched(objects: Iterable[Arrived], size: int) -> Iterator[list[Arrived]]:
    iterator = iter(objects)
    while batch := list(islice(iterator, size)):
        yield batch


def _note_once(connection: Connection, what: str, reasons: Sequence[str]) -> None:
    """Insert damage that belongs to no object, as far as it is not known."""
    from trailscan.store.rows import insert_damage

    known = set(run(connection, "SELECT reason FROM damage WHERE object_id IS NULL"))
    insert_damage(connection, [(None, Damage(what, reason)) for reason in dict.fromkeys(reasons) if (reason,) not in known])
