"""What `watch` does, once its arguments are read: rounds of sync, load, detect and tell, until it is stopped.

A round that fails is named and tried again; what was fetched, found or owed by then stays in the archive.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING

import msgspec

from trailscan.archive.folder import ArchiveFolder
from trailscan.aws.sqs import Queue, checked
from trailscan.cli.heeding import QueueListener
from trailscan.cli.history import is_history
from trailscan.cli.rounds import Rounds
from trailscan.cli.run import exit_code, interruptible, merge_event_names
from trailscan.cli.syncing import SyncOptions, bucket_and_prefix
from trailscan.cli.telling import Alerter
from trailscan.cli.terminal import Terminal
from trailscan.errors import ExitCode, SchemaMismatch, TrailscanError, UsageError
from trailscan.notify.notifier import Notifier
from trailscan.notify.targets import parse
from trailscan.records.inflate import sha256_raw
from trailscan.records.prefilter import Needles
from trailscan.records.worker_pool import Workers
from trailscan.render.sentences import findings, watching
from trailscan.store.database import Database

if TYPE_CHECKING:
    from trailscan.detect.rulebook import Rulebook

FIRST_REST, LONGEST_REST = 5.0, 300.0  # seconds after a round that failed
SPELL = 5.0  # seconds of sending, then the bucket gets its turn: some services take but a message every few seconds
_LAST_LOOK = 1.0  # seconds for the queue, with --once
_REDRAW = 1.0  # seconds
_TURN = 0.1  # seconds


class WatchOptions(msgspec.Struct, frozen=True):
    """What the command line asks for; `pause` in seconds."""

    wish: SyncOptions
    rules: tuple[str, ...]
    notify: tuple[str, ...]
    pause: float
    queue: str | None
    once: bool
    backfill: bool


def watch_bucket(plan: WatchOptions, root: str, quiet: bool) -> int:
    """Watch until stopped, or once; gives the exit code. What is wrong with the arguments is said before the first sync."""
    from trailscan.detect.rulebook import read_rules

    if is_history(plan.wish.source):
        hint = "let cron run `trailscan sync event-history:` and `trailscan detect --new --notify URL`"
        raise UsageError("watch looks at buckets, not at the Event history", hint)
    bucket_and_prefix(plan.wish.source)
    if plan.queue is not None:
        checked(plan.queue)
    notifiers = parse(plan.notify, plan.wish.access)
    book = read_rules(plan.rules)
    archive, terminal = ArchiveFolder(root, sha256_raw), Terminal(quiet)
    with interruptible() as stop, terminal.clean():
        return _Watch(plan, archive, book, notifiers, terminal, stop).run()


class _Watch:
    """One watch over one bucket."""

    def __init__(
        self,
        plan: WatchOptions,
        archive: ArchiveFolder,
        book: "Rulebook",
        notifiers: Sequence[Notifier],
        terminal: Terminal,
        stop: Event,
    ) -> None:
        only = merge_event_names(archive, plan.wish.only)
        self._plan = plan
        self._wish = msgspec.structs.replace(plan.wish, only=only, often=True)
        self._archive = archive
        self._book = book
        self._notifiers = notifiers
        self._terminal = terminal
        self._stop = stop
        self._telling: Alerter | None = None
        self._strangers: set[str] = set()
        self._failures = 0
        self._damaged = 0

    def run(self) -> int:
        """Rounds until stopped; after one that failed with new workers and clients, for credentials may be new then."""
        while not self._stop.is_set():
            try:
                with Workers(self._wish.jobs, Needles.of([self._wish.only]) if self._wish.only else None) as workers:
                    self._rounds(workers)
                break
            except (UsageError, SchemaMismatch):
                raise
            except TrailscanError as error:
                self._send_anyway()
                if self._plan.once:
                    raise
                self._rest_after(error)
        if self._telling is not None:
            self._telling.close()
        return self._code()

    def _rounds(self, workers: Workers) -> None:
        """Look through the bucket at once and every so often, and heed the queue meanwhile."""
        telling = self._ready()
        rounds = Rounds(self._wish, self._archive, workers, telling, self._terminal, self._say, self._stop)
        heeding = self._heeding(rounds)
        while not self._stop.is_set():
            due = time.monotonic() + self._plan.pause
            rounds.look_through()
            self._failures = 0
            while self._plan.once and heeding is not None and heeding.poll(_LAST_LOOK, self._stop):
                pass
            self._damaged = rounds.damaged
            if self._plan.once:
                return
            self._until(due, heeding, telling)

    def _until(self, due: float, heeding: QueueListener | None, telling: Alerter) -> None:
        """Wait for the next look through the bucket; meanwhile heed the queue, and try again whom nobody could reach."""
        while not self._stop.is_set() and (left := due - time.monotonic()) > 0:
            self._terminal.progress(watching.waiting(self._wish.source, datetime.now(UTC), left))
            rest = telling.next_try()
            seconds = max(_TURN, min(left, _REDRAW, left if rest is None else rest))
            if heeding is None:
                self._stop.wait(seconds)
            else:
                heeding.poll(seconds, self._stop)
            if rest is not None and rest <= seconds:
                telling.send()

    def _ready(self) -> Alerter:
        """Rules and notifiers, made once the workers are started: compiling rules and DuckDB would be in their way."""
        if self._telling is None:
            self._name_rules()
            plan, spell = self._plan, float("inf") if self._plan.once else SPELL
            self._telling = Alerter(self._archive, self._book, self._notifiers, self._say, self._stop, plan.backfill, spell)
            if not plan.once:
                told = [notifier.shown for notifier in self._notifiers]
                rules = len(self._book.rules)
                self._say([watching.of_start(self._wish.source, rules, told, plan.pause, plan.queue)])
        return self._telling

    def _name_rules(self) -> None:
        """Name the rules that cannot run. Raises UsageError when none can."""
        if refused := findings.of_uncompiled(self._book.uncompiled):
            self._terminal.say("\n".join(refused))
        if not self._book.rules:
            raise UsageError("there is no rule that can run", "`trailscan detect --list` with the same --rules shows why")

    def _heeding(self, rounds: Rounds) -> QueueListener | None:
        if self._plan.queue is None:
            return None
        return QueueListener(Queue(self._plan.queue, self._wish.access), rounds, self._strangers, self._say)

    def _send_anyway(self) -> None:
        """Send what is owed although the bucket failed: who is told may still be within reach."""
        if self._telling is not None and Database(self._archive.database).exists():
            try:
                self._telling.send()
            except TrailscanError as error:
                self._say([error.message])

    def _rest_after(self, error: TrailscanError) -> None:
        rest = min(LONGEST_REST, FIRST_REST * 2 ** min(self._failures, 10))
        self._failures += 1
        self._say(watching.of_failure(error, rest))
        self._stop.wait(rest)

    def _code(self) -> int:
        if not self._plan.once:
            return ExitCode.DONE  # to be stopped is how a watch ends
        if self._telling is not None and self._telling.failed:
            return ExitCode.FAILED
        return exit_code(self._damaged + len(self._book.uncompiled), self._stop.is_set())

    def _say(self, lines: Sequence[str]) -> None:
        if lines:
            self._terminal.say(watching.stamped(datetime.now(UTC).replace(tzinfo=None), lines))
