"""DuckDB's errors about its file, in our words: a disk that refuses is one thing, a file that is spoilt another.

What else DuckDB objects to, as a condition of a user's that it cannot compute, passes through as it is.
"""

import contextlib
import errno
import os
from collections.abc import Iterator

from trailscan.errors import ArchiveError

REPAIR = "make it anew from the archive's objects: `trailscan rebuild`"
FULL = "free some space there and run the same command again; what was committed before is kept"

_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EMFILE)


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
            raise _in_words(path, error) from error
        raise


def refusal(error: Exception) -> str | None:
    """What the operating system said, where that is why DuckDB failed: `No space left on device`."""
    text = str(error)
    return next((said for number in _REFUSALS if (said := os.strerror(number)) in text), None)


def first_line(error: Exception) -> str:
    """The part of DuckDB's message that is for people."""
    return str(error).partition("\n")[0]


def _in_words(path: str, error: Exception) -> ArchiveError:
    said = refusal(error)
    if said is not None:
        hint = FULL if said in {os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT)} else "check the disk and the permissions"
        return ArchiveError(f"{path} cannot be read or written: {said}", hint)
    return ArchiveError(f"{path} is corrupt: {first_line(error)}", REPAIR)
