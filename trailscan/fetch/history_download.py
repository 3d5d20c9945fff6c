"""From Event history to archive: what is held is not asked for again, the rest is asked region by region, side by side.

A window is on the disk and in the manifest, whole, before it is passed on; so whatever ends the process, the next run asks for
no more than what is missing. Knows nothing of records.
"""

import gzip
import hashlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue

import msgspec

from trailscan.archive.folder import OBJECTS, ArchiveFolder
from trailscan.archive.object_paths import path_of
from trailscan.archive.origin import Origin
from trailscan.cloudtrail.history_windows import (
    HISTORY,
    LATE,
    REACH,
    UNKNOWN,
    Event,
    Span,
    Window,
    body_of,
    cut,
    gaps,
    key_of_window,
    parse_window,
    settled_until,
)
from trailscan.errors import NotReachable, SourceError
from trailscan.fetch.lookup_events import History, StaleToken, Stopped

HEARTBEAT = 0.5  # seconds after which a None is passed on, so that who waits can look at the clock
_SECOND = timedelta(seconds=1)


class HistoryCounts(msgspec.Struct):
    """What came of it, in events and windows; events answered = kept + unchanged + of windows that were never whole."""

    answered: int = 0
    kept: int = 0
    unchanged: int = 0  # of the last hours, and held just so
    windows: int = 0  # kept
    windows_unchanged: int = 0
    bytes: int = 0  # kept, compressed


class Wanted(msgspec.Struct, frozen=True):
    """One question to one region: the spans to ask for, the newest first; `held` is how much of the time is held."""

    account_id: str
    region: str
    event_name: str | None
    spans: tuple[Span, ...]
    held: timedelta


class HeldWindows:
    """The windows that an archive has; a window counts as held for good when it was asked for two hours after its end."""

    def __init__(self, origins: Iterable[Origin]) -> None:
        self._settled: dict[tuple[str, str, str | None], list[Span]] = defaultdict(list)
        self._contents: set[tuple[Window, str | None]] = set()
        for origin in origins:
            window = parse_window(origin.key) if origin.source == HISTORY else None
            if window is None or origin.fetched_at is None:
                continue
            if is_settled(window, origin.fetched_at):
                self._settled[window.account_id, window.region, window.event_name].append((window.since, window.until))
            self._contents |= {(window, origin.sha256), (_open_ended(window), origin.sha256)}

    def wanted(self, account_id: str, region: str, event_name: str | None, span: Span, now: datetime) -> Wanted:
        """What of a span must be asked for: the last hours always, all else unless it is held, for this name or for all."""
        since, until = span
        fresh = max(since, min(until, settled_until(now)))
        settled = [each for name in {event_name, None} for each in self._settled[account_id, region, name]]
        missing = gaps((since, fresh), settled)
        held = (fresh - since) - sum((end - start for start, end in missing), timedelta())
        spans = [(fresh, until), *missing] if fresh < until else missing
        return Wanted(account_id, region, event_name, tuple(spans), held)

    def has(self, window: Window, sha256: str) -> bool:
        """Whether just this object is held."""
        return (window, sha256) in self._contents

    def has_shorter(self, window: Window, sha256: str) -> bool:
        """Whether the same is held as the answer for a span with the same beginning."""
        return (_open_ended(window), sha256) in self._contents


def is_settled(window: Window, asked_at: datetime) -> bool:
    """Whether late events can no more change the answer that was given then."""
    return window.until + LATE <= asked_at


def _open_ended(window: Window) -> Window:
    return msgspec.structs.replace(window, until=datetime.max)  # noqa: DTZ901 - naive UTC, as all times here


def span_within_reach(since: datetime | None, until: datetime | None, now: datetime) -> Span:
    """The part of [since, until) that Event history can tell of, in whole seconds; empty where it ends before it begins."""
    latest = now.replace(microsecond=0)
    first = max(since or latest - REACH, latest - REACH)
    last = min(until or latest, latest)
    return first.replace(microsecond=0), (last + _SECOND - timedelta(microseconds=1)).replace(microsecond=0)


def account_of(histories: Sequence[History], now: datetime) -> str:
    """Whose histories these are, "unknown" where none holds an event. Raises the first region's error when all fail."""
    errors: list[SourceError] = []
    for history in histories:
        try:
            found = history.account_id(now)
        except NotReachable:
            raise
        except SourceError as error:
            errors.append(error)
            continue
        if found != UNKNOWN:
            return found
    if len(errors) == len(histories):
        raise errors[0]
    return UNKNOWN


