"""The formats in which a table is written, each declared once: read by the command line's `--format` and by what writes.

To add a format, add one entry to `FORMATS` and the module that writes it. Loads no format before it is used.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from trailscan.extras import require

if TYPE_CHECKING:
    from trailscan.query.table import Table

Write = Callable[["Table", BinaryIO], int]
"""Writes a table and gives the number of its rows."""


class Format(NamedTuple):
    """A format for programs: the module and function that write it, the extra it takes, and whether no terminal can show it."""

    module: str
    function: str
    extra: str = ""
    binary: bool = False

    def writer(self) -> Write:
        """The function that writes. Raises MissingExtra."""
        if self.extra:
            require(self.extra)
        return cast("Write", getattr(import_module(f"trailscan.render.{self.module}"), self.function))


PEOPLE = "table"
"""For people: aligned to the width of the terminal, by `render.as_table`."""

FORMATS = {
    "json": Format("as_json", "write_json"),
    "jsonl": Format("as_json", "write_jsonl"),
    "csv": Format("as_csv", "write_csv"),
    "parquet": Format("as_parquet", "write_parquet", extra="parquet", binary=True),
}
"""Each format for programs by its name, in the order of the help."""

TABULAR = (PEOPLE, *FORMATS)
"""All that a table can be written as."""

RECORD = "record"
"""The original records of the rows, one a line, where rows have some."""
