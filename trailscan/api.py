"""The public face: an archive, files, and the questions about events, sessions and findings that can be asked of them.

Nothing here prints or exits. Errors are those of `trailscan.errors`; each has a `message`, a `hint` and an `exit_code`.
"""

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from trailscan.archive.custody_log import CustodyLog, Entry
from trailscan.archive.folder import ArchiveFolder
from trailscan.errors import UsageError
from trailscan.progress import OnProgress, ignore_progress
from trailscan.query.filter_registry import FILTERS, Filters
from trailscan.result_set import Answer, ResultSet
from trailscan.times import parse_span, parse_time

if TYPE_CHECKING:
    from trailscan.query.report import Report
    from trailscan.store.database import Connection

Texts = str | Sequence[str] | None
Time = str | date | datetime | None
DEFAULT_ARCHIVE = "trailscan-archive"


class Archive:
    """An archive's folder. It describes a place and opens nothing, so it can be shared between threads.

    >>> case = Archive("case-17")
    >>> shells = case.sessions(target="i-0123456789abcdef0", since="7d")
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        """`root` is the folder; without one TRAILSCAN_ARCHIVE names it, else it is ./trailscan-archive."""
        self._folder = ArchiveFolder(os.fspath(root or os.environ.get("TRAILSCAN_ARCHIVE") or DEFAULT_ARCHIVE))

    def __repr__(self) -> str:
        return f"Archive({self.root!r})"

    @property
    def root(self) -> str:
        """The absolute path of the folder."""
        return self._folder.root

    def exists(self) -> bool:
        """Whether there is an archive at that path."""
        return self._folder.exists()

    # Questions

    def events(self, *, all_copies: bool = False, where: str | None = None, **filters: object) -> ResultSet:
        """The events that match some filters, each once unless `all_copies`.

        Filters are those of `trailscan query`: event, event_source, user, arn, source_ip, account, region, target, session,
        access_key, error (a text or several; `*` stands for any characters), failed (True or False), since, until (a
        datetime, a date, ISO 8601 or `7d`). `where` is a condition of SQL over the columns of `evidence`. Raises UsageError.
        """
        from trailscan.answers import ask_events

        wanted = filters_from(filters, where)
        return ResultSet(lambda: ask_events(self._folder, wanted, all_copies), "event_time")

    def sessions(self, *, all_access: bool = False, where: str | None = None, **filters: object) -> ResultSet:
        """The Session Manager sessions that match some filters; with `all_access` the other ways to a shell, too."""
        from trailscan.answers import ask_sessions

        wanted = filters_from(filters, where)
        return ResultSet(lambda: ask_sessions(self._folder, wanted, all_access), "started_at")

    def detect(
        self,
        rules: Texts = None,
        *,
        level: str | None = None,
        only: Texts = None,
        since: Time = None,
        until: Time = None,
        only_new: bool = False,
        on_progress: OnProgress = ignore_progress,
    ) -> ResultSet:
        """What rules find: `rules` are files and folders, or "builtin"; `level` is the least level, `only` are ids or titles.

        Nothing is stored, and nobody is notified. Raises UsageError when no rule can run.
        """
        from trailscan.answers import ask_rules

        bounds = (time_from(since), time_from(until))
        return ResultSet(
            lambda: ask_rules(
                self._folder, texts_from("rules", rules), level, texts_from("only", only), bounds, only_new, on_progress
            ),
            "event_time",
        )

    def show(self, what: str, *, kind: str | None = None, around: str | timedelta = timedelta(minutes=15)) -> "Report":
        """One event or session in full, by its id or what that begins with: its sections, as values.

        Raises UsageError where several begin so, an error with a hint where none does.
        """
        from trailscan.answers import report_of

        span = parse_span(around) if isinstance(around, str) else around
        return report_of(self._folder, what, kind, span)

    def custody(self) -> list[Entry]:
        """What was done to the archive, in order; whether the log is whole, `trailscan custody` tells."""
        self._folder.must_exist()
        return list(CustodyLog(self._folder).entries())

    @contextmanager
    def connect(self) -> "Iterator[Connection]":
        """A DuckDB connection to the archive's database: read-only, without files, network or extensions.

        Raises NoArchive, ArchiveBusy, DatabaseError.
        """
        from trailscan.store.database import Database

        self._folder.must_exist()
        with Database(self._folder.database).reading() as connection:
            yield connection


def scan(
    *paths: str | os.PathLike[str],
    all_copies: bool = False,
    where: str | None = None,
    jobs: int | None = None,
    on_progress: OnProgress = ignore_progress,
    **filters: object,
) -> ResultSet:
    """The events in files, folders, tars and zips that match some filters (see `Archive.events`), with no archive.

    The files are read at each use of the result; `jobs` is how many processes read.
    """
    from trailscan.answers import ask_files

    wanted = filters_from(filters, where)
    names = [os.fspath(path) for path in paths]
    if not names:
        raise UsageError("there is nothing to scan", "name a file or a folder")

    def ask() -> AbstractContextManager[Answer]:
        return ask_files(names, wanted, all_copies, jobs, on_progress)

    return ResultSet(ask, "event_time")


def filters_from(given: Mapping[str, object], where: str | None) -> Filters:
    """Filters by name as values. Raises UsageError, with the closest name, for one that does not exist."""
    known = [name for name in FILTERS if name != "where"]
    values: dict[str, Any] = {}  # by filter, each of its own type
    for name, value in given.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"the filters are {', '.join(known)}"
            raise UsageError(f"there is no filter {name!r}", hint)
        values[name] = _value_of(name, value)
    return Filters(**values, where=where)


def _value_of(name: str, value: object) -> object:
    kind = FILTERS[name].kind
    if kind == "time":
        return time_from(value)
    if kind == "switch":
        return None if value is None else bool(value)
    return texts_from(name, value)


def texts_from(name: str, value: object) -> tuple[str, ...]:
    """A text or several, as several. Raises UsageError for anything else."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    texts = tuple(value) if isinstance(value, Iterable) else (value,)
    if not all(isinstance(text, str) for text in texts):
        raise UsageError(f"{name} takes a text or several, not {value!r}")
    return texts


def time_from(value: object) -> datetime | None:
    """A moment as naive UTC: a datetime without a zone is UTC, a date is its midnight. Raises UsageError."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - naive UTC
    return parse_time(str(value), datetime.now(UTC).replace(tzinfo=None))
