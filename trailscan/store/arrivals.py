"""Local files on their way in: those held already are left out, those that changed are marked, all are put on record."""

import os
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from trailscan.errors import SourceError
from trailscan.evidence.archive import Archive
from trailscan.evidence.held import Held
from trailscan.evidence.local import LocalObject, Problem, Survey, display_name
from trailscan.evidence.origin import Origin, name_of, origin_of_file, state_of
from trailscan.store.holdings import held, unread
from trailscan.store.intake import Intake

RECORD_EVERY = 200  # objects; each time the manifest is opened anew


class Arrivals:
    """Chooses among found files; `found` counts them, `held` those that were loaded before."""

    def __init__(self, archive: Archive, intake: Intake, survey: Survey, only: Sequence[str]) -> None:
        self.found = 0
        self.held = 0
        self._archive = archive
        self._here = os.getcwd()
        self._survey = survey
        self._held = Held(())
        self._again: dict[str, int] = {}
        if intake.is_new:
            return
        with intake.database.reading() as connection:
            self._held = held(connection)
            self._again = {name_of(origin): number for origin, number in unread(connection, only) if origin.source == "file"}

    def of(self, objects: Iterable[LocalObject]) -> Iterator[tuple[Origin, int | None]]:
        """The objects to load, each with the id under which it is held with too few of its records, if it is."""
        fresh: list[Origin] = []
        for found in objects:
            self.found += 1
            origin = self._origin(found)
            if origin is None:
                continue
            again = self._again.get(name_of(origin))
            if again is None:
                fresh.append(origin)
            if len(fresh) >= RECORD_EVERY:
                self._archive.record(fresh)
                fresh.clear()
            yield origin, again
        self._archive.record(fresh)

    def _origin(self, found: LocalObject) -> Origin | None:
        """None for what is held as it is, and for what cannot be named."""
        try:
            origin = origin_of_file(found, self._here)
        except SourceError as error:
            self._survey.problems.append(Problem(display_name(found), error.message))
            return None
        name, state = name_of(origin), state_of(origin)
        if self._held.has(name, state) and name not in self._again:
            self.held += 1
            return None
        return msgspec.structs.replace(origin, changed=self._held.has_other(name, state))
