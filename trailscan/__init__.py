"""trailscan: from CloudTrail's objects in S3 to who opened a Session Manager shell, offline and with proof.

>>> import trailscan
>>> case = trailscan.Archive("case-17")
>>> for session in case.sessions(since="2026-03-01").rows():
...     print(session["started_at"], session["who"], session["target"])

The names below are brought when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from trailscan.version import __version__

if TYPE_CHECKING:
    from trailscan.api import Archive, scan
    from trailscan.progress import Progress
    from trailscan.result_set import ResultSet, SearchScope

_ERRORS = (
    "ArchiveBusy", "ArchiveError", "BundleError", "CredentialsError", "DatabaseError", "ExitCode", "MissingExtra", "NoArchive",
    "NotReachable", "SchemaMismatch", "SourceError", "TrailscanError", "UnsafeKey", "UsageError",
)  # fmt: skip
_HOMES = {
    "Archive": "trailscan.api",
    "scan": "trailscan.api",
    "ResultSet": "trailscan.result_set",
    "SearchScope": "trailscan.result_set",
    "Progress": "trailscan.progress",
} | dict.fromkeys(_ERRORS, "trailscan.errors")

__all__ = ["Archive", "Progress", "ResultSet", "SearchScope", "__version__", "scan", *_ERRORS]  # noqa: PLE0604 - all texts


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
