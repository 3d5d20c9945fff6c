"""Records and objects into the database: one transaction for some hundred thousand records, the file held for seconds.

It takes what the reading processes send, as Arrow buffers, and lets DuckDB parse. It knows nothing of gzip or S3.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec
from nanoarrow.c_array import CArray

from trailscan.archive.origin import Origin
from trailscan.glob import like
from trailscan.records.csv_tables import SUMMARIES
from trailscan.records.damage import FOREIGN, Damage
from trailscan.records.object_reader import altered_damage
from trailscan.records.worker_pool import Outcome, Read
from trailscan.store.copies import count_fresh
from trailscan.store.counts import CHANGED, NAMED, STRAY, Loaded
from trailscan.store.database import Connection, Database, run, sql
from trailscan.store.raw_arrow import stream
from trailscan.store.repaired import repairs_of, replaced_by
from trailscan.store.rows import (
    BATCH,
    as_arrow,
    fill_from_envelopes,
    forget,
    insert_damage,
    insert_objects,
    mark_altered,
    object_row,
)

TRANSACTION_RECORDS = 480_000
TRANSACTION_SECONDS = 3.0  # how long others may have to wait for the file
PAUSE = 0.05  # seconds between transactions, in which they get their turn


Found = tuple[int, Damage]

TWINS = "a key stands twice in the record, and parsers disagree on which value counts"


class Loader:
    """Loads what is read; `origins` tells where each object id came from, and is emptied as they are loaded.

    `replaced` gives, of an object that is loaded anew, the id it was held under. `record` takes what the manifest must say of
    the objects of a transaction, before it is committed; of `fresh` objects the manifest knows nothing yet.
    """

    def __init__(
        self,
        origins: dict[int, Origin],
        only: tuple[str, ...] = (),
        replaced: dict[int, int] | None = None,
        record: Callable[[list[Origin]], None] | None = None,
        fresh: bool = False,
    ) -> None:
        self.origins = origins
        self.only = only
        self.replaced = replaced if replaced is not None else {}
        self._record = record
        self._fresh = fresh

    def into_archive(
        self,
        database: Database,
        reads: Iterator[Read],
        stop: Callable[[], bool],
        before_commit: Callable[[Connection, bool], None],
    ) -> Iterator[Loaded]:
        """Load everything, transaction by transaction; yields the counts of each once it is committed.

        `before_commit` gets the connection, and whether this transaction is the last.
        """
        turn = 0.0
        while not stop() and (first := _next_with_content(reads)) is not None:
            time.sleep(turn)
            turn = PAUSE
            with database.writing(parses=True) as connection:
                window = _Window(first, reads, stop)
                counts = self.into(connection, window)
                before_commit(connection, window.is_last)
            yield counts

    def into_scratch(self, connection: Connection, first: Read, reads: Iterator[Read]) -> Loaded:
        """Load everything into a database that nobody else waits for."""
        return self.into(connection, _Window(first, reads, lambda: False, float("inf"), float("inf")))

    def into(self, connection: Connection, window: "_Window") -> Loaded:
        """Load what the window lets through, within the connection's transaction."""
        connection.register("batch", stream(BATCH, window.batches()))
        try:
            run(connection, _insert_events(self.only), [like(name) for name in self.only])
        except Exception:
            window.raise_own()
            raise
        connection.unregister("batch")
        outcomes = window.outcomes
        fill_from_envelopes(connection, outcomes)
        self._complete(outcomes)
        held = self._held_altered(connection, outcomes)
        again = replaced_by(connection, [(outcome.object_id, self.origins[outcome.object_id]) for outcome in outcomes])
        forget(connection, again + [old for each in outcomes if (old := self.replaced.pop(each.object_id, None)) is not None])
        damage = [(outcome.object_id, found) for outcome in outcomes for found in self._damage_of(outcome)]
        twins = _twins(connection, outcomes)
        counts = self._counts(connection, outcomes, damage, twins)
        self._insert_objects(connection, [outcome for outcome in outcomes if outcome.object_id not in held])
        for outcome in outcomes:
            del self.origins[outcome.object_id]
        insert_damage(connection, [(held.get(number, number), found) for number, found in damage] + twins)
        return counts

    def _complete(self, outcomes: list[Outcome]) -> None:
        """Put the hashes that were found into the origins that lack them, and these into the manifest."""
        if self._record is None:
            return
        now = datetime.now(UTC).replace(tzinfo=None)
        recorded = []
        for outcome in outcomes:
            origin = self.origins[outcome.object_id]
            full = _with_hashes(origin, outcome, None if self._fresh else now)
            if self._fresh or full is not origin:
                self.origins[outcome.object_id] = full
                recorded.append(full)
        if recorded:
            self._record(recorded)

    def _held_altered(self, connection: Connection, outcomes: list[Outcome]) -> dict[int, int]:
        """What was to be loaded anew and proves to be altered keeps its rows, made of the bytes it had: new ids -> held ids."""
        altered = [each.object_id for each in outcomes if each.status == "altered" and each.object_id in self.replaced]
        held = {number: self.replaced.pop(number) for number in altered}
        mark_altered(connection, list(held.values()))
        return held

    def _damage_of(self, outcome: Outcome) -> list[Damage]:
        origin = self.origins[outcome.object_id]
        found = [wrong for wrong in outcome.damage if wrong.what != FOREIGN]
        found += [*([CHANGED] if origin.changed else []), *([STRAY] if origin.stray else [])]
        if outcome.status != "altered" and _is_altered(origin, outcome):
            found.append(altered_damage(origin.sha256 or "", outcome.sha256 or ""))
        return [*found, *repairs_of(origin)]

    def _counts(self, connection: Connection, outcomes: list[Outcome], damage: list[Found], twins: list[Found]) -> Loaded:
        rows, copies = count_fresh(connection, *_span(outcomes))
        foreign = [(outcome, found) for outcome in outcomes for found in outcome.damage if found.what == FOREIGN]
        read = sum(outcome.read or 0 for outcome in outcomes)
        damaged = sum(1 for _, found in damage if found.record_index is not None)
        return Loaded(
            objects=len(outcomes),
            damaged_objects=len({object_id for object_id, _ in damage + twins}),
            spared_objects=sum(1 for outcome in outcomes if outcome.read is None),
            bytes=sum(self.origins[outcome.object_id].bytes for outcome in outcomes),
            raw_bytes=sum(outcome.raw_bytes for outcome in outcomes),
            read=read,
            loaded=rows - copies,
            copies=copies,
            filtered=read - rows - damaged - sum(outcome.foreign for outcome in outcomes),
            damaged=damaged,
            foreign_objects=len(foreign),
            foreign_only=sum(1 for outcome in outcomes if outcome.status == FOREIGN),
            foreign=sum(outcome.foreign for outcome in outcomes),
            summaries=sum(outcome.kept for outcome in outcomes if outcome.shape == SUMMARIES),
            named_foreign=[(self.origins[outcome.object_id].key, found.reason) for outcome, found in foreign[:NAMED]],
            named=[(self.origins[number].key, found.reason) for number, found in (damage + twins)[:NAMED]],
        )

    def _insert_objects(self, connection: Connection, outcomes: list[Outcome]) -> None:
        now = datetime.now(UTC).replace(tzinfo=None)
        rows = [
            object_row(_with_status(self.origins[outcome.object_id], outcome), self.origins[outcome.object_id], now, self.only)
            for outcome in outcomes
        ]
        insert_objects(connection, rows)
        if self.only and outcomes:
            run(connection, sql("count_loaded.sql"), _span(outcomes))


