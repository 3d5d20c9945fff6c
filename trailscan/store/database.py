"""The archive's DuckDB file: who may open it, how, and for how long.

DuckDB lets one process write, and then no other read. So a writer opens the file for one transaction and closes it; a
reader opens it read-only, waits its turn for some seconds, and names the holder when it gives up. Every connection is
offline: no extension is installed or loaded, and a reader's SQL reaches neither files nor network.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar

from trailscan.errors import ArchiveBusy, NoDatabase, OutOfMemory, SchemaMismatch
from trailscan.store.access_macros import door_events, parsing_macros, view_macros
from trailscan.store.faults import REPAIR, of_opening, translated
from trailscan.store.spill import spill_folder
from trailscan.version import __version__

SCHEMA_VERSION = 3
ROW_GROUP = 20_480  # rows; a sixth of DuckDB's own: even a small load is compressed by several threads, in little memory
LOAD_MEMORY = "384MB"
LOAD_THREADS = 4  # each holds a row group in memory
PATIENCE = 15.0  # seconds that a reader waits for a writer: a load holds the file for about three
READ_MEMORY = "256MB"  # for a question's rows; what is more goes into a folder for temporary files
READ_THREADS = 4
TURN = 0.02  # seconds between two tries; a writer leaves the file alone for longer than this between transactions

Config = dict[str, str | bool | int | float | list[str]]

_OFFLINE: Config = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
_LOCKED_DOWN: Config = _OFFLINE | {"enable_external_access": "false", "lock_configuration": "true"}

if TYPE_CHECKING:  # DuckDB is brought when a database is opened: reading begins before
    import duckdb

    Connection = duckdb.DuckDBPyConnection
else:
    Connection = object
Row = tuple[Any, ...]
Opened = TypeVar("Opened")


def run(connection: Connection, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
    """Execute and take the whole result: DuckDB streams, and an unfinished result blocks its connection."""
    return connection.execute(statement, list(parameters)).fetchall()


def sql(name: str) -> str:
    """The text of one of this room's .sql files."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


