"""What notifiers are owed, sent and marked: each notice once, and again only after it failed.

A notice is marked right after it was taken, so only a process that is killed in that moment leaves one to be sent twice.
One notifier's failing or slowness hinders neither the others nor the next notice. It never decides what is owed.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue

import msgspec

from trailscan.archive.folder import ArchiveFolder
from trailscan.detect.finding_table import Notice, mark_sent, unsent
from trailscan.errors import ArchiveError
from trailscan.notify.notice_queue import waiting
from trailscan.notify.notifier import Notifier, NotSent
from trailscan.store.database import Connection, Database

AT_ONCE = 200  # notices of a notifier in memory
PATIENCE = 3  # notices that fail in a row; then the notifier rests
FIRST_REST, LONGEST_REST = 15.0, 300.0  # seconds
_TURN = 0.2  # seconds

Stop = Callable[[], bool]
Mark = tuple[str, str, str | None]  # finding, notifier, and the error where it was not taken


class Delivery(msgspec.Struct):
    """What one round of sending came to, by what is shown of each notifier."""

    sent: dict[str, int] = {}
    failed: dict[str, str] = {}  # the last reason
    waiting: dict[str, int] = {}  # notices still owed by those that failed


class Outbox:
    """The notices of an archive for some notifiers; made once, so that it knows who failed and until when they rest."""

    def __init__(self, archive: ArchiveFolder, notifiers: Sequence[Notifier]) -> None:
        self._archive = archive
        self._database = Database(archive.database)
        self._notifiers = notifiers
        self._unmarked: dict[tuple[str, str], str | None] = {}
        self._failures: dict[str, int] = {}
        self._rests_until: dict[str, float] = {}
        self._is_late = False  # the last time ended before all was sent, perhaps

    def send(self, stop: Stop, seconds: float = float("inf")) -> Delivery:
        """Send what is owed, side by side, for about so long; returns how that went.

        Who failed rests for a while, and meanwhile is tried only with what is new. What was taken and could not be marked
        is remembered, and marked the next time. Raises ArchiveError when the archive cannot be read or marked.
        """
        delivery = Delivery()
        until = time.monotonic() + seconds
        self._mark()
        ready = self._notifiers
        while ready and not self._is_over(stop, until) and (owed := self._owed(ready)):
            failed = self._send_all(owed, delivery, lambda: self._is_over(stop, until))
            ready = [each for each, notices in owed if each.name not in failed and len(notices) == AT_ONCE]
        self._mark()
        self._is_late = not stop() and time.monotonic() >= until
        self._count_waiting(delivery)
        return delivery

    def next_try(self) -> float | None:
        """Seconds until there is more to do: none when time ran out, else until somebody has rested; None when nobody does."""
        if self._is_late:
            return 0.0
        ends = self._rests_until.values()
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _is_over(self, stop: Stop, until: float) -> bool:
        return stop() or time.monotonic() >= until

    def close(self) -> None:
        """Mark what is not marked yet. Raises ArchiveError."""
        self._mark()

    def _owed(self, notifiers: Sequence[Notifier]) -> list[tuple[Notifier, list[Notice]]]:
        with self._database.reading() as connection:
            owed = [(each, self._unsent(connection, each.name)) for each in notifiers]
        return [(each, notices) for each, notices in owed if notices]

    def _unsent(self, connection: Connection, notifier: str) -> list[Notice]:
        """Those that failed before come last: one that always fails must not stand before all others."""
        is_resting = self._is_resting(notifier)
        notices = [
            notice
            for notice in unsent(connection, notifier, AT_ONCE)
            if (notice.finding.finding_id, notifier) not in self._unmarked and not (is_resting and notice.attempts)
        ]
        return sorted(notices, key=lambda notice: notice.attempts)

    def _is_resting(self, notifier: str) -> bool:
        return self._rests_until.get(notifier, 0.0) > time.monotonic()

    def _send_all(self, owed: list[tuple[Notifier, list[Notice]]], delivery: Delivery, stop: Stop) -> set[str]:
        """Send, and mark while others are still sending; returns the names of those that failed."""
        marks: SimpleQueue[Mark] = SimpleQueue()
        failed: set[str] = set()
        with ThreadPoolExecutor(len(owed), "notifier") as pool:
            sending = [
                pool.submit(_send_each, each, notices, 1 if self._is_resting(each.name) else PATIENCE, marks.put, stop)
                for each, notices in owed
            ]
            for taken in _as_they_come(marks, sending):
                self._unmarked |= {(finding, notifier): error for finding, notifier, error in taken}
                with contextlib.suppress(ArchiveError):  # it is tried again when all are done
                    self._mark()
        for (each, _), future in zip(owed, sending, strict=True):
            sent, reason = future.result()
            delivery.sent[each.shown] = delivery.sent.get(each.shown, 0) + sent
            if reason is not None:
                delivery.failed[each.shown] = reason
                failed.add(each.name)
            self._rest(each.name, reason is not None and not sent)
        return failed

    def _rest(self, notifier: str, has_failed: bool) -> None:
        if not has_failed:
            self._failures.pop(notifier, None)
            self._rests_until.pop(notifier, None)
            return
        self._failures[notifier] = failures = self._failures.get(notifier, 0) + 1
        rest = min(LONGEST_REST, FIRST_REST * 2 ** min(failures - 1, 10))
        self._rests_until[notifier] = time.monotonic() + rest

    def _mark(self) -> None:
        if self._unmarked:
            with self._archive.lock(), self._database.writing() as connection:
                for (finding, notifier), error in self._unmarked.items():
                    mark_sent(connection, finding, notifier, error)
            self._unmarked.clear()

    def _count_waiting(self, delivery: Delivery) -> None:
        names = {each.shown: each.name for each in self._notifiers if each.shown in delivery.failed}
        if names:
            with self._database.reading() as connection:
                delivery.waiting = {shown: waiting(connection, name) for shown, name in names.items()}


def _send_each(
    notifier: Notifier, notices: Sequence[Notice], patience: int, mark: Callable[[Mark], None], stop: Stop
) -> tuple[int, str | None]:
    """Send one after the other, until too many fail in a row; returns how many were taken, and the last reason."""
    sent, in_a_row, reason = 0, 0, None
    for notice in notices:
        if stop() or in_a_row >= patience:
            break
        try:
            notifier.send(notice)
        except NotSent as error:
            in_a_row, reason = in_a_row + 1, str(error)
            mark((notice.finding.finding_id, notifier.name, reason))
        else:
            sent, in_a_row = sent + 1, 0
            mark((notice.finding.finding_id, notifier.name, None))
    return sent, reason


def _as_they_come(marks: "SimpleQueue[Mark]", sending: "Sequence[Future[tuple[int, str | None]]]") -> Iterator[list[Mark]]:
    """The marks, in lists of what has come meanwhile, until all senders are done."""
    is_over = False
    while not is_over:
        is_over = all(future.done() for future in sending)
        some = []
        with contextlib.suppress(Empty):
            while True:
                some.append(marks.get_nowait())
        if some:
            yield some
        elif not is_over:
            time.sleep(_TURN)
