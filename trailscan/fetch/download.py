"""From bucket to archive: list, leave out what is held, fetch the rest with many threads. Knows nothing of records.

Every object is on disk and in the manifest before it is passed on, so whatever ends the process, nothing that was passed
on is lost; what was listed and not passed on is simply new to the next run.
"""

import contextlib
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from queue import Empty, Queue, SimpleQueue

import msgspec

from trailscan.archive.folder import OBJECTS, ArchiveFolder
from trailscan.archive.object_paths import path_of
from trailscan.archive.origin import Origin, naming_of
from trailscan.archive.writer_process import WriterProcess
from trailscan.aws.s3 import Bucket, Fetched, ObjectRefused
from trailscan.aws.s3_pages import Listed
from trailscan.errors import NotReachable, UnsafeKey
from trailscan.fetch.inspection import Inspection
from trailscan.fetch.listing import ListingScope, Part, list_part
from trailscan.fingerprints import FingerprintIndex, fingerprint

FETCHERS = 64  # threads at most; from afar, each waits on the network most of its time
FETCHERS_AT_FIRST = 6  # from near, more would only wait for each other
FAR = 0.004  # seconds an object; slower than this, one more thread helps
LISTERS = 8
BATCH = 32  # objects that a thread takes at most at once: handing over costs more than a small object
BATCHES = 24  # that a page is parted into, as far as it goes: so few objects keep many threads busy, too
RESULT_BYTES = 512 << 10  # of a handful that are kept back, at about, until they are laid down
LARGE = 4 << 20  # bytes of an object
RESULTS_WAITING = 10  # handfuls that wait to be laid down: they are in memory
LARGE_AT_ONCE = 4  # large objects that are in memory together
PASS_ON = 0.2  # seconds after which what was fetched is passed on, however little
HEARTBEAT = 1.0  # seconds after which a None is passed on, so that who waits can look at the clock
TRIES = 3  # of an object whose length is wrong; S3's own errors are tried again by the client
PASS_ON_OBJECTS = 200
HOPELESS = 100  # objects that fail in a row


_NOBODY = FingerprintIndex(())
Want = Callable[[list[Listed]], None]  # takes objects to fetch, in handfuls


class MissingObject(msgspec.Struct, frozen=True):
    """An object that was listed and could not be had; `what` and `reason` as in damage."""

    origin: Origin
    what: str
    reason: str


class DownloadCounts(msgspec.Struct):
    """The funnel: listed = held + fetched + missing + beyond, once the run is over."""

    listed: int = 0
    held: int = 0
    wanted: int = 0  # listed, and neither held nor beyond: fetched + missing + not reached
    fetched: int = 0
    missing: int = 0
    beyond: int = 0  # past the last day of delivery asked for, or else out of scope by their names
    bytes: int = 0  # fetched
    wanted_bytes: int = 0
    changed: int = 0  # of those fetched: held already, with other content
    repaired: int = 0  # of those fetched: held already, and gone or altered in the archive


FetchResult = tuple[Listed, Fetched] | MissingObject  # what a fetch comes to


