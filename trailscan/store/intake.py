"""Objects into an archive's database: numbered, read by the workers, loaded transaction by transaction."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from trailscan.evidence.archive import Archive
from trailscan.evidence.folder import LocalObject, Problem
from trailscan.evidence.origin import Origin, file_of
from trailscan.records.damage import Damage
from trailscan.records.workers import Workers, chunked
from trailscan.store.database import Database, run
from trailscan.store.holdings import next_object_id, set_manifest_mark
from trailscan.store.load import Loaded, Loader
from trailscan.store.rows import insert_damage

Incoming = tuple[Origin, int | None]  # and the id it was held under before, if it is loaded anew


class Intake:
    """One run's way into an archive; `stop` is asked often and ends it after the transaction in hand.

    Needs the archive's lock. Raises what Database raises.
    """

    def __init__(self, archive: Archive, workers: Workers, only: tuple[str, ...], stop: Callable[[], bool]) -> None:
        self.database = Database(archive.database)
        self.database.create()
        self._archive = archive
        self._workers = workers
        self._stop = stop
        self._loader = Loader({}, only)
        with self.database.reading() as connection:
            self._next_id = next_object_id(connection)

    def load(self, incoming: Iterable[Incoming | None]) -> Iterator[Loaded]:
        """Load the objects as they come; None among them means that none will come for a while. Yields each commit's counts."""
        reads = self._workers.read(chunked(map(self._numbered, incoming)))
        yield from self._loader.into_archive(self.database, reads, self._stop, self._archive.flush)

    def note_problems(self, problems: Sequence[Problem]) -> None:
        """Keep what could not even be listed as damage, once."""
        with self.database.writing() as connection:
            known = set(run(connection, "SELECT reason FROM damage WHERE object_id IS NULL"))
            reasons = dict.fromkeys(f"{problem.path}: {problem.reason}" for problem in problems)
            fresh = [(None, Damage("unreadable-file", reason)) for reason in reasons if (reason,) not in known]
            insert_damage(connection, fresh)

    def settle(self) -> None:
        """Note that all of the manifest is in the database."""
        with self.database.writing() as connection:
            set_manifest_mark(connection, self._archive.manifest_size())

    def _numbered(self, incoming: Incoming | None) -> tuple[int, LocalObject] | None:
        if incoming is None or self._stop():
            return None
        origin, before = incoming
        number = self._next_id
        self._next_id += 1
        self._loader.origins[number] = origin
        if before is not None:
            self._loader.replaced[number] = before
        return number, file_of(origin, self._archive.place(origin.path))
