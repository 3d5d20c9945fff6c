"""What `sessions` does, once its arguments are read: put the sessions together, write them, say what they rest on."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trailscan.archive.folder import ArchiveFolder
from trailscan.cli.asking import Inquiry, OutputOptions
from trailscan.cli.terminal import Terminal
from trailscan.query.filters import Filters
from trailscan.render.sentences import answers

if TYPE_CHECKING:  # DuckDB is loaded once the archive is there
    from trailscan.query.table import Table
    from trailscan.store.database import Connection


def ask_sessions(root: str, filters: Filters, shape: OutputOptions, all_doors: bool, quiet: bool) -> int:
    """Answer from an archive; gives the exit code."""
    from trailscan.store.archive_stats import archive_stats
    from trailscan.store.condition import inspecting
    from trailscan.store.database import Database

    archive = ArchiveFolder(root)
    archive.must_exist()
    with Database(archive.database).reading() as connection, inspecting(connection, archive) as inspection:
        asking = SessionAsking(connection, filters, all_doors, shape, Terminal(quiet), archive.place)
        return asking.answer(answers.search_scope(archive_stats(connection), inspection.condition()))


class SessionAsking(Inquiry):
    """A question about sessions, or about all doors."""

    def __init__(
        self,
        connection: "Connection",
        filters: Filters,
        all_doors: bool,
        shape: OutputOptions,
        terminal: Terminal,
        place: Callable[[str], str],
    ) -> None:
        from trailscan.query.sessions import Sessions

        self._connection = connection
        self._filters = filters
        self._all_doors = all_doors
        self._sessions = Sessions(connection, filters, all_doors)
        super().__init__(self._sessions, shape, terminal, place)

    @property
    def total(self) -> int:
        """How many sessions were found."""
        return self._sessions.basis.sessions

    @property
    def conflicts(self) -> int:
        """How many of them rest on records that contradict each other."""
        return self._sessions.basis.conflicts

    def columns(self) -> Sequence[str]:
        """All columns for machines; for people those that tell who, when, from where and what."""
        from trailscan.query.sessions import DOOR_COLUMNS, PEOPLE_COLUMNS, column_names

        if self._shape.format != "table":
            return column_names(self._connection)
        return DOOR_COLUMNS if self._all_doors else PEOPLE_COLUMNS

    def originals(self) -> "Table":
        """Where the records lie that the sessions rest on."""
        return self._sessions.originals(self._shape.sort, self._shape.limit)

    def ending(self, resting: answers.SearchScope, lost: Sequence[str]) -> list[str]:
        """`3 sessions from 6 events in 2 of 7,883 objects`, and what else must be known."""
        noun = "door" if self._all_doors else "session"
        return answers.of_sessions(self._sessions.basis, resting, noun, self.shown(), lost)

    def why_none(self, resting: answers.SearchScope) -> list[str]:
        """Why no session was found."""
        from trailscan.query.events import similar_names

        alone = self._sessions.alone(self._filters)
        return answers.why_none(resting, alone, similar_names(self._connection, self._filters.event), self._filters)
