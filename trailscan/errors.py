"""Every way trailscan fails: one class a cause, which carries the exit code; its message says what, where, what to do.

    TrailscanError                     1  the command could not do its work
    ├── UsageError                     2  the command line asks for something that cannot be
    ├── ArchiveError                   1  the archive's folder or database cannot be used
    │   ├── NoArchive                  1  there is none where it was looked for
    │   ├── ArchiveBusy                1  another process holds it
    │   └── SchemaMismatch             1  it was written by an older or newer trailscan
    ├── SourceError                    1  a bucket, file or folder cannot be listed or read at all
    │   ├── CredentialsError           1  AWS refused who we are
    │   └── NotReachable               1  the endpoint did not answer
    ├── BundleError                    4  a bundle is cut short or altered
    └── UnsafeKey                      1  an object key that must not become a path

Damage in the input is never one of these: it is a value (`trailscan.records.damage.Damage`), a row and exit code 3.
"""

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


class ArchiveError(TrailscanError):
    """The archive's folder or database cannot be used."""


class NoArchive(ArchiveError):
    """There is no archive where it was looked for."""


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
