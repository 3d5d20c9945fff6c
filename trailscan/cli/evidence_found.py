"""What a rebuild finds of an archive's evidence: what was recorded, what was not, and whether the manifest holds."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.origin import Origin
from trailscan.files.local_objects import Problem
from trailscan.render.sentences import evidence as words
from trailscan.store.counts import NAMED

if TYPE_CHECKING:  # DuckDB is loaded after the workers were started
    from trailscan.store.database import Database
    from trailscan.store.ingest import Incoming


class Evidence:
    """One pass over an archive; `problems` are things in `objects/` that cannot be taken, `flaws` those of the custody log."""

    def __init__(self, archive: ArchiveFolder) -> None:
        self.problems: list[Problem] = []
        self.flaws = CustodyLog(archive).check()
        self._archive = archive
        self._unhashed = 0
        self._named: list[Origin] = []
        self._strays = 0
        self._altered = 0

    def recorded(self) -> "Iterator[Incoming]":
        """What the manifest records."""
        for origin in self._archive.versions():
            if origin.sha256 is None or origin.hashed_at is not None:
                self._unhashed += 1
                if len(self._named) < NAMED:
                    self._named.append(origin)
            yield origin, None

    def strays(self) -> "Iterator[Incoming]":
        """What lies in `objects/` without being recorded."""
        for origin in self._archive.strays(self.problems):
            self._strays += 1
            yield origin, None

    def counts(self, database: "Database") -> dict[str, int]:
        """For the custody log; asks the database that was made for what was altered."""
        from trailscan.store.archive_stats import altered

        with database.reading() as connection:
            self._altered = altered(connection)
        return {"altered": self._altered, "strays": self._strays, "never_hashed": self._unhashed}

    def report(self, accept_altered: bool) -> list[str]:
        """The last words."""
        return [
            *words.of_altered(self._altered, accept_altered),
            *words.of_strays(self._strays, self.problems),
            *words.of_unhashed(self._unhashed, self._named),
            *words.of_flaws(self.flaws),
        ]
