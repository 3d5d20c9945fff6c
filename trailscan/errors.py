"""Every way trailscan fails: one class a cause, which carries the exit code; its message says what, where, what to do.

    TrailscanError                     1  the command could not do its work
    ├── UsageError                     2  the command line asks for something that cannot be
    │   └── MissingExtra               2  it takes a library that is not installed
    ├── ArchiveError                   1  the archive's folder or database cannot be used
    │   ├── NoArchive                  1  there is none where it was looked for
    │   │   └── NoDatabase             1  its objects are there, its database is not
    │   ├── NotLoaded                  1  its database does not hold all that was fetched
    │   ├── DatabaseError              1  DuckDB cannot read or write the database
    │   ├── ArchiveBusy                1  another process holds it
    │   ├── SchemaMismatch             1  it was written by an older or newer trailscan
    │   └── SystemFault                1  the operating system refused, for none of the reasons below
    │       ├── ReadOnly               1  the disk, or its mount, cannot be written
    │       ├── Forbidden              1  this user may not read or write it
    │       ├── DiskFull               1  no space is left, or the quota is used up
    │       └── DiskFailure            1  the disk reports an error
    ├── OutOfMemory                    1  there was not enough memory, or a process was killed, as for want of it
    ├── OutputError                    1  the answer cannot be written: stdout or the file of -o
    │   └── ReaderGone                 1  who read stdout has closed it, as `head` does: nothing is said
    ├── SourceError                    1  a bucket, file or folder cannot be listed or read at all
    │   ├── CredentialsError           1  AWS refused who we are
    │   └── NotReachable               1  the endpoint did not answer
    ├── BundleError                    4  a bundle is cut short or altered
    └── UnsafeKey                      1  an object key that must not become a path

Damage in the input is never one of these: it is a value (`trailscan.records.damage.Damage`), a row and exit code 3.
"""

import errno
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says to the shell; a contract (see `trailscan --help`)."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    DAMAGED = 3
    NOT_VERIFIED = 4


class TrailscanError(Exception):
    """Base of all; `hint` says what to do about it, in the imperative."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(TrailscanError, ValueError):
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.USAGE


class MissingExtra(UsageError):
    """What is asked for takes a library that this installation lacks; the hint names the extra that brings it."""


class ArchiveError(TrailscanError):
    """The archive's folder or database cannot be used."""


class NoArchive(ArchiveError):
    """There is no archive where it was looked for."""


class NoDatabase(NoArchive):
    """The archive's folder is there, and its database is not."""


class NotLoaded(ArchiveError):
    """The database does not hold all that was fetched, so it must not stand for the whole."""


class DatabaseError(ArchiveError):
    """DuckDB cannot read or write the database."""


class ArchiveBusy(ArchiveError):
    """Another process holds the archive or its database."""


class SchemaMismatch(ArchiveError):
    """The database was written by an older or newer trailscan."""


class SourceError(TrailscanError):
    """A bucket, file or folder cannot be listed or read at all."""


class CredentialsError(SourceError):
    """AWS refused who we are: none, expired, or not allowed."""


class NotReachable(SourceError):
    """The endpoint did not answer."""


class BundleError(TrailscanError):
    """A bundle is cut short or altered, or was not made by `trailscan pack`."""

    exit_code = ExitCode.NOT_VERIFIED


class UnsafeKey(TrailscanError, ValueError):
    """An object key that must not become a path on this disk."""


class SystemFault(ArchiveError):
    """The operating system refused."""


class ReadOnly(SystemFault):
    """The disk, or the way it is mounted, cannot be written."""


class Forbidden(SystemFault):
    """This user may not read or write a file or folder."""


class DiskFull(SystemFault):
    """No space is left on a disk, or the quota is used up."""


class DiskFailure(SystemFault):
    """The disk itself reports an error."""


class OutOfMemory(TrailscanError):
    """There was not enough memory, or a process of ours was killed, as the system does for want of it."""


class OutputError(TrailscanError):
    """The answer cannot be written to stdout or to the file of `-o`."""


class ReaderGone(OutputError):
    """Who read stdout has closed it, as `head` does once it has enough: that is no news, so nothing is said."""


_CAUSES: dict[int, tuple[type[TrailscanError], str]] = {
    errno.EROFS: (ReadOnly, "reading commands work there; to write, copy the archive to a disk that can be written"),
    errno.EACCES: (Forbidden, "ask whoever owns it for the right, or run as another user"),
    errno.EPERM: (Forbidden, "ask whoever owns it for the right, or run as another user"),
    errno.ENOSPC: (DiskFull, "make room and run the same command again: what was committed is kept"),
    errno.EDQUOT: (DiskFull, "make room and run the same command again: what was committed is kept"),
    errno.EIO: (DiskFailure, "copy what can be read to another disk, and verify the copy: `trailscan verify`"),
    errno.ENOMEM: (OutOfMemory, "close other programs, or use a machine with more memory"),
}


def of_system(error: OSError, doing: str = "cannot use", name: str = "") -> TrailscanError:
    """What the operating system refused, as one of ours; `name` is of the file, where the error does not tell it."""
    kind, hint = _CAUSES.get(error.errno or 0, (SystemFault, ""))
    name = name or str(error.filename or "")
    about = f"{doing} {name}" if name else "the system refused"
    return kind(f"{about}: {error.strerror or error}", hint)
