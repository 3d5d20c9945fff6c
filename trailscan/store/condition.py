"""In what condition an archive is, for the last line of every answer: verified when, with what result, and whole or not.

A verdict belongs to a state of its object: one that was loaded again, or has its recorded bytes again, is not spoken of.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.store.archive_stats import manifest_mark
from trailscan.store.backlog import not_loaded
from trailscan.store.custody_mark import remembered
from trailscan.store.database import Connection, run
from trailscan.store.file_check import FAILURES, Files, Looking
from trailscan.store.verdict import UNCHECKED, names_of

_ABOUT = "SELECT name, value FROM about WHERE name IN ('verified_at', 'verified_since', 'verified_until')"
_COUNTS = f"""SELECT count(*) FILTER (kind = 'archive' AND object_id IS NOT NULL),
              count(*) FILTER (status IN {names_of(UNCHECKED)}) FROM verdicts"""
_FAILED = f"""
SELECT count(*) FROM verdicts v
WHERE status IN {FAILURES} AND CASE
  WHEN object_id IS NOT NULL THEN object_id IN (SELECT object_id FROM objects) AND NOT list_contains(?::BIGINT[], object_id)
  ELSE NOT (starts_with(status, 'MISSING') AND object IN (
    SELECT 's3://' || bucket || '/' || key FROM objects WHERE status <> 'failed' AND bucket IS NOT NULL)) END
"""


class Verified(msgspec.Struct, frozen=True):
    """The last `verify`: when, of digests of which times (ISO 8601, None: all), of how many objects, and what it found.

    `failures` counts what is invalid or missing, `unchecked` what could not be checked.
    """

    at: str
    since: str | None
    until: str | None
    objects: int
    failures: int
    unchecked: int


class Condition(msgspec.Struct, frozen=True):
    """`not_loaded` counts objects that were fetched and are not in the database, `lacking` bytes that the manifest lost.

    `is_log_short` where the custody log lacks a line that the database remembers.
    """

    verified: Verified | None = None
    files: Files = Files()
    not_loaded: int = 0
    lacking: int = 0
    is_log_short: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether nothing is known to be altered, gone, invalid or left out."""
        failures = self.verified.failures if self.verified else 0
        bad = failures or self.files.gone or self.files.altered
        return not (bad or self.not_loaded or self.lacking or self.is_log_short)


class Inspection:
    """Looks at the archive while a question is answered; `condition` ends that."""

    def __init__(self, connection: Connection, archive: ArchiveFolder) -> None:
        self._connection = connection
        self._archive = archive
        self._looking = Looking(connection.cursor(), archive.place)

    def condition(self) -> Condition:
        """In what condition the archive is."""
        connection = self._connection
        objects = int(run(connection, "SELECT count(*) FROM objects WHERE status <> 'failed'")[0][0])
        files = self._looking.found(objects)
        lacking = max(0, manifest_mark(connection) - self._archive.manifest_size())
        behind, is_short = not_loaded(connection, self._archive), _is_log_short(connection, self._archive)
        return Condition(_verified(connection, files), files, behind, lacking, is_short)

    def end(self) -> None:
        """Stop looking."""
        self._looking.stop()


@contextmanager
def inspecting(connection: Connection, archive: ArchiveFolder) -> Iterator[Inspection]:
    """Look at the archive's files from now on, beside what is asked of the same database."""
    inspection = Inspection(connection, archive)
    try:
        yield inspection
    finally:
        inspection.end()


def _is_log_short(connection: Connection, archive: ArchiveFolder) -> bool:
    known = remembered(connection)
    try:
        return known is not None and not CustodyLog(archive).holds(known)
    except OSError:
        return True


def _verified(connection: Connection, files: Files) -> Verified | None:
    about: dict[str, str] = dict(run(connection, _ABOUT))
    if "verified_at" not in about:
        return None
    failures = run(connection, _FAILED, [list(files.restored)])[0][0]
    objects, unchecked = run(connection, _COUNTS)[0]
    since, until = about.get("verified_since"), about.get("verified_until")
    return Verified(about["verified_at"], since, until, objects, failures, unchecked)
