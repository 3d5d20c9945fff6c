"""DuckDB's errors about its file and its memory, in our words: a disk that refuses is one thing, a file that is spoilt another.

What else DuckDB objects to, as a condition of a user's that it cannot compute, passes through as it is.
"""

import contextlib
import errno
import os
from collections.abc import Iterator

from trailscan.errors import DatabaseError, OutOfMemory, TrailscanError, of_system

REPAIR = "make it anew from the archive's objects: `trailscan rebuild`"
_LESS = "close other programs, or ask for less: --since, --until, --columns, --limit"

_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EMFILE)
_OF_THE_FILE = frozenset({"Error", "IOException", "FatalException", "InternalException", "SerializationException"})


@contextlib.contextmanager
def translated(path: str) -> Iterator[None]:
    """Raise ArchiveError for an error of DuckDB's that means the file at `path`, or the disk below it."""
    import duckdb

    spoilt = (duckdb.IOException, duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException)
    try:
        yield
    except duckdb.Error as error:
        # What DuckDB has no class of its own for comes as its base class: a wrong checksum among it.
        refused = isinstance(error, duckdb.TransactionException) and refusal(error) is not None
        if refused or isinstance(error, spoilt) or type(error) is duckdb.Error:
            raise of_file(path, error) from error
        raise


def refusal(error: BaseException) -> str | None:
    """What the operating system said, where that is why DuckDB failed: `No space left on device`."""
    number = _refused(error)
    return None if number is None else os.strerror(number)


def first_line(error: BaseException) -> str:
    """The part of DuckDB's message that is for people."""
    return str(error).partition("\n")[0]


def of_file(path: str, error: BaseException) -> TrailscanError:
    """An error about the file at `path`: what the system refused, or that the file is spoilt."""
    return _refusal_of(path, error) or DatabaseError(f"{path} is corrupt: {first_line(error)}", REPAIR)


def of_opening(path: str, error: BaseException) -> TrailscanError:
    """An error while the file at `path` is opened: what the system refused, or that it is no database."""
    return _refusal_of(path, error) or DatabaseError(f"{path} is not a usable database: {first_line(error)}", REPAIR)


def of_duckdb(error: BaseException) -> TrailscanError | None:
    """Any error of DuckDB's about its file or its memory; None for all others. Does not load DuckDB."""
    if type(error).__module__ not in {"duckdb", "_duckdb"}:
        return None
    if type(error).__name__ == "OutOfMemoryException":
        return OutOfMemory(f"the database ran out of memory: {first_line(error)}", _LESS)
    if type(error).__name__ in _OF_THE_FILE or refusal(error):
        return of_file("the database", error)
    return None


def _refusal_of(path: str, error: BaseException) -> TrailscanError | None:
    number = _refused(error)
    return None if number is None else of_system(OSError(number, os.strerror(number)), "cannot read or write", path)


def _refused(error: BaseException) -> int | None:
    text = str(error)
    return next((number for number in _REFUSALS if os.strerror(number) in text), None)