class Download:
    """One run over a bucket. `held` tells what need not be fetched, `stop` ends it early; `error` is what ended it, if any.

    Objects are laid down by `laying`, or without one by a thread of this process, which is good enough for a few.
    """

    def __init__(
        self,
        bucket: Bucket,
        archive: ArchiveFolder,
        held: FingerprintIndex,
        stop: Callable[[], bool],
        laying: WriterProcess | None = None,
        suspects: FingerprintIndex = _NOBODY,
    ) -> None:
        self.counts = DownloadCounts()
        self.by_place: Counter[tuple[str, str]] = Counter()  # wanted objects by account and region
        self.bytes_by_place: Counter[tuple[str, str]] = Counter()
        self.error: BaseException | None = None
        self.listing = True
        self._bucket = bucket
        self._archive = archive
        self._put_all = (laying or archive).put_all
        self._held = held
        self._inspection = Inspection(archive, bucket.name, suspects)
        self.shown = array("Q")  # fingerprints of the keys that were listed
        self.repaired: list[tuple[str, str]] = []  # key, and what was wrong
        self._stop = stop
        self._lock = threading.Lock()
        self._wanted: Queue[list[Listed] | None] = Queue(FETCHERS * 2)
        self._landed: Queue[list[FetchResult] | None] = Queue(RESULTS_WAITING)
        self._large = threading.Semaphore(LARGE_AT_ONCE)
        self._done: SimpleQueue[list[Origin | MissingObject] | None] = SimpleQueue()
        self._fetching = 0
        self._failures = 0
        self._threads: list[threading.Thread] = []

    def plan(self, parts: Iterable[Part], loose: Iterable[Listed], scope: ListingScope) -> None:
        """List and count, and fetch nothing. Raises what listing raises."""
        self._list_all(parts, loose, scope, lambda _: None)
        if self.error is not None:
            raise self.error

    def run(
        self, parts: Iterable[Part], loose: Iterable[Listed], scope: ListingScope
    ) -> Iterator[list[Origin | MissingObject] | None]:
        """List and fetch; yields what arrived, in small lists, and None when nothing did for a while."""
        self.start(parts, loose, scope)
        yield from self.arrivals()

    def start(self, parts: Iterable[Part], loose: Iterable[Listed], scope: ListingScope) -> None:
        """Begin to list and fetch, in threads."""
        for _ in range(FETCHERS_AT_FIRST):
            self._start_fetching()
        self._start(self._list_and_close, parts, loose, scope)
        self._start(self._lay_all)

    def arrivals(self) -> Iterator[list[Origin | MissingObject] | None]:
        """What arrives, in small lists, each on the disk and in the manifest; None when nothing did for a while."""
        yield from self._batches()
        for thread in self._threads:
            thread.join()

    # Listing

    def _list_and_close(self, parts: Iterable[Part], loose: Iterable[Listed], scope: ListingScope) -> None:
        self._list_all(parts, loose, scope, self._wanted.put)
        self._wanted.put(None)

    def _list_all(self, parts: Iterable[Part], loose: Iterable[Listed], scope: ListingScope, want: Want) -> None:
        try:
            with ThreadPoolExecutor(LISTERS) as pool:
                list(pool.map(lambda part: self._list_part(part, scope, want), parts))
            self._choose_loose(list(loose), scope, want)  # the walk that finds them has ended
        except Exception as error:  # noqa: BLE001 - raised again by whoever started the run
            self._give_up(error)
        self.listing = False

    def _list_part(self, part: Part, scope: ListingScope, want: Want) -> None:
        for page, beyond in list_part(self._bucket, part, scope):
            if self._over():
                return
            self._choose(page, want, beyond)

    def _choose_loose(self, loose: list[Listed], scope: ListingScope, want: Want) -> None:
        """What lies outside of CloudTrail's folders tells by its name alone whether it is in scope; what was named, is."""
        wanted = [listed for listed in loose if listed.bytes is None or scope.takes_object(listed.key)]
        self._choose(wanted, want, len(loose) - len(wanted))

    def _choose(self, page: list[Listed], want: Want, beyond: int) -> None:
        held: list[Listed] = []
        wanted: list[Listed] = []
        for listed in page:
            if listed.version_id is None:
                self.shown.append(fingerprint(listed.key))
            if not listed.etag or not self._held.has(self._name(listed.key), listed.etag):
                wanted.append(listed)
            elif self._inspection.is_sound(listed):
                held.append(listed)
            else:
                wanted.append(listed)
        with self._lock:
            self.counts.listed += len(page) + beyond
            self.counts.beyond += beyond
            self.counts.held += len(held)
            self.counts.wanted += len(wanted)
            self.counts.wanted_bytes += sum(listed.bytes or 0 for listed in wanted)
            for listed in wanted:
                naming = naming_of(listed.key)
                place = (naming.account_id or "-", naming.region or "-")
                self.by_place[place] += 1
                self.bytes_by_place[place] += listed.bytes or 0
        size = max(1, min(BATCH, len(wanted) // BATCHES))
        for start in range(0, len(wanted), size):
            want(wanted[start : start + size])

    # Fetching, in many threads: they wait for the network, and leave all else to one

    def _fetch_all(self) -> None:
        while (handful := self._wanted.get()) is not None:
            started = time.monotonic()
            try:
                for landing in self._landings(handful):
                    self._landed.put(landing)
            except Exception as error:  # noqa: BLE001 - raised again by whoever started the run
                self._give_up(error)
            if time.monotonic() - started > FAR * len(handful) and self._fetching < FETCHERS:
                self._start_fetching()
        self._wanted.put(None)  # for the next one
        with self._lock:
            self._fetching -= 1
            last = self._fetching == 0
        if last:
            self._landed.put(None)

    def _start_fetching(self) -> None:
        with self._lock:
            self._fetching += 1
        self._start(self._fetch_all)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _landings(self, handful: list[Listed]) -> Iterator[list[FetchResult]]:
        """What comes of a handful, in lists of half a megabyte at most but for the last object."""
        landing: list[FetchResult] = []
        size = 0
        for listed in handful:
            if self._over():
                break  # the rest is drained, so that the listing does not wait for room
            landing.append(self._get(listed))
            size += listed.bytes or 0
            if size >= RESULT_BYTES:
                yield landing
                landing, size = [], 0
        if landing:
            yield landing

    def _get(self, listed: Listed) -> FetchResult:
        with self._large if (listed.bytes or 0) >= LARGE else contextlib.nullcontext():
            try:
                return listed, self._whole(listed)
            except ObjectRefused as error:
                return self._missing(listed, error.what, error.reason)

    def _whole(self, listed: Listed) -> Fetched:
        for _ in range(TRIES):
            fetched = self._bucket.get(listed)
            if listed.bytes is None or len(fetched.data) == listed.bytes:
                return fetched
        raise ObjectRefused("wrong-length", f"{len(fetched.data):,} bytes came, {listed.bytes:,} were listed, {TRIES} times")

    def _missing(self, listed: Listed, what: str, reason: str) -> MissingObject:
        with self._lock:
            self.counts.missing += 1
            self._failures += 1
            hopeless = self._failures >= HOPELESS and what == "not-fetched"
        if hopeless:
            raise NotReachable(
                f"the last {HOPELESS} objects could not be fetched: {reason}", "run the same command again later"
            )
        origin = Origin("s3", listed.key, "", listed.bytes or 0, bucket=self._bucket.name, etag=listed.etag)
        return MissingObject(origin, what, reason)

    # Laying into the archive, in one thread: many that write small files stand in each other's way

    def _lay_all(self) -> None:
        while (landing := self._landed.get()) is not None:
            try:
                laid = self._lay(landing)
            except Exception as error:  # noqa: BLE001 - raised again by whoever started the run
                self._give_up(error)
                laid = []
            self._done.put(laid)
        self._done.put(None)

    def _lay(self, landing: list[FetchResult]) -> list[Origin | MissingObject]:
        """Lay down what came, together; what could not be had stays among it."""
        missing: list[Origin | MissingObject] = []
        wanted: list[tuple[str, Listed, Fetched]] = []
        for landed in landing:
            placed = landed if isinstance(landed, MissingObject) else self._placed(*landed)
            if isinstance(placed, MissingObject | Origin):
                missing.append(placed)
            elif placed is not None:
                wanted.append(placed)
        laid = self._put_all([(path, fetched.data, fetched.last_modified) for path, _, fetched in wanted])
        arrived = missing + [
            self._origin(listed, fetched, *where, listed.version_id is not None and where[0] != path)
            for (path, listed, fetched), where in zip(wanted, laid, strict=True)
        ]
        self._archive.record([found for found in arrived if isinstance(found, Origin)])
        self._archive.landed()
        return arrived

    def _placed(self, listed: Listed, fetched: Fetched) -> tuple[str, Listed, Fetched] | MissingObject | Origin | None:
        """Where an object belongs; or its origin, where it took the place of what was held; None when it proves to be held."""
        self._failures = 0
        name, etag = self._name(listed.key), fetched.etag or ""
        as_listed = msgspec.structs.replace(listed, etag=etag, bytes=len(fetched.data), last_modified=fetched.last_modified)
        is_held = self._held.has(name, etag)
        if listed.etag is None and is_held and self._inspection.is_sound(as_listed):
            self._found_held()
            return None
        try:
            if is_held or self._held.has_other(name, etag):
                return self._lay_again(as_listed, fetched, is_held)
            return f"{OBJECTS}/{path_of(self._bucket.name, listed.key)}", listed, fetched
        except UnsafeKey as error:
            return self._missing(listed, "unsafe-key", error.message)

    def _found_held(self) -> None:
        self.counts.held += 1
        self.counts.wanted -= 1

    def _lay_again(self, listed: Listed, fetched: Fetched, is_held: bool) -> Origin | MissingObject | None:
        """Lay down what has the key of something held. Another ETag alone proves nothing: with KMS each upload has its own."""
        laid = self._inspection.lay(listed, fetched)
        repaired = laid.repaired
        if is_held and laid.changed and laid.is_known:  # the bucket's bytes were found to differ before
            return self._missing(
                listed, "altered", "its file is altered or gone, and the bucket has other bytes than were recorded"
            )
        if is_held and not laid.changed and repaired is None:
            if not self._inspection.is_suspect(listed.key):
                self._found_held()
                return None
            repaired = "its file holds the bytes that were recorded again"
        if repaired is not None:
            self.counts.repaired += 1
            self.repaired.append((listed.key, repaired))
        if is_held and laid.changed:  # so that both versions have a state of their own
            fetched = msgspec.structs.replace(fetched, etag=f"{fetched.etag}~{laid.sha256[:16]}")
        return self._origin(listed, fetched, laid.path, laid.sha256, self._raw(fetched), laid.changed, repaired)

    def _raw(self, fetched: Fetched) -> str | None:
        return self._archive.sha256_raw(fetched.data) if self._archive.sha256_raw else None

    def _origin(
        self,
        listed: Listed,
        fetched: Fetched,
        laid: str,
        sha256: str,
        sha256_raw: str | None,
        changed: bool = False,
        repaired: str | None = None,
    ) -> Origin:
        self.counts.fetched += 1
        self.counts.bytes += len(fetched.data)
        self.counts.changed += changed
        return Origin(
            source="s3",
            key=listed.key,
            path=laid,
            bytes=len(fetched.data),
            bucket=self._bucket.name,
            etag=fetched.etag,
            version_id=fetched.version_id,
            last_modified=fetched.last_modified,
            metadata=fetched.metadata,
            sha256=sha256,
            fetched_at=datetime.now(UTC).replace(tzinfo=None),
            changed=changed,
            repaired=repaired,
            sha256_raw=sha256_raw,
        )

    # Passing on

    def _batches(self) -> Iterator[list[Origin | MissingObject] | None]:
        arrived: list[Origin | MissingObject] = []
        due = time.monotonic() + PASS_ON
        over = False
        while not over:
            try:
                handful = self._done.get(timeout=PASS_ON if arrived else HEARTBEAT)
            except Empty:
                due = 0.0
            else:
                over = handful is None
                arrived += handful or []
            if arrived and (over or len(arrived) >= PASS_ON_OBJECTS or time.monotonic() >= due):
                yield arrived
                arrived, due = [], time.monotonic() + PASS_ON
            elif not arrived and not over:
                yield None

    def _give_up(self, error: BaseException) -> None:
        with self._lock:
            self.error = self.error or error

    def _over(self) -> bool:
        return self._stop() or self.error is not None

    def _name(self, key: str) -> str:
        return f"s3://{self._bucket.name}/{key}"
