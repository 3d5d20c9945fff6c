"""What `coverage` does, once its arguments are read: ask, draw or write the cells, say what they add up to."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import cast

from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.cli.terminal import Terminal
from trailscan.cli.writing import write_calendar, write_table
from trailscan.errors import ExitCode
from trailscan.query.events import similar_names
from trailscan.query.table import Row, Table
from trailscan.render.calendar import Cell, Strip
from trailscan.render.sentences import answers, archives
from trailscan.store.archive_stats import archive_stats
from trailscan.store.condition import inspecting
from trailscan.store.database import Database
from trailscan.verify.coverage import STATES, Coverage, CoverageScope, coverage
from trailscan.verify.held_objects import spans_of
from trailscan.verify.sync_scopes import covered_by


class Totals:
    """What cells add up to, counted while they are written."""

    def __init__(self, table: Table) -> None:
        self.states: Counter[str] = Counter()
        self.sums: Counter[str] = Counter()
        self._state = table.names.index("state")
        self._summed = [(name, table.names.index(name)) for name in ("missing", "damaged", "hits")]
        self.table = Table(table.columns, self._counted(table.chunks))

    def _counted(self, chunks: Iterator[list[Row]]) -> Iterator[list[Row]]:
        for chunk in chunks:
            self.states.update(str(row[self._state]) for row in chunk)
            for name, column in self._summed:
                self.sums[name] += sum(cast("int", row[column]) for row in chunk)
            yield chunk


def show_coverage(root: str, scope: CoverageScope, wanted: str, output: str | None, quiet: bool) -> int:
    """Write the cells, for people as a picture; gives the exit code."""
    archive = ArchiveFolder(root)
    archive.must_exist()
    with Database(archive.database).reading() as connection, inspecting(connection, archive) as inspection:
        covered = covered_by(CustodyLog(archive).entries(), spans_of(connection))
        found = coverage(connection, scope, archive.place, covered)
        totals = Totals(found.table)
        if wanted == "table":
            write_calendar(_strips(totals.table), scope.unit, output)
        else:
            write_table(totals.table, wanted, output)
        similar = similar_names(connection, scope.events) if _without_hits(totals, found) else []
        resting = answers.search_scope(archive_stats(connection), inspection.condition())
    states = {state: totals.states[state] for state in STATES}
    lines = archives.of_coverage(states, totals.sums, found, scope, resting, similar)
    Terminal(quiet).say("\n".join(lines))
    bad = found.hearing.unreadable or found.hearing.invalid
    lacking = totals.sums["missing"] or totals.sums["damaged"] or found.missing_outside or bad
    return ExitCode.DAMAGED if lacking or not resting.is_sound else ExitCode.DONE


def _without_hits(totals: Totals, found: Coverage) -> bool:
    return not totals.sums["hits"] and not found.hits_outside


def _strips(table: Table) -> Iterator[Strip]:
    """The cells of each account and region, one after the other."""
    names = ("starts_at", "state", "missing", "damaged", "hits")
    fields = itemgetter(*map(table.names.index, names))
    rows = (row for chunk in table.chunks for row in chunk)
    for (account, region), group in groupby(rows, itemgetter(0, 1)):
        yield Strip(f"{account} {region}", [Cell(*fields(row)) for row in group])