class Database:
    """The file at `path`; it holds no connection between calls, so that other processes get their turn."""

    def __init__(self, path: str, patience: float = PATIENCE) -> None:
        self.path = path
        self.patience = patience

    def exists(self) -> bool:
        """Whether there is a database file."""
        return os.path.exists(self.path)

    def create(self) -> bool:
        """Make an empty database under a temporary name and move it into place; False where there is one already."""
        if self.exists():
            return False
        from trailscan.store.swapping import swap_in, wipe

        fresh = Database(fresh_path(self.path), self.patience)
        wipe(fresh.path)
        try:
            fresh.make()
            swap_in(fresh, self, {"objects": 0, "events": 0})
        finally:
            wipe(fresh.path)
        return True

    def make(self) -> None:
        """Make the file, with empty tables, under its own name; on the disk whole when this returns. Raises ArchiveError."""
        connection = _connect(_OFFLINE)
        with translated(self.path), contextlib.closing(connection):
            _attach(connection, self.path)
            make_tables(connection)
            make_views(connection)
            run(connection, "CHECKPOINT archive")

    @contextlib.contextmanager
    def writing(self, *, parses: bool = False) -> Iterator[Connection]:
        """A connection within one transaction: committed at the end, rolled back on an error, then closed.

        `parses` makes what parse.sql needs, which takes longer than a small transaction.
        The write-ahead log is folded into the file before it is closed, since closing hides a failure to do so. Raises
        ArchiveBusy when others hold the file for longer than the patience, SchemaMismatch, ArchiveError.
        """
        threads = min(LOAD_THREADS, os.cpu_count() or 1)
        connection = _connect(_OFFLINE | {"threads": str(threads), "memory_limit": LOAD_MEMORY})
        with translated(self.path), contextlib.closing(connection):
            self._retry(lambda: _attach(connection, self.path))
            if parses:
                prepare_loading(connection)
            self._check_version(connection)
            run(connection, "BEGIN")
            yield connection
            run(connection, "COMMIT")
            run(connection, "CHECKPOINT archive")

    def fold(self) -> None:
        """Fold the write-ahead log that a killed writer left into the file, whatever tables it has. Raises as `writing`."""
        connection = _connect(_OFFLINE)
        with translated(self.path), contextlib.closing(connection):
            self._retry(lambda: _attach(connection, self.path))
            run(connection, "CHECKPOINT archive")

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only, locked-down connection. Raises NoDatabase, ArchiveBusy, SchemaMismatch, ArchiveError."""
        if not self.exists():
            raise NoDatabase(f"the archive's database is not there: {self.path}", REPAIR)
        with spill_folder() as folder:
            connection = self._retry(lambda: _connect(_bounded(folder), self.path))
            with translated(self.path), bounds_named(), contextlib.closing(connection):
                self._check_version(connection)
                lock_down(connection)
                yield connection

    @contextlib.contextmanager
    def salvaging(self, config: Config) -> Iterator[Connection]:
        """A read-only, locked-down connection to a file that may have any tables, or be no database at all.

        Raises ArchiveBusy, ArchiveError.
        """
        connection = self._retry(lambda: _connect(_LOCKED_DOWN | config, self.path))
        with contextlib.closing(connection):
            yield connection

    def _retry(self, opening: Callable[[], Opened]) -> Opened:
        import duckdb

        deadline = time.monotonic() + self.patience
        while True:
            try:
                return opening()
            except duckdb.IOException as error:
                if "Could not set lock on file" not in str(error):
                    raise of_opening(self.path, error) from error
                if time.monotonic() > deadline:
                    raise ArchiveBusy(f"{self.path} is held by {_holder(error)}", "try again when it has finished") from error
            except duckdb.Error as error:
                raise of_opening(self.path, error) from error
            time.sleep(TURN)

    def _check_version(self, connection: Connection) -> None:
        import duckdb

        try:
            found = run(connection, "SELECT value FROM about WHERE name = 'schema_version'")
        except duckdb.CatalogException as error:
            raise SchemaMismatch(f"{self.path} is not a trailscan database", REPAIR) from error
        version = int(found[0][0]) if found else 0
        if version > SCHEMA_VERSION:
            raise SchemaMismatch(
                f"{self.path} was written by a newer trailscan: tables of version {version}, not {SCHEMA_VERSION}",
                "use the newer trailscan, or make the database anew with `trailscan rebuild`",
            )
        if version < SCHEMA_VERSION:
            raise SchemaMismatch(
                f"{self.path} was written by an older trailscan: tables of version {version}, not {SCHEMA_VERSION}",
                REPAIR,
            )


def fresh_path(path: str) -> str:
    """Where a database is made before it takes the place of the one at `path`; by its name a leftover is known."""
    return f"{path}.new-{os.getpid()}"


def scratch(*, with_views: bool = True, spill: str | None = None) -> Connection:
    """An empty database in memory with the same tables, for records that are asked about but not kept.

    With `spill`, a folder or an empty text (see `spill_folder`), it takes no more memory than a question may. Its views of
    sessions take longer to make than all else of it.
    """
    connection = _connect(_OFFLINE if spill is None else _bounded(spill))
    make_tables(connection)
    if with_views:
        make_views(connection)
    prepare_loading(connection)
    return connection


def lock_down(connection: Connection) -> None:
    """Take files and network away from a connection that is about to run SQL of a user.

    Connections of one process to one file share their settings: another thread may have locked them a moment ago.
    """
    import duckdb

    try:
        run(connection, "SET enable_external_access = false; SET lock_configuration = true")
    except duckdb.InvalidInputException:
        locked = "SELECT current_setting('lock_configuration') AND NOT current_setting('enable_external_access')"
        if not run(connection, locked)[0][0]:
            raise


def make_tables(connection: Connection) -> None:
    """The tables of an archive, and the view `evidence`, in an empty database."""
    run(connection, sql("schema.sql"))
    about = [str(SCHEMA_VERSION), f"trailscan {__version__}"]
    run(connection, "INSERT INTO about VALUES ('schema_version', ?), ('made_by', ?)", about)


def make_views(connection: Connection) -> None:
    """The views of sessions and other doors, once the tables are there."""
    run(connection, sql("documents.sql") + view_macros() + sql("sessions.sql").replace("-- door_events", door_events()))


def prepare_loading(connection: Connection) -> None:
    """What parse.sql needs: UTC, its macros, and rows in any order, so that DuckDB writes them in parallel."""
    run(connection, "SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
    run(connection, parsing_macros() + sql("parse_macros.sql"))


def _connect(config: Config, path: str = ":memory:") -> Connection:
    import duckdb

    return duckdb.connect(path, read_only=path != ":memory:", config=config)


def _bounded(spill: str) -> Config:
    """The configuration of who asks: so much memory, and a folder for the rest where there is one."""
    threads = min(READ_THREADS, os.cpu_count() or 1)
    return _OFFLINE | {"threads": str(threads), "memory_limit": READ_MEMORY, "temp_directory": spill}


@contextlib.contextmanager
def bounds_named() -> Iterator[None]:
    """Say in our words that a question found too little room. Raises OutOfMemory."""
    import duckdb

    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        if isinstance(error, duckdb.IOException) and "duckdb_temp" not in str(error):
            raise
        message = f"the answer needs more room than the {READ_MEMORY} of memory and the folder for temporary files have"
        raise OutOfMemory(message, "set TMPDIR to a folder with more room, or ask for fewer events or columns") from error


def _attach(connection: Connection, path: str) -> None:
    run(connection, f"ATTACH {_quoted(path)} AS archive (ROW_GROUP_SIZE {ROW_GROUP}, STORAGE_VERSION 'v1.4.0')")
    run(connection, "USE archive")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _holder(error: Exception) -> str:
    """Who holds the file, as DuckDB's lock error tells it: `... held in /usr/bin/python3 (PID 4242)`."""
    found = re.search(r"held in (.+?) \(PID (\d+)\)", str(error))
    return f"process {found[2]} ({os.path.basename(found[1])})" if found else "another process"
