"""Questions asked of an open archive, or of files: what stands behind each ResultSet."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import msgspec

from trailscan.archive.folder import ArchiveFolder
from trailscan.detect import runner
from trailscan.detect.rulebook import chosen, read_rules
from trailscan.errors import UsageError
from trailscan.investigate.lookup import story_of
from trailscan.investigate.subject import subject_of
from trailscan.progress import OnProgress, Progress
from trailscan.query import events, sessions
from trailscan.query.filters import Filters
from trailscan.query.report import Report
from trailscan.query.scan import Scanned, scanned
from trailscan.query.table import Table
from trailscan.result_set import Place, SearchScope
from trailscan.store.archive_stats import archive_stats
from trailscan.store.condition import inspecting
from trailscan.store.database import Connection, Database

Bounds = tuple[datetime | None, datetime | None]


class EventAnswer:
    """Events that match some filters."""

    def __init__(self, connection: Connection, filters: Filters, all_copies: bool, scope: SearchScope, place: Place) -> None:
        self._connection = connection
        self._found = events.Answer(connection, filters, all_copies)
        self.total = self._found.basis.events
        self.scope = _with(scope, self._found.basis.copies, self._found.basis.conflicts)
        self.place = place
        self.table = self._found.table
        self.groups = self._found.groups

    def columns(self) -> Sequence[str]:
        """All columns but those that mean something only to this database."""
        return events.default_columns(self._connection)

    def originals(self, sort: str, limit: int | None) -> Table:
        """Where the original records lie."""
        return self._found.table(events.ORIGINAL_COLUMNS, sort, limit)


class SessionAnswer:
    """Sessions that match some filters, or all ways to a machine."""

    def __init__(self, connection: Connection, filters: Filters, all_access: bool, scope: SearchScope, place: Place) -> None:
        self._connection = connection
        found = sessions.Sessions(connection, filters, all_access)
        self.total = found.basis.sessions
        self.scope = _with(scope, 0, found.basis.conflicts)
        self.place = place
        self.table, self.groups, self.originals = found.table, found.groups, found.originals

    def columns(self) -> Sequence[str]:
        """All columns of the views."""
        return sessions.column_names(self._connection)


class FindingAnswer:
    """What rules found."""

    def __init__(self, found: runner.Detection, scope: SearchScope, place: Place) -> None:
        self.total = found.basis.findings
        self.scope = scope
        self.place = place
        self.failed = found.failed
        self.table, self.groups, self.originals = found.table, found.groups, found.originals

    def columns(self) -> Sequence[str]:
        """All columns."""
        return runner.COLUMNS


@contextmanager
def ask_events(archive: ArchiveFolder, filters: Filters, all_copies: bool) -> Iterator[EventAnswer]:
    """Open an archive and ask for events; closed at the end."""
    with _opened(archive) as (connection, scope):
        yield EventAnswer(connection, filters, all_copies, scope(), archive.place)


@contextmanager
def ask_sessions(archive: ArchiveFolder, filters: Filters, all_access: bool) -> Iterator[SessionAnswer]:
    """Open an archive and ask for sessions; closed at the end."""
    with _opened(archive) as (connection, scope):
        yield SessionAnswer(connection, filters, all_access, scope(), archive.place)


@contextmanager
def ask_rules(
    archive: ArchiveFolder,
    paths: Sequence[str],
    level: str | None,
    names: Sequence[str],
    bounds: Bounds,
    only_new: bool,
    on_progress: OnProgress,
) -> Iterator[FindingAnswer]:
    """Open an archive and run rules over it; closed at the end. Raises UsageError when none can run."""
    rules = chosen(read_rules(paths).rules, level, names)
    if not rules:
        raise UsageError("there is no rule that can run", "`trailscan detect --list` with the same --rules shows why")

    def tell(number: int) -> None:
        on_progress(Progress("rules run", number, len(rules), "rule"))

    with _opened(archive) as (connection, scope):
        found = runner.Detection(connection, rules, runner.DetectionScope(*bounds, only_new), tell)
        yield FindingAnswer(found, scope(), archive.place)


@contextmanager
def ask_files(
    paths: Sequence[str], filters: Filters, all_copies: bool, jobs: int | None, on_progress: OnProgress
) -> Iterator[EventAnswer]:
    """Read files and ask for events; what was read is gone at the end."""
    with scanned(paths, filters, jobs, on_progress) as found:
        yield EventAnswer(found.connection, filters, all_copies, _scope_of_files(found), str)


def report_of(archive: ArchiveFolder, what: str, kind: str | None, around: timedelta) -> Report:
    """One event or session in full."""
    with _opened(archive) as (connection, _):
        return story_of(connection, subject_of(connection, what, kind), around, archive.place).report


@contextmanager
def _opened(archive: ArchiveFolder) -> Iterator[tuple[Connection, Callable[[], SearchScope]]]:
    """The archive's database, and what tells its scope once the question was asked."""
    archive.must_exist()
    with Database(archive.database).reading() as connection, inspecting(connection, archive) as inspection:

        def scope() -> SearchScope:
            stats, condition = archive_stats(connection), inspection.condition()
            return SearchScope(
                objects=stats.objects,
                damaged=stats.damaged,
                failed=stats.failed,
                not_cloudtrail=stats.foreign,
                not_loaded=max(stats.unloaded, condition.not_loaded),
                first_event=stats.first_event,
                last_event=stats.last_event,
                condition=condition,
            )

        yield connection, scope


def _scope_of_files(found: Scanned) -> SearchScope:
    problems = tuple(f"{problem.path}: {problem.reason}" for problem in found.survey.problems)
    loaded = found.loaded
    return SearchScope(found.objects, loaded.damaged_objects, not_cloudtrail=loaded.foreign_objects, problems=problems)


def _with(scope: SearchScope, duplicates: int, conflicts: int) -> SearchScope:
    return msgspec.structs.replace(scope, duplicates=duplicates, conflicts=conflicts)
