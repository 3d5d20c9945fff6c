"""An answer: typed columns and rows that come in chunks, so that a renderer never has to hold them all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # brought by the writers that need it
    from arro3.core import RecordBatch

Kind = Literal["text", "integer", "number", "boolean", "timestamp", "json"]
Value = str | int | float | bool | datetime | None
Row = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name (of the tables in docs/tables.md) and kind; `json` cells are JSON text, `timestamp` naive UTC."""

    name: str
    kind: Kind


@dataclass(slots=True)
class Table:
    """Columns, and an iterator of chunks of rows that can be read once.

    `computed`, where there is one, has the database compute the rows instead: it takes expressions of SQL over the columns'
    names, and gives their values in batches of Arrow.
    """

    columns: tuple[Column, ...]
    chunks: Iterator[list[Row]]
    computed: "Callable[[str], Iterator[RecordBatch]] | None" = None

    @property
    def names(self) -> list[str]:
        """The columns' names in order."""
        return [column.name for column in self.columns]