class _Window:
    """What one transaction takes of the stream of reads; keeps its outcomes, and the error that ended it if one did."""

    def __init__(
        self,
        first: Read,
        reads: Iterator[Read],
        stop: Callable[[], bool],
        records: float = TRANSACTION_RECORDS,
        seconds: float = TRANSACTION_SECONDS,
    ) -> None:
        self._first = first
        self._reads = reads
        self._stop = stop
        self._records = records
        self._deadline = time.monotonic() + seconds
        self._error: BaseException | None = None
        self.outcomes: list[Outcome] = []
        self.is_last = False

    def batches(self) -> Iterator[CArray]:
        """The records as Arrow, for DuckDB to pull; every outcome is noted on the way."""
        try:
            for read in self._within():
                self.outcomes += read.outcomes
                yield from map(as_arrow, read.batches)
        except BaseException as error:
            self._error = error
            raise

    def raise_own(self) -> None:
        """Raise the error of the reading side, which DuckDB would report as its own."""
        if self._error is not None:
            raise self._error

    def _within(self) -> Iterator[Read]:
        taken = 0
        read: Read | None = self._first
        while read is not None:
            yield read
            taken += sum(batch.rows for batch in read.batches)
            if taken >= self._records or time.monotonic() >= self._deadline or self._stop():
                return
            read = next(self._reads, None)
        self.is_last = not self._stop()


def _next_with_content(reads: Iterator[Read]) -> Read | None:
    return next((read for read in reads if read.outcomes), None)


def _with_hashes(origin: Origin, outcome: Outcome, now: datetime | None) -> Origin:
    """The origin with both hashes, as far as they could be taken; the very same when nothing is to be added.

    A hash that is recorded stays. `now` is noted where the bytes were taken in earlier, without their hash.
    """
    if outcome.sha256 is None or _is_altered(origin, outcome) or None not in {origin.sha256, origin.sha256_raw}:
        return origin
    if origin.sha256 == outcome.sha256:
        now = origin.hashed_at
    return msgspec.structs.replace(origin, sha256=outcome.sha256, sha256_raw=outcome.sha256_raw, hashed_at=now)


def _is_altered(origin: Origin, outcome: Outcome) -> bool:
    return outcome.status == "altered" or (origin.sha256 is not None and outcome.sha256 not in {None, origin.sha256})


def _with_status(origin: Origin, outcome: Outcome) -> Outcome:
    """An object that was loaded though its bytes are others is called altered all the same."""
    return msgspec.structs.replace(outcome, status="altered") if _is_altered(origin, outcome) else outcome


def _insert_events(only: tuple[str, ...]) -> str:
    wanted = " OR ".join("r.eventName LIKE ? ESCAPE '\\'" for _ in only)
    return "INSERT INTO events " + sql("parse.sql") + (f"WHERE {wanted}" if only else "")


def _span(outcomes: list[Outcome]) -> list[int]:
    """The first and last of the ids, which a run gives out in order."""
    return [outcomes[0].object_id, outcomes[-1].object_id]


def _twins(connection: Connection, outcomes: list[Outcome]) -> list[Found]:
    """Of the rows just inserted, those whose record has a key twice: they are loaded, and must not be trusted."""
    flagged = "SELECT object_id, record_index FROM events WHERE object_id BETWEEN ? AND ? AND contains(flags, 'duplicate-key')"
    return [(number, Damage("duplicate-key", TWINS, index)) for number, index in run(connection, flagged, _span(outcomes))]
