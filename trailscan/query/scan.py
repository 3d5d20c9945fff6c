"""Files read straight for a question, with no archive: what their bytes cannot rule out is asked in a database in memory."""

import contextlib
import os
from collections.abc import Iterator, Sequence

import msgspec

from trailscan.archive.origin import Origin, origin_of_file
from trailscan.files.folder import find_objects
from trailscan.files.local_objects import LocalObject, Survey
from trailscan.progress import OnProgress, Progress, ignore_progress
from trailscan.query.filters import Filters, needles_of, networks_of
from trailscan.records.worker_pool import Outcome, Read, Workers, chunked
from trailscan.store.counts import Loaded
from trailscan.store.database import Connection, bounds_named, lock_down, scratch
from trailscan.store.spill import spill_folder


class Scanned(msgspec.Struct, frozen=True):
    """Files that were read: the locked-down connection to ask, how many objects, what was loaded of them, what was skipped."""

    connection: Connection
    objects: int
    loaded: Loaded
    survey: Survey


@contextlib.contextmanager
def scanned(
    paths: Sequence[str], filters: Filters, jobs: int | None = None, on_progress: OnProgress = ignore_progress
) -> Iterator[Scanned]:
    """Read files, folders, tars and zips for a question; the connection is open until the end.

    Raises SourceError for a path that cannot be read at all, UsageError for a filter that is none.
    """
    networks_of(filters)
    survey = Survey()
    found = find_objects(paths, survey)
    with spill_folder() as folder:
        with Workers(jobs, needles_of(filters), hash_all=False) as workers:
            scan = _Scan(workers, found, on_progress)
            first = next(scan.reads, None)
            connection = scratch(with_views=False, spill=folder)
            loaded = Loaded()
            if first is not None:
                from trailscan.store.loader import Loader  # brings DuckDB and Arrow, while the workers read

                with bounds_named():
                    loaded = Loader(scan.origins).into_scratch(connection, first, scan.reads)
            lock_down(connection)
        with bounds_named(), contextlib.closing(connection):
            yield Scanned(connection, scan.objects, loaded, survey)


class _Scan:
    """Reads what was found, counts it all, and passes on what holds hits or damage.

    `reads` is the stream to load, `origins` tells of each of its objects where it lies.
    """

    def __init__(self, workers: Workers, found: Iterator[LocalObject], on_progress: OnProgress) -> None:
        self.objects = 0
        self.origins: dict[int, Origin] = {}
        self._on_progress = on_progress
        self._here = os.getcwd()
        self._files: dict[int, LocalObject] = {}
        self.reads = self._notable(workers.read(chunked(self._numbered(found))))

    def _numbered(self, found: Iterator[LocalObject]) -> Iterator[tuple[int, LocalObject]]:
        for number, file in enumerate(found, 1):
            self._files[number] = file
            yield number, file

    def _notable(self, reads: Iterator[Read]) -> Iterator[Read]:
        for read in reads:
            notable = [outcome for outcome in read.outcomes if self._is_notable(outcome)]
            self._on_progress(Progress("searched", self.objects))
            if notable:
                yield Read(notable, read.batches)

    def _is_notable(self, outcome: Outcome) -> bool:
        self.objects += 1
        file = self._files.pop(outcome.object_id)
        if not outcome.kept and not outcome.damage:
            return False
        self.origins[outcome.object_id] = origin_of_file(file, self._here)
        return True
