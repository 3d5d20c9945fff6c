"""A database that was made beside another takes its place: proven first, on the disk whole, in one step.

At each moment the archive has the old database or the new one. No write-ahead log is left beside either: DuckDB would
replay the log of the old database into the new one, or refuse to open it.
"""

import contextlib
import os
import shutil
from collections.abc import Mapping

from trailscan.errors import ArchiveBusy, ArchiveError
from trailscan.store.database import Database, run

LOGS = (".wal", ".wal.checkpoint", ".wal.recovery")  # what DuckDB 2.0 names its logs, after the database


def swap_in(fresh: Database, old: Database, expected: Mapping[str, int]) -> str | None:
    """Put `fresh` in the place of `old` once it was opened anew and its tables have the expected numbers of rows.

    Returns under which name a folder was kept that stood in the database's place. Raises ArchiveError when the new database
    does not hold what it should or the disk refuses, ArchiveBusy when another process holds the old one; the old one is as
    it was then.
    """
    _prove(fresh, expected)
    try:
        _to_disk(fresh.path)
        moved = _clear(old)
        os.replace(fresh.path, old.path)
        _to_disk(os.path.dirname(old.path))
    except OSError as error:
        raise ArchiveError(f"{old.path} cannot be replaced: {error.strerror}", "the old database is as it was") from error
    return moved


def wipe(path: str) -> None:
    """Remove a database and its logs, as far as they are there."""
    for name in (path, *(f"{path}{ending}" for ending in LOGS)):
        with contextlib.suppress(FileNotFoundError):
            if os.path.isdir(name) and not os.path.islink(name):
                shutil.rmtree(name)
            else:
                os.remove(name)


def logs_beside(path: str) -> list[str]:
    """The write-ahead logs beside a database."""
    return [name for ending in LOGS if os.path.lexists(name := f"{path}{ending}")]


def _prove(fresh: Database, expected: Mapping[str, int]) -> None:
    if logs := logs_beside(fresh.path):
        raise ArchiveError(f"the new database is not whole: {os.path.basename(logs[0])} is left beside it", "is the disk full?")
    with fresh.reading() as connection:
        for table, wanted in expected.items():
            found = run(connection, f"SELECT count(*) FROM {table}")[0][0]
            if found != wanted:
                raise ArchiveError(
                    f"the new database is not whole: {found:,} rows in {table}, not {wanted:,}", "the old database is as it was"
                )


def _clear(old: Database) -> str | None:
    """Leave nothing beside the old database that would be taken for a part of the new one; a folder is moved aside."""
    if os.path.isdir(old.path):
        aside = next(name for number in range(1, 1_000_000) if not os.path.lexists(name := f"{old.path}.aside-{number}"))
        os.rename(old.path, aside)
        return aside
    if logs_beside(old.path):
        _fold(old)
        _to_disk(os.path.dirname(old.path))
    return None


def _fold(old: Database) -> None:
    """A log that belongs to the old database is folded into it; one that is of no use is removed."""
    if old.exists() and not _is_spoilt(old):
        old.fold()
    for name in logs_beside(old.path):
        if os.path.isdir(name) and not os.path.islink(name):
            shutil.rmtree(name)
        else:
            os.remove(name)


def _is_spoilt(old: Database) -> bool:
    try:
        with old.salvaging({}):
            return False
    except ArchiveBusy:
        raise
    except ArchiveError:
        return True


def _to_disk(path: str) -> None:
    """Return when a file, or the names in a folder, are on the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
