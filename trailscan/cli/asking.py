"""What `query` does, once its arguments are read: open what is asked, ask it, write the answer, say what it rests on."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import msgspec

from trailscan.api import filters_from
from trailscan.archive.folder import ArchiveFolder
from trailscan.cli.terminal import Terminal
from trailscan.cli.writing import write_count, write_records, write_table
from trailscan.errors import ExitCode, UsageError
from trailscan.query.filters import Filters
from trailscan.render.sentences import answers
from trailscan.times import parse_time

if TYPE_CHECKING:  # DuckDB is loaded while the workers read
    from trailscan.query.table import Table
    from trailscan.store.database import Connection


class OutputOptions(msgspec.Struct, frozen=True):
    """How the answer is wanted."""

    format: str
    columns: tuple[str, ...]
    sort: str
    limit: int | None
    count: bool
    by: str | None
    all_copies: bool
    output: str | None


class Answered(Protocol):
    """An answer that can be listed and grouped: events, or sessions."""

    def table(self, columns: Sequence[str], sort: str, limit: int | None) -> "Table":
        """The rows."""

    def groups(self, field: str, limit: int | None) -> "Table":
        """Rows counted by the values of a column."""

    def number_of_groups(self, field: str) -> int:
        """How many values a column has."""


def moment(text: str | None) -> datetime | None:
    """A time of the command line, as UTC without zone."""
    return None if text is None else parse_time(text, datetime.now(UTC).replace(tzinfo=None))


def filters_of(given: Mapping[str, object]) -> Filters:
    """The filters that a command line asks for, by name. Raises UsageError."""
    where = given.get("where")
    return filters_from(
        {name: value for name, value in given.items() if name != "where"}, None if where is None else str(where)
    )


def names_in(columns: str | None) -> tuple[str, ...]:
    """The names in `a, b`."""
    return tuple(name.strip() for name in columns.split(",")) if columns else ()


def ask_archive(root: str, filters: Filters, shape: OutputOptions, quiet: bool) -> int:
    """Answer from an archive; gives the exit code."""
    from trailscan.store.archive_stats import archive_stats
    from trailscan.store.condition import inspecting
    from trailscan.store.database import Database

    archive = ArchiveFolder(root)
    archive.must_exist()
    with Database(archive.database).reading() as connection, inspecting(connection, archive) as inspection:
        asking = Asking(connection, filters, shape, Terminal(quiet), archive.place)
        return asking.answer(answers.search_scope(archive_stats(connection), inspection.condition()))


class Inquiry(ABC):
    """One question to one open database, whatever it is about; `place` turns a stored path into one on this disk."""

    def __init__(self, answered: Answered, shape: OutputOptions, terminal: Terminal, place: Callable[[str], str]) -> None:
        self._answered = answered
        self._shape = shape
        self._terminal = terminal
        self._place = place

    def answer(self, resting: answers.SearchScope) -> int:
        """Write what was asked for to stdout or the file, and what it rests on to stderr; gives the exit code."""
        lost = self._write()
        self._terminal.say("\n".join(self.ending(resting, lost)))
        if not self.total:
            self._terminal.say("\n".join(self.why_none(resting)))
        lacking = resting.damaged or resting.foreign or self.conflicts or lost or not resting.is_sound
        return ExitCode.DAMAGED if lacking else ExitCode.DONE

    @property
    @abstractmethod
    def total(self) -> int:
        """How many rows were found."""

    @property
    @abstractmethod
    def conflicts(self) -> int:
        """How many of them rest on records that contradict each other."""

    @abstractmethod
    def columns(self) -> Sequence[str]:
        """The columns to show where none were asked for."""

    @abstractmethod
    def originals(self) -> "Table":
        """Where the original records of the rows lie."""

    @abstractmethod
    def ending(self, resting: answers.SearchScope, lost: Sequence[str]) -> list[str]:
        """What the answer rests on; `lost` is what should have been in it and could not be had."""

    @abstractmethod
    def why_none(self, resting: answers.SearchScope) -> list[str]:
        """Why nothing was found."""

    def shown(self) -> str:
        """`10 shown of ` where a limit cut the answer."""
        shape = self._shape
        if shape.limit is None or shape.count:
            return ""
        if shape.by is None:
            return f"{shape.limit:,} shown of " if shape.limit < self.total else ""
        groups = self._answered.number_of_groups(shape.by)
        return f"{shape.limit:,} of {groups:,} values shown: " if shape.limit < groups else ""

    def _write(self) -> list[str]:
        """Write the answer; returns what should have been in it and could not be had."""
        shape, lost = self._shape, list[str]()
        if shape.count:
            write_count(self.total, shape.output)
        elif shape.format == "record":
            if shape.by is not None:
                raise UsageError("--by counts, and has no original records to show", "choose another --format")
            write_records(self.originals(), self._place, lost.append, shape.output)
        else:
            table = self._table()
            if self.total or shape.format != "table" or shape.output:
                write_table(table, shape.format, shape.output)
        return lost

    def _table(self) -> "Table":
        shape = self._shape
        if shape.by is not None:
            return self._answered.groups(shape.by, shape.limit)
        return self._answered.table(shape.columns or self.columns(), shape.sort, shape.limit)


class Asking(Inquiry):
    """A question about events."""

    def __init__(
        self, connection: "Connection", filters: Filters, shape: OutputOptions, terminal: Terminal, place: Callable[[str], str]
    ) -> None:
        from trailscan.query.events import Answer

        self._connection = connection
        self._filters = filters
        self._answer = Answer(connection, filters, shape.all_copies)
        super().__init__(self._answer, shape, terminal, place)

    @property
    def total(self) -> int:
        """How many events were found."""
        return self._answer.basis.events

    @property
    def conflicts(self) -> int:
        """How many of them occur in versions that differ."""
        return self._answer.basis.conflicts

    def columns(self) -> Sequence[str]:
        """All columns for machines; for people a few, by what was found."""
        from trailscan.query import events as question

        if self._shape.format != "table":
            return question.default_columns(self._connection)
        return question.SESSION_COLUMNS if self._answer.basis.doors else question.PLAIN_COLUMNS

    def originals(self) -> "Table":
        """Where the records of the events lie."""
        from trailscan.query.events import ORIGINAL_COLUMNS

        return self._answer.table(ORIGINAL_COLUMNS, self._shape.sort, self._shape.limit)

    def ending(self, resting: answers.SearchScope, lost: Sequence[str]) -> list[str]:
        """`31 events in 2 of 7,883 objects`, and what else must be known."""
        return answers.of_answer(self._answer.basis, resting, self.shown(), lost)

    def why_none(self, resting: answers.SearchScope) -> list[str]:
        """Why no event was found."""
        from trailscan.query.events import alone, similar_names

        return answers.why_none(
            resting, alone(self._connection, self._filters), similar_names(self._connection, self._filters.event), self._filters
        )
