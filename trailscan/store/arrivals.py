"""Local files on their way in: those held already are left out, changed ones are marked, copies are taken if asked for."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.origin import Origin, name_of, origin_of_file, state_of
from trailscan.errors import ArchiveError, SourceError
from trailscan.files.folder import read_bytes
from trailscan.files.local_objects import LocalObject, Problem, Survey, display_name, printable
from trailscan.fingerprints import FingerprintIndex
from trailscan.store.archive_stats import contents_of_files, unread
from trailscan.store.database import Database

Loadable = tuple[Origin, int | None]


class Arrivals:
    """Chooses among found files; `found` counts them, `held` those that were loaded before. `known` is what is held.

    With `copies`, each file is copied into the archive before it is read.
    """

    def __init__(
        self,
        archive: ArchiveFolder,
        database: Database,
        known: FingerprintIndex,
        survey: Survey,
        only: Sequence[str],
        *,
        copies: bool = False,
    ) -> None:
        self.found = 0
        self.held = 0
        self.again: list[Loadable] = []  # held with too few of their records: to be loaded anew, with their ids
        self.uncopied: list[Origin] = []  # held as they are, and to be copied
        self._archive = archive
        self._database = database
        self._here = os.getcwd()
        self._survey = survey
        self._known = known
        self._contents: FingerprintIndex | None = None
        self._copies = copies
        self._copied: tuple[str, str] = ("", "")  # the file copied last: a .tar has many members
        with database.reading() as connection:
            self._narrow = {
                (name_of(origin), state_of(origin)): (origin, number)
                for origin, number in unread(connection, only)
                if origin.source == "file"
            }

    def of(self, objects: Iterable[LocalObject]) -> Iterator[Loadable]:
        """The objects that are new to the archive; what is to be loaded anew is in `again` when this has ended."""
        for found in objects:
            self.found += 1
            origin = self._origin(found)
            if origin is not None:
                yield origin, None

    def _origin(self, found: LocalObject) -> Origin | None:
        """None for what is held as it is, and for what cannot be named or copied."""
        try:
            origin = origin_of_file(found, self._here)
            if self._is_held(found, origin):
                return None
            changed = self._known.has_other(name_of(origin), state_of(origin))
            return msgspec.structs.replace(origin, changed=changed, copy=self._copy_of(origin.path))
        except (SourceError, ArchiveError) as error:
            self._survey.problems.append(Problem(display_name(found), error.message))
            return None

    def _is_held(self, found: LocalObject, origin: Origin) -> bool:
        name, state = name_of(origin), state_of(origin)
        narrow = self._narrow.get((name, state))
        if narrow is not None:
            self.again.append(narrow)
            return True
        if not self._known.has(name, state) and not (self._known.has_other(name, state) and self._has_content(found, name)):
            return False
        self.held += 1
        if self._copies:
            self.uncopied.append(origin)
        return True

    def _has_content(self, found: LocalObject, name: str) -> bool:
        """Whether a file of another size or time than those that are held has the bytes of one of them all the same."""
        if self._contents is None:
            with self._database.reading() as connection:
                self._contents = contents_of_files(connection)
        try:
            return self._contents.has(name, hashlib.sha256(read_bytes(found)).hexdigest())
        except SourceError:
            return False  # it is named when it is to be loaded

    def _copy_of(self, path: str) -> str | None:
        if not self._copies:
            return None
        if self._copied[0] != path:
            try:
                self._copied = (path, self._archive.copy(path))
            except OSError as error:
                raise SourceError(f"{printable(path)} cannot be copied: {error.strerror}") from error
        return self._copied[1]
