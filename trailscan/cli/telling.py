"""From what was loaded to who is told of it: rules are run, findings kept, notices sent, and all of it said on stderr."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from trailscan.archive.folder import ArchiveFolder
from trailscan.errors import ArchiveBusy, ArchiveError
from trailscan.notify.notifier import Notifier
from trailscan.render.sentences import findings, watching

if TYPE_CHECKING:  # DuckDB is loaded after the workers were started
    from trailscan.detect.rulebook import Rulebook
    from trailscan.detect.runner import Detected

FRESH = timedelta(hours=24)  # how old an event may be of which a new notifier hears
BUSY = 15.0  # seconds that another writer may take before it is named
_TURN = 0.1  # seconds

Done = TypeVar("Done")
Say = Callable[[Sequence[str]], None]


class Alerter:
    """The rules and the notifiers of one archive, for as many rounds as there are; `spell` seconds are sent at a time."""

    def __init__(
        self,
        archive: ArchiveFolder,
        book: "Rulebook",
        notifiers: Sequence[Notifier],
        say: Say,
        stop: Event,
        backfill: bool = False,
        spell: float = float("inf"),
    ) -> None:
        from trailscan.notify.outbox import Outbox

        self.failed = False  # whether somebody could not be told, or a rule not be run, in the last round
        self._archive = archive
        self._book = book
        self._names = [notifier.name for notifier in notifiers]
        self._outbox = Outbox(archive, notifiers)
        self._say = say
        self._stop = stop
        self._spell = spell
        self._owes_all = backfill
        self._since = None if backfill else datetime.now(UTC).replace(tzinfo=None) - FRESH
        self._rules_named: set[str] = set()

    def detect(self) -> None:
        """Run the rules over what was loaded since the last time; what is new is owed to all. Raises ArchiveError."""
        from trailscan.detect.runner import detect_new

        strangers = self._strangers()
        detected = retry_while_busy(lambda: detect_new(self._archive, self._book, self._names, self._since), self._stop)
        self._say(watching.of_detection(detected))
        self._name_failures(detected)
        if self._since is not None and strangers:
            old = [found for found in detected.new if found.event_time is not None and found.event_time < self._since]
            self._say(watching.of_untold(len(old), self._since))
        if self._owes_all:
            self._owe_all()

    def send(self) -> None:
        """Send what is owed, for a spell; who cannot be reached is owed it still. Raises ArchiveError."""
        delivery = retry_while_busy(lambda: self._outbox.send(self._stop.is_set, self._spell), self._stop)
        self.failed = self.failed or bool(delivery.failed)
        self._say(watching.of_delivery(delivery, self._outbox.next_try()))

    def close(self) -> None:
        """Mark what was sent and could not be marked so far, or say that it will be sent again."""
        try:
            retry_while_busy(self._outbox.close, Event())
        except ArchiveError as error:
            self._say(watching.of_unmarked(error))

    def next_try(self) -> float | None:
        """Seconds until there is something to send again; None when there is not."""
        return self._outbox.next_try()

    def _strangers(self) -> list[str]:
        """The notifiers that were never given before."""
        from trailscan.detect.finding_table import known_since
        from trailscan.store.database import Database

        with Database(self._archive.database).reading() as connection:
            return [name for name in self._names if known_since(connection, name) is None]

    def _owe_all(self) -> None:
        from trailscan.notify.notice_queue import owe_all
        from trailscan.store.database import Database

        ids = [each.rule.id for each in self._book.rules]
        with self._archive.lock(), Database(self._archive.database).writing() as connection:
            for name in self._names:
                owe_all(connection, name, ids)
        self._owes_all = False

    def _name_failures(self, detected: "Detected") -> None:
        fresh = [failure for failure in detected.failed if failure.rule.id not in self._rules_named]
        self._rules_named |= {failure.rule.id for failure in fresh}
        self.failed = bool(detected.failed)
        self._say(findings.of_failures(fresh))


def retry_while_busy(work: Callable[[], Done], stop: Event) -> Done:
    """Do what needs the archive; another who writes it just now is waited for a while. Raises ArchiveBusy after that."""
    deadline = time.monotonic() + BUSY
    while True:
        try:
            return work()
        except ArchiveBusy:
            if time.monotonic() >= deadline or stop.wait(_TURN):
                raise
