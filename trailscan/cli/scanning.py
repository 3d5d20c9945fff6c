"""`query PATH`: files read straight for a question, with no archive; what their bytes cannot rule out is asked in memory."""

import contextlib
import os
from collections.abc import Iterator

from trailscan.archive.origin import Origin, origin_of_file
from trailscan.cli.asking import Asking, OutputOptions
from trailscan.cli.terminal import Terminal
from trailscan.files.folder import find_objects
from trailscan.files.local_objects import LocalObject, Survey
from trailscan.query.filters import Filters, needles_of, networks_of
from trailscan.records.worker_pool import Outcome, Read, Workers, chunked
from trailscan.render.amounts import count
from trailscan.render.sentences.answers import SearchScope
from trailscan.render.sentences.funnels import of_summaries, scan_funnel
from trailscan.store.counts import Loaded
from trailscan.store.spill import spill_folder


def ask_files(paths: list[str], filters: Filters, shape: OutputOptions, jobs: int | None, quiet: bool) -> int:
    """Answer straight from files: what their bytes cannot rule out goes through a scratch database; gives the exit code."""
    networks_of(filters)
    terminal, survey = Terminal(quiet), Survey()
    found = find_objects(paths, survey)
    with spill_folder() as folder:
        with Workers(jobs, needles_of(filters), hash_all=False) as workers, terminal.clean():
            scan = Scan(workers, found, terminal)
            first = next(scan.reads, None)
            from trailscan.store.database import bounds_named, lock_down, scratch

            connection = scratch(with_views=False, spill=folder)
            loaded = Loaded()
            if first is not None:
                from trailscan.store.loader import Loader

                with bounds_named():
                    loaded = Loader(scan.origins).into_scratch(connection, first, scan.reads)
            lock_down(connection)
        named = [*loaded.named, *loaded.named_foreign, *((problem.path, problem.reason) for problem in survey.problems)]
        if loaded.foreign_only or survey.passed_over:
            terminal.say(scan_funnel(scan.objects, loaded, survey))
        damaged = loaded.damaged_objects + len(survey.problems)
        limits = of_summaries(loaded.summaries)
        resting = SearchScope(scan.objects, damaged, limits=limits, named=named, foreign=loaded.foreign_objects)
        with bounds_named(), contextlib.closing(connection):
            return Asking(connection, filters, shape, terminal, str).answer(resting)


class Scan:
    """Reads what was found, counts it all, and passes on what holds hits or damage.

    `reads` is the stream to load, `origins` tells of each of its objects where it lies.
    """

    def __init__(self, workers: Workers, found: Iterator[LocalObject], terminal: Terminal) -> None:
        self.objects = 0
        self.origins: dict[int, Origin] = {}
        self._terminal = terminal
        self._here = os.getcwd()
        self._files: dict[int, LocalObject] = {}
        self.reads = self._telling(workers.read(chunked(self._numbered(found))))

    def _numbered(self, found: Iterator[LocalObject]) -> Iterator[tuple[int, LocalObject]]:
        for number, file in enumerate(found, 1):
            self._files[number] = file
            yield number, file

    def _telling(self, reads: Iterator[Read]) -> Iterator[Read]:
        for read in reads:
            telling = [outcome for outcome in read.outcomes if self._tells(outcome)]
            self._terminal.progress(f"{count(self.objects, 'object')} searched")
            if telling:
                yield Read(telling, read.batches)

    def _tells(self, outcome: Outcome) -> bool:
        self.objects += 1
        file = self._files.pop(outcome.object_id)
        if not outcome.kept and not outcome.damage:
            return False
        self.origins[outcome.object_id] = origin_of_file(file, self._here)
        return True