class Lookups:
    """One run over some regions: `errors` are those that ended a region early, while the others went on."""

    def __init__(self, archive: ArchiveFolder, held: HeldWindows, stop: Callable[[], bool]) -> None:
        self.counts = HistoryCounts()
        self.errors: list[SourceError] = []
        self.is_whole = True  # nothing is missing of what was wanted
        self._archive = archive
        self._held = held
        self._stop = stop
        self._lock = threading.Lock()
        self._done: SimpleQueue[Origin | BaseException | None] = SimpleQueue()

    def run(self, asked: Sequence[tuple[History, Sequence[Wanted]]]) -> Iterator[Origin | None]:
        """Ask for all that is wanted, each region in a thread; yields what arrived, and None when nothing did for a while."""
        threads = [threading.Thread(target=self._ask_region, args=each, daemon=True) for each in asked]
        for thread in threads:
            thread.start()
        running = len(threads)
        while running:
            try:
                found = self._done.get(timeout=HEARTBEAT)
            except Empty:
                if self._stop():  # a thread may wait for an answer for a minute yet; what comes of it is not kept
                    self.is_whole = False
                    return
                yield None
                continue
            if isinstance(found, Origin):
                if not self._held.has(_window_of(found), found.sha256 or ""):
                    yield found
            else:
                running -= 1
                self._note(found)

    def _note(self, error: BaseException | None) -> None:
        """A region came to its end, or to an error."""
        if error is None:
            return
        self.is_whole = False
        if isinstance(error, SourceError):
            self.errors.append(error)
        elif not isinstance(error, Stopped):
            raise error

    def _ask_region(self, history: History, wanted: Sequence[Wanted]) -> None:
        try:
            for question in wanted:
                for span in question.spans:
                    self._ask(history, question, span)
        except BaseException as error:  # noqa: BLE001 - handed to whoever started the run
            self._done.put(error)
        else:
            self._done.put(None)

    def _ask(self, history: History, question: Wanted, span: Span) -> None:
        """Keep the answer for a span, window by window; where the answer breaks off, ask for what is left."""
        asked_at = datetime.now(UTC).replace(tzinfo=None)
        while True:
            left = span
            try:
                for (since, until), events in cut(self._counted(history.pages(span, question.event_name)), span):
                    window = Window(question.account_id, question.region, question.event_name, since, until)
                    self._keep(window, events, asked_at)
                    left = (span[0], since)
            except StaleToken as error:
                if left == span:
                    raise SourceError(f"Event history of {history.region} breaks off again and again", "try later") from error
                span = left
            else:
                return

    def _counted(self, pages: Iterator[list[Event]]) -> Iterator[list[Event]]:
        for page in pages:
            with self._lock:
                self.counts.answered += len(page)
            yield page

    def _keep(self, window: Window, events: list[bytes], asked_at: datetime) -> None:
        """Lay a window into the archive, unless it is one of the last hours that is held just so."""
        if self._stop():
            raise Stopped
        raw = body_of(events)
        body = gzip.compress(raw, mtime=0)
        sha256 = hashlib.sha256(body).hexdigest()
        settled = is_settled(window, asked_at)
        unchanged = self._held.has(window, sha256) if settled else self._held.has_shorter(window, sha256)
        with self._lock:
            self.counts.kept += 0 if unchanged else len(events)
            self.counts.unchanged += len(events) if unchanged else 0
            self.counts.windows += not unchanged
            self.counts.windows_unchanged += unchanged
            self.counts.bytes += 0 if unchanged else len(body)
        if settled or not unchanged:
            inflated = hashlib.sha256(raw).hexdigest()
            laid = self._laid(window, body, inflated, asked_at)
            self._archive.record([laid])
            self._done.put(laid)

    def _laid(self, window: Window, body: bytes, sha256_raw: str, asked_at: datetime) -> Origin:
        key = key_of_window(window)
        path, sha256 = self._archive.put(f"{OBJECTS}/{path_of(*key.split('/', 1))}", body, None)
        return Origin(HISTORY, key, path, len(body), sha256=sha256, fetched_at=asked_at, sha256_raw=sha256_raw)


def _window_of(origin: Origin) -> Window:
    window = parse_window(origin.key)
    if window is None:
        raise ValueError(f"{origin.key} names no window")
    return window
