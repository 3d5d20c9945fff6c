"""What the commands that fill an archive have in common: stopping well, showing progress, and the last words."""

import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.cli.terminal import Terminal
from trailscan.errors import ExitCode
from trailscan.render.amounts import count, rate, size
from trailscan.store.counts import Loaded


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Ctrl-C or SIGTERM sets the event: what is done is committed, the rest is left for the next run. Twice ends at once."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def merge_event_names(archive: ArchiveFolder, only: tuple[str, ...]) -> tuple[str, ...]:
    """The names to load, and those that were loaded before: an object that is loaded anew must not lose any."""
    if not only:
        return only
    from trailscan.store.archive_stats import names_loaded
    from trailscan.store.database import Database

    database = Database(archive.database)
    if not database.exists():
        return only
    with database.reading() as connection:
        return tuple(dict.fromkeys([*only, *names_loaded(connection)]))


class Tally:
    """The sum of what was loaded so far, and how fast."""

    def __init__(self, terminal: Terminal) -> None:
        self.loaded = Loaded()
        self.started = time.monotonic()
        self._terminal = terminal

    def add(self, more: Loaded) -> None:
        """Count one commit."""
        self.loaded.add(more)
        self._terminal.progress(
            f"{count(self.loaded.objects, 'object')}, {size(self.loaded.bytes)}, {count(self.loaded.read, 'record')}, "
            f"{rate(self.loaded.read, self.seconds)}"
        )

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started


def counts_of(loaded: Loaded) -> dict[str, int]:
    """What was loaded, as the custody log holds it."""
    return {
        "objects": loaded.objects,
        "damaged_objects": loaded.damaged_objects,
        "records": loaded.read,
        "loaded": loaded.loaded,
        "copies": loaded.copies,
        "filtered": loaded.filtered,
        "damaged": loaded.damaged,
        "not_cloudtrail": loaded.foreign_objects,
    }


def note(
    archive: ArchiveFolder,
    command: str,
    arguments: Mapping[str, object],
    counts: Mapping[str, int],
    sums: Mapping[str, str] | None = None,
) -> None:
    """A line of the custody log, which the database remembers from then on; needs the archive's lock. Raises ArchiveError."""
    from trailscan.store.custody_mark import remember

    remember(archive, CustodyLog(archive).append(command, arguments, counts, sums))


def exit_code(damaged: int, stopped: bool) -> ExitCode:
    """3 where something was damaged or missing; 1 where the run was ended before its end."""
    if stopped:
        return ExitCode.FAILED
    return ExitCode.DAMAGED if damaged else ExitCode.DONE
