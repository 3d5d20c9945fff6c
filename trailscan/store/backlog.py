"""What an earlier run left to do: objects that a killed process had fetched and not loaded, and those not loaded in full."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.manifest import versions
from trailscan.archive.origin import Origin, name_of, state_of
from trailscan.store.archive_stats import failed_ids, has_odd_listing, held, manifest_mark, never_loaded, suspects, unread
from trailscan.store.database import Connection, Database, run

if TYPE_CHECKING:  # it brings DuckDB, which a sync loads later
    from trailscan.store.ingest import Incoming


_PORTION = 20_000  # lines of the manifest that are compared together


def not_loaded(connection: Connection, archive: ArchiveFolder) -> int:
    """How many objects the manifest records of which the database knows nothing; nothing is read where both end alike."""
    mark = manifest_mark(connection)
    if archive.manifest_size() <= mark:
        return 0
    found = set[int]()
    recorded = archive.recorded(mark)
    while portion := [origin for origin, _ in islice(recorded, _PORTION)]:
        known = held(connection, keys=[origin.key for origin in portion])
        versions = ((name_of(origin), state_of(origin)) for origin in portion)
        found.update(hash(version) for version in versions if not known.has(*version))
    return len(found)


def waiting(archive: ArchiveFolder, database: Database, only: Sequence[str]) -> "list[Incoming]":
    """What is to be loaded where nothing new comes: all that never was, and with `only` also what lacks some of these names."""
    if only:
        return Backlog(archive, database, only).incoming
    with database.reading() as connection:
        fetched: list[Incoming] = list(never_loaded(connection))
    return Backlog(archive, database, None).incoming + fetched


class Backlog:
    """`incoming` is to be loaded before anything new; `held` covers it; `failed` names what could not be had, with its ids.

    `suspects` names what is held with bytes that are not those recorded. `was_odd` says whether a listing before was not as S3
    makes it. With `keys`, `held` is asked about these only.
    """

    def __init__(
        self, archive: ArchiveFolder, database: Database, only: Sequence[str] | None, keys: Sequence[str] | None = None
    ) -> None:
        with database.reading() as connection:
            mark = manifest_mark(connection)
            recorded = list(versions(lambda: (origin for origin, _ in archive.recorded(mark))))
            asked = None if keys is None else [*keys, *(origin.key for origin in recorded)]
            known = held(connection, keys=asked)
            lost = [found for found in recorded if found.repaired or not known.has(name_of(found), state_of(found))]
            self.held = held(connection, lost, asked) if lost else known
            self.failed = failed_ids(connection)
            self.suspects = suspects(connection)
            self.was_odd = has_odd_listing(connection)
            self.incoming: list[Incoming] = [(origin, self._before(connection, origin)) for origin in lost]
            if only is not None:
                self.incoming += unread(connection, only)

    def _before(self, connection: Connection, origin: Origin) -> int | None:
        """The id under which an object is held that could not be had, or that lay elsewhere."""
        if origin.moved_from is None:
            return self.failed.pop(name_of(origin), None)
        moved = "SELECT object_id FROM objects WHERE path = ? AND member IS NOT DISTINCT FROM ? AND sha256 = ?"
        return _first(run(connection, moved, [origin.moved_from, origin.member, origin.sha256]))


def _first(rows: Iterable[tuple[int]]) -> int | None:
    return next((number for (number,) in rows), None)
