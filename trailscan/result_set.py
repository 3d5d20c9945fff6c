"""Answers as a program wants them: a ResultSet describes a question, and opens, asks and closes when it is used.

So it can be kept, handed to another thread, and used again; between uses nothing is open and nothing is locked.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec

from trailscan.errors import SourceError, UsageError
from trailscan.extras import require
from trailscan.query.table import Row, Table, Value

if TYPE_CHECKING:
    import pyarrow as pa

    from trailscan.store.condition import Condition

Place = Callable[[str], str]
"""Turns the path of an object, as it is stored, into one on this disk."""


class SearchScope(msgspec.Struct, frozen=True):
    """What an answer was drawn from, in counts of objects, and what limits it.

    `damaged` could not be read in full, `failed` could not be fetched, `not_cloudtrail` are sound and something else,
    `not_loaded` were fetched and are not in the database. `duplicates` counts hidden copies of events, `conflicts` events in
    versions that differ. `problems` are files that could not be read, `missing` the records that `originals` could not
    give. `condition` tells of the archive: its last verification, and files that are gone or altered; None without an archive.
    """

    objects: int
    damaged: int = 0
    failed: int = 0
    not_cloudtrail: int = 0
    not_loaded: int = 0
    duplicates: int = 0
    conflicts: int = 0
    first_event: datetime | None = None
    last_event: datetime | None = None
    problems: tuple[str, ...] = ()
    condition: "Condition | None" = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing that was searched is known to be damaged, missing, altered or not loaded."""
        lacking = self.damaged or self.failed or self.not_cloudtrail or self.not_loaded or self.conflicts or self.problems
        return not lacking and (self.condition is None or self.condition.is_sound)


class Answer(Protocol):
    """A question that was asked of an open database."""

    total: int
    scope: SearchScope
    place: Place

    def columns(self) -> Sequence[str]:
        """The names of all columns."""

    def table(self, columns: Sequence[str], sort: str, limit: int | None) -> Table:
        """The rows."""

    def groups(self, field: str, limit: int | None) -> Table:
        """Rows counted by the values of a column."""

    def originals(self, sort: str, limit: int | None) -> Table:
        """Where the original records lie."""


Asking = Callable[[], AbstractContextManager[Answer]]


class ResultSet:
    """The answer to a question, asked anew at each use. `sort` names the column that orders rows by default."""

    def __init__(self, ask: Asking, sort: str) -> None:
        self._ask = ask
        self._sort = sort

    def open(self) -> AbstractContextManager[Answer]:
        """Ask once, for several uses of the same answer: `with results.open() as answer`."""
        return self._ask()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns."""
        with self._ask() as answer:
            return tuple(answer.columns())

    @property
    def scope(self) -> SearchScope:
        """What the answer rests on: objects searched, damaged, missing; duplicates hidden; the last verification."""
        with self._ask() as answer:
            return answer.scope

    def count(self) -> int:
        """How many rows there are."""
        with self._ask() as answer:
            return answer.total

    def rows(
        self, columns: Sequence[str] | None = None, *, sort: str | None = None, limit: int | None = None
    ) -> Iterator[dict[str, Value]]:
        """The rows as dicts, in a stream; the archive is being read until the last one, or until the iterator is closed.

        `columns` picks some, `sort` takes a leading `-`. Raises UsageError for a column that does not exist.
        """
        with self._ask() as answer:
            table = answer.table(self._names(columns, answer), sort or self._sort, limit)
            names = table.names
            for chunk in table.chunks:
                for row in chunk:
                    yield dict(zip(names, row, strict=True))

    def group_by(self, column: str, *, limit: int | None = None) -> list[dict[str, Value]]:
        """How many rows have each value of a column, the most frequent first, and when the first and last were."""
        with self._ask() as answer:
            return _dicts(answer.groups(column, limit))

    def originals(self, *, sort: str | None = None, limit: int | None = None) -> list[bytes]:
        """The original records as lines of JSON, from the objects that hold them, whose SHA-256 is checked.

        Raises SourceError, which names the object, where one cannot be had any more or has other bytes.
        """
        from trailscan.query.originals import originals

        def refuse(reason: str) -> None:
            raise SourceError(reason, "`trailscan verify` tells what else was altered")

        with self._ask() as answer:
            table = answer.originals(sort or self._sort, limit)
            rows: Iterator[Row] = (row for chunk in table.chunks for row in chunk)
            return list(originals(rows, answer.place, refuse))

    def arrow(self, columns: Sequence[str] | None = None, *, sort: str | None = None, limit: int | None = None) -> "pa.Table":
        """All rows as a pyarrow Table. Raises MissingExtra without pyarrow."""
        require("parquet")
        from trailscan.render.as_parquet import arrow_of

        with self._ask() as answer:
            return arrow_of(answer.table(self._names(columns, answer), sort or self._sort, limit))

    def to_pandas(self, columns: Sequence[str] | None = None, *, sort: str | None = None, limit: int | None = None) -> object:
        """All rows as a pandas DataFrame. Raises MissingExtra without pyarrow, UsageError without pandas."""
        table = self.arrow(columns, sort=sort, limit=limit)
        try:
            return table.to_pandas()
        except ImportError as error:
            raise UsageError("pandas is not installed", "pip install pandas, or take arrow()") from error

    def _names(self, columns: Sequence[str] | None, answer: Answer) -> Sequence[str]:
        if isinstance(columns, str):
            raise UsageError(f"columns are a list of names, not {columns!r}", f"write [{columns!r}]")
        return answer.columns() if columns is None else columns


def _dicts(table: Table) -> list[dict[str, Value]]:
    return [dict(zip(table.names, row, strict=True)) for chunk in table.chunks for row in chunk]
