"""What no object tells - findings, notices, marks - out of a database that may be broken, truncated or not one of ours.

A process of its own reads: what a spoilt file makes of DuckDB must not take a rebuild with it. Each table is read whole where
that works, else portion by portion; what could not be read is said.
"""

import contextlib
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Container, Iterator
from multiprocessing.connection import Connection as Pipe
from typing import Self, TypeVar

import msgspec

from trailscan.errors import ArchiveBusy, ArchiveError
from trailscan.store.arrow import Cells, rows_as_arrow
from trailscan.store.database import Config, Connection, Database, run
from trailscan.store.faults import first_line

PATIENCE = 300.0  # seconds without a word from the process that reads
_PORTION = 2_048  # rows: what DuckDB reads at a time
_MOST_ROWS = 10_000_000  # a count above this is not believed
_LIMITS: Config = {"memory_limit": "512MB", "threads": "1"}
_COLUMNS = "SELECT column_name FROM duckdb_columns() WHERE table_name = ? AND database_name = current_database()"
# What is taken of each table, by the columns that the table made anew has too.
KEPT = {"findings": "", "notices": "", "about": "WHERE starts_with(name, 'notifier:') OR name = 'custody'"}

Got = TypeVar("Got")


class Rows(msgspec.Struct):
    """What was read of a table, every cell as text, which goes through a pipe and into whichever type the new column has."""

    columns: tuple[str, ...]
    cells: list[Cells]

    def only(self, columns: Container[str]) -> Self:
        """The same rows with these of their columns."""
        places = [place for place, name in enumerate(self.columns) if name in columns]
        cells = [tuple(row[place] for place in places) for row in self.cells]
        return type(self)(tuple(self.columns[place] for place in places), cells)


class Salvaged(msgspec.Struct):
    """Rows by table, and in words what could not be read."""

    tables: dict[str, Rows] = {}
    lost: list[str] = []

    @property
    def findings(self) -> int:
        """How many findings were read."""
        return len(self.tables["findings"].cells) if "findings" in self.tables else 0


def salvage(old: Database) -> Salvaged:
    """Read what can be read. Raises ArchiveBusy when another process holds the file; all else is said in `lost`."""
    if not os.path.lexists(old.path):
        return Salvaged()
    if not os.path.isfile(old.path):
        return Salvaged(lost=["it is no file"])
    found = _ask(old.path, old.patience)
    if not found.tables and found.lost and os.path.lexists(f"{old.path}.wal"):
        alone = _without_log(old)
        if alone.tables:
            alone.lost.insert(0, "its write-ahead log cannot be read: what was noted last is not taken over")
            return alone
    return found


def put_back(found: Salvaged, fresh: Database) -> dict[str, int]:
    """Write what was read into a database that has no such rows yet; returns how many rows each table then has.

    Raises what Database.writing raises. What the new tables refuse goes from `tables` to `lost`.
    """
    import duckdb

    counts = {}
    for name in [name for name, table in found.tables.items() if table.cells]:
        try:
            with fresh.writing() as connection:
                counts[name] = _insert(connection, name, found.tables[name])
        except (duckdb.Error, ValueError) as error:
            del found.tables[name]
            found.lost.append(f"{name}: {first_line(error)}")
    return counts


def _insert(connection: Connection, name: str, rows: Rows) -> int:
    known = {column for (column,) in run(connection, _COLUMNS, [name])}
    wanted = rows.only(known)
    if not wanted.columns:
        raise ValueError("it is another table: none of its columns is known")
    connection.register("old", rows_as_arrow(dict.fromkeys(wanted.columns, "text"), wanted.cells))
    run(connection, f"INSERT OR IGNORE INTO {name} BY NAME FROM old")
    connection.unregister("old")
    return int(run(connection, f"SELECT count(*) FROM {name}")[0][0])


def _without_log(old: Database) -> Salvaged:
    """As the file was before what its log holds: DuckDB looks for a log beside the name that it is given."""
    with tempfile.TemporaryDirectory(prefix="trailscan-") as folder:
        alone = os.path.join(folder, "alone.duckdb")
        os.symlink(os.path.realpath(old.path), alone)
        return _ask(alone, old.patience)


def _ask(path: str, patience: float) -> Salvaged:
    """Let a process read, and take what it sends until it ends, however it ends."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_read, args=(path, patience, there), daemon=True)
    process.start()
    there.close()
    try:
        return _taken(here, patience)
    finally:
        here.close()
        process.kill()
        process.join()


def _taken(here: Pipe, patience: float) -> Salvaged:
    found = Salvaged()
    try:
        while here.poll(PATIENCE + patience):
            kind, *rest = here.recv()
            if kind == "busy":
                raise ArchiveBusy(*rest)
            if kind == "over":
                return found
            if kind == "rows":
                found.tables[rest[0]] = Rows(*rest[1:])
            else:
                found.lost.append(rest[0])
        found.lost.append("reading it did not end")
    except (EOFError, OSError):
        found.lost.append("reading it ended the process that read it")
    return found


def _read(path: str, patience: float, there: Pipe) -> None:
    """Send what can be read of the file; runs in a process of its own."""
    database = Database(path, patience)
    try:
        with database.salvaging(_LIMITS):
            pass
        for table, condition in KEPT.items():
            rows, lost = _table(database, table, condition)
            if rows is not None:
                there.send(("rows", table, rows.columns, rows.cells))
            if lost:
                there.send(("lost", lost))
    except ArchiveBusy as error:
        there.send(("busy", error.message, error.hint))
        return
    except ArchiveError as error:
        there.send(("lost", error.message))
    there.send(("over",))


def _table(database: Database, table: str, condition: str) -> tuple[Rows | None, str]:
    """The rows of a table, and what of it could not be read: nothing, some rows, or all of it."""
    whole, reason = _attempt(database, lambda connection: _rows(connection, f"FROM {table} {condition}"))
    if whole is not None:
        return whole, ""
    number, _ = _attempt(database, lambda connection: int(run(connection, f"SELECT max(rowid) + 1 FROM {table}")[0][0] or 0))
    portions = list(_portions(database, table, condition, min(number or 0, _MOST_ROWS)))
    read = [portion for portion in portions if portion is not None]
    if not read:
        return None, f"{table}: {reason}"
    cells = [row for portion in read for row in portion.cells]
    return Rows(read[0].columns, cells), f"{table}: {len(portions) - len(read):,} of {len(portions):,} portions: {reason}"


def _portions(database: Database, table: str, condition: str, number: int) -> Iterator[Rows | None]:
    for first in range(0, number, _PORTION):
        within = f"rowid >= {first} AND rowid < {first + _PORTION}"
        wanted = f"FROM (FROM {table} WHERE {within}) {condition}"
        yield _attempt(database, lambda connection, wanted=wanted: _rows(connection, wanted))[0]  # type: ignore[misc]


def _attempt(database: Database, read: Callable[[Connection], Got]) -> tuple[Got | None, str]:
    """What was read, else why not: opened anew each time, since an error can spoil a connection for good."""
    import duckdb

    with contextlib.suppress(ArchiveError):
        try:
            with database.salvaging(_LIMITS) as connection:
                return read(connection), ""
        except (duckdb.Error, ValueError, OverflowError) as error:
            return None, first_line(error)
    return None, "it cannot be opened"


def _rows(connection: Connection, query: str) -> Rows:
    """The rows of a query. Raises UnicodeDecodeError, a ValueError, for text of a spoilt file that is not UTF-8."""
    result = connection.execute(f"SELECT COLUMNS(*)::VARCHAR FROM ({query})")
    return Rows(tuple(name for name, *_ in result.description), result.fetchall())
