"""What `query` does, once its arguments are read: open what is asked, ask it, write the answer, say what it rests on."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from trailscan.cli import endings
from trailscan.cli.terminal import Terminal
from trailscan.cli.writing import write_count, write_records, write_table
from trailscan.errors import ExitCode, UsageError
from trailscan.evidence.archive import Archive
from trailscan.search.filters import Filters
from trailscan.search.times import parse_time

if TYPE_CHECKING:  # DuckDB is loaded while the workers read
    from trailscan.search.table import Table
    from trailscan.store.database import Connection


class Shape(msgspec.Struct, frozen=True):
    """How the answer is wanted."""

    format: str
    columns: tuple[str, ...]
    sort: str
    limit: int | None
    count: bool
    by: str | None
    all_copies: bool
    output: str | None


def moment(text: str | None) -> datetime | None:
    """A time of the command line, as UTC without zone."""
    return None if text is None else parse_time(text, datetime.now(UTC).replace(tzinfo=None))


def ask_archive(root: str, filters: Filters, shape: Shape, quiet: bool) -> int:
    """Answer from an archive; gives the exit code."""
    from trailscan.store.database import Database
    from trailscan.store.holdings import holdings

    archive = Archive(root)
    archive.must_exist()
    with Database(archive.database).reading() as connection:
        asking = Asking(connection, filters, shape, Terminal(quiet), archive.place)
        return asking.answer(endings.resting_on(holdings(connection)))


class Asking:
    """One question to one open database; `place` turns a stored path into one on this disk."""

    def __init__(
        self, connection: "Connection", filters: Filters, shape: Shape, terminal: Terminal, place: Callable[[str], str]
    ) -> None:
        from trailscan.search.question import Answer

        self._connection = connection
        self._filters = filters
        self._shape = shape
        self._terminal = terminal
        self._place = place
        self._answer = Answer(connection, filters, shape.all_copies)

    def answer(self, resting: endings.Resting) -> int:
        """Write what was asked for to stdout or the file, and what it rests on to stderr; gives the exit code."""
        basis = self._answer.basis
        lost = self._write()
        self._terminal.say("\n".join(endings.of_answer(basis, resting, self._shown(), lost)))
        if not basis.events:
            self._terminal.say("\n".join(self._why_none(resting)))
        return ExitCode.DAMAGED if resting.damaged or basis.conflicts or lost else ExitCode.DONE

    def _write(self) -> list[str]:
        """Write the answer; returns what should have been in it and could not be had."""
        shape, lost = self._shape, list[str]()
        if shape.count:
            write_count(self._answer.basis.events, shape.output)
        elif shape.format == "record":
            write_records(self._table(), self._place, lost.append, shape.output)
        else:
            table = self._table()
            if self._answer.basis.events or shape.format != "table" or shape.output:
                write_table(table, shape.format, shape.output)
        return lost

    def _shown(self) -> str:
        """`10 shown of ` where a limit cut the answer."""
        shape = self._shape
        if shape.limit is None or shape.count:
            return ""
        if shape.by is None:
            return f"{shape.limit:,} shown of " if shape.limit < self._answer.basis.events else ""
        groups = self._answer.number_of_groups(shape.by)
        return f"{shape.limit:,} of {groups:,} values shown: " if shape.limit < groups else ""

    def _table(self) -> "Table":
        shape = self._shape
        if shape.by is not None and shape.format == "record":
            raise UsageError("--by counts, and has no original records to show", "choose another --format")
        if shape.by is not None:
            return self._answer.groups(shape.by, shape.limit)
        return self._answer.table(self._columns(), shape.sort, shape.limit)

    def _columns(self) -> Sequence[str]:
        from trailscan.search import question

        if self._shape.format == "record":
            return question.ORIGINAL_COLUMNS
        if self._shape.columns:
            return self._shape.columns
        if self._shape.format != "table":
            return question.default_columns(self._connection)
        return question.SESSION_COLUMNS if self._answer.basis.doors else question.PLAIN_COLUMNS

    def _why_none(self, resting: endings.Resting) -> list[str]:
        from trailscan.search.question import alone, similar_names

        return endings.why_none(
            resting, alone(self._connection, self._filters), similar_names(self._connection, self._filters.event), self._filters
        )
