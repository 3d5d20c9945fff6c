"""Files read straight for a question: only the objects that hold hits or damage go on, all are counted."""

from collections.abc import Iterator

from trailscan.cli.endings import NAMED
from trailscan.cli.terminal import Terminal
from trailscan.evidence.folder import LocalObject, display_name
from trailscan.evidence.origin import Origin, origin_of_file
from trailscan.records.workers import Outcome, Read, Workers, chunked
from trailscan.views.amounts import count


class Scan:
    """Reads what was found; `reads` is the stream to load, `origins` tells of each of its objects where it lies."""

    def __init__(self, workers: Workers, found: Iterator[LocalObject], terminal: Terminal) -> None:
        self.objects = 0
        self.damaged = 0
        self.damage: list[tuple[str, str]] = []
        self.origins: dict[int, Origin] = {}
        self._terminal = terminal
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
        if outcome.damage:
            self.damaged += 1
            self.damage = [*self.damage, (display_name(file), outcome.damage[0].reason)][:NAMED]
        if not outcome.kept and not outcome.damage:
            return False
        self.origins[outcome.object_id] = origin_of_file(file)
        return True
