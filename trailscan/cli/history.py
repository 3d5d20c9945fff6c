"""What `sync event-history:` does, once its arguments are read: ask each region, keep, load and report, all at once."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from trailscan.archive.folder import ArchiveFolder
from trailscan.cli.run import Tally, counts_of, exit_code, interruptible, merge_event_names, note
from trailscan.cli.syncing import SyncOptions
from trailscan.cli.terminal import Terminal
from trailscan.cli.writing import write_table
from trailscan.cloudtrail.history_windows import HISTORY, REACH, Span, can_be_asked
from trailscan.errors import UsageError
from trailscan.fetch.history_download import HeldWindows, Lookups, Wanted, account_of, span_within_reach
from trailscan.fetch.lookup_events import History, Stopped, open_histories
from trailscan.query.table import Column, Row, Table
from trailscan.records.prefilter import Needles
from trailscan.records.worker_pool import Workers
from trailscan.render.sentences import funnels
from trailscan.render.sentences import history as words

if TYPE_CHECKING:  # DuckDB is loaded after the workers were started
    from trailscan.store.ingest import Incoming, Ingest

SOURCE = f"{HISTORY}:"
PLAN = (
    Column("account_id", "text"),
    Column("region", "text"),
    Column("event_name", "text"),
    Column("since", "timestamp"),
    Column("until", "timestamp"),
)


class Task(msgspec.Struct, frozen=True):
    """What is to be asked: of these histories, for these names (None: all), for this span."""

    account_id: str
    histories: tuple[History, ...]
    names: tuple[str | None, ...]
    span: Span
    now: datetime

    def wanted(self, held: HeldWindows) -> list[tuple[History, list[Wanted]]]:
        """The questions that an archive leaves open, region by region."""
        return [(history, self._of(history.region, held)) for history in self.histories]

    def _of(self, region: str, held: HeldWindows) -> list[Wanted]:
        return [held.wanted(self.account_id, region, name, self.span, self.now) for name in self.names]


def sync_history(wish: SyncOptions, root: str, quiet: bool) -> int:
    """Sync, report, and give the exit code."""
    now = datetime.now(UTC).replace(tzinfo=None)
    span = checked_span(wish, now)
    terminal, archive = Terminal(quiet), ArchiveFolder(root)
    names = names_to_ask(wish.only)
    with contextlib.ExitStack() as stack:
        workers = None
        if wish.load and not wish.dry_run:
            wish = msgspec.structs.replace(wish, only=merge_event_names(archive, wish.only))
            workers = stack.enter_context(Workers(wish.jobs, Needles.of([wish.only]) if wish.only else None))
        stop = stack.enter_context(interruptible())
        stack.enter_context(terminal.clean())
        histories = tuple(open_histories(wish.access, wish.scope.regions, stop.is_set))
        try:
            task = Task(account_of(histories, now), histories, names, span, now)
        except Stopped:
            terminal.say("stopped: nothing was asked for yet")
            return exit_code(0, stopped=True)
        if wish.dry_run:
            return _plan(task, wish, archive, terminal)
        archive.create()
        stack.enter_context(archive.lock())
        return _Run(wish, task, archive, terminal, stop.is_set).run(workers)


def is_history(source: str) -> bool:
    """Whether a source is Event history."""
    return source.startswith(SOURCE)


def checked_span(wish: SyncOptions, now: datetime) -> Span:
    """The span of time to ask for. Raises UsageError for what does not go together with Event history."""
    if wish.source != SOURCE:
        raise UsageError(f"{wish.source!r} is not a source", f"write {SOURCE} and name regions with --region")
    given = {
        "--account": wish.scope.accounts,
        "--keys": wish.keys,
        "--no-sign-request": not wish.access.sign,
        "--request-payer": wish.access.request_payer,
    }
    for name, value in given.items():
        if value:
            raise UsageError(f"{name} means nothing to {SOURCE}", "whose history it is, the credentials decide")
    since, until = span_within_reach(wish.scope.since, wish.scope.until, now)
    if since >= until:
        raise UsageError(
            "Event history holds nothing of that time", f"it reaches from {words.said(now - REACH)} to now: 90 days"
        )
    return since, until


def names_to_ask(only: Sequence[str]) -> tuple[str | None, ...]:
    """The event names to ask for, one after the other; None alone asks for all, as globs need it."""
    if only and all(map(can_be_asked, only)):
        return tuple(dict.fromkeys(only))
    return (None,)


def _plan(task: Task, wish: SyncOptions, archive: ArchiveFolder, terminal: Terminal) -> int:
    """Say what would be asked for: a table on stdout, the sum on stderr."""
    asked = task.wanted(_held_in(archive))
    rows: list[Row] = [
        (each.account_id, each.region, each.event_name, *span) for _, wanted in asked for each in wanted for span in each.spans
    ]
    write_table(Table(PLAN, iter([rows] if rows else [])), "table", None)
    terminal.say("\n".join(words.of_task(task, wish.scope.since, asked)))
    return exit_code(0, stopped=False)


def _held_in(archive: ArchiveFolder) -> HeldWindows:
    return HeldWindows(origin for origin, _ in archive.recorded())


class _Run:
    """One sync into an archive whose lock is held."""

    def __init__(
        self, wish: SyncOptions, task: Task, archive: ArchiveFolder, terminal: Terminal, stop: Callable[[], bool]
    ) -> None:
        self._wish = wish
        self._task = task
        self._archive = archive
        self._terminal = terminal
        self._stop = stop
        self._tally = Tally(terminal)
        held = _held_in(archive)
        self._asked = task.wanted(held)
        self._lookups = Lookups(archive, held, stop)

    def run(self, workers: Workers | None) -> int:
        """Ask and load, then say what happened. Raises what ended the first region that came to no end."""
        from trailscan.store.backlog import Backlog
        from trailscan.store.database import Database
        from trailscan.store.ingest import Ingest

        database = Database(self._archive.database)
        database.create()
        backlog = Backlog(self._archive, database, self._wish.only if self._wish.load else None)
        intake = Ingest(self._archive, workers, self._wish.only, self._stop)
        incoming = chain(backlog.incoming, self._incoming())
        if self._wish.load:
            for loaded in intake.load(incoming, lambda: self._lookups.is_whole):
                self._tally.add(loaded)
        else:
            intake.keep(incoming)
        if not self._stop() and self._lookups.is_whole:
            intake.settle()
        self._note()
        self._report(intake)
        if self._lookups.errors:
            raise self._lookups.errors[0]
        return exit_code(self._tally.loaded.flawed_objects + len(intake.unreadable), self._stop())

    def _incoming(self) -> "Iterator[Incoming | None]":
        for arrived in self._lookups.run(self._asked):
            self._terminal.progress(words.progress(self._task, self._lookups.counts, self._tally.loaded))
            yield None if arrived is None else (arrived, None)

    def _report(self, intake: "Ingest") -> None:
        """The last words; the error that is raised after them is not among them."""
        lines = words.of_task(self._task, self._wish.scope.since, self._asked)
        lines += words.funnel(self._task, self._lookups.counts, self._wish.load)
        if self._tally.loaded.objects:
            lines += funnels.of_loading(self._tally.loaded, self._tally.seconds, [])
        lines += funnels.of_lines(intake.unreadable)
        lines += [f"{error.message}; {error.hint}" for error in self._lookups.errors[1:]]
        if self._stop() or self._lookups.errors:
            lines.append("stopped: whole windows are kept; run the same command again to go on")
        self._terminal.say("\n".join(lines))

    def _note(self) -> None:
        """A line of the custody log: what was asked for, and what came of it."""
        wish, task, counts = self._wish, self._task, self._lookups.counts
        arguments = {
            "source": wish.source,
            "since": words.said(task.span[0]),
            "until": words.said(task.span[1]),
            "account": [task.account_id],
            "region": [history.region for history in task.histories],
            "only": wish.only,
            "no_load": not wish.load,
            "endpoint_url": wish.access.endpoint_url,
            "stopped": self._stop() or bool(self._lookups.errors),
        }
        answers = {
            "requests": sum(history.requests for history in task.histories),
            "throttled": sum(history.throttled for history in task.histories),
            **msgspec.structs.asdict(counts),
        }
        note(self._archive, "sync", arguments, answers | counts_of(self._tally.loaded))
