"""Verdicts into the table `verdicts`: gathered in memory during verification, then laid down in one short transaction."""

from collections.abc import Sequence
from datetime import UTC, datetime

from trailscan.store.arrow import Kinds, insert, insert_arrow, reader
from trailscan.store.database import Connection, Database, run
from trailscan.store.file_check import FAILURES
from trailscan.store.verdict import Verdict

GATHERED = 10_000  # verdicts that are turned into Arrow at a time
_KINDS: Kinds = {
    **dict.fromkeys(("kind", "object", "status", "message"), "text"),
    "object_id": "integer",
    **dict.fromkeys(("account_id", "region", "trail"), "text"),
    "starts_at": "time",
    "ends_at": "time",
    "file_bytes": "integer",
    "file_modified": "integer",
}
# What was found invalid of times before the first parameter or after the second.
_OUTSIDE = f"""kind IN ('digest', 'log') AND status IN {FAILURES}
               AND coalesce(ends_at <= ?::TIMESTAMP OR coalesce(starts_at, ends_at) >= ?::TIMESTAMP, false)"""


class Gathering:
    """Takes verdicts as they fall; `connection` is to a database in memory with the tables of an archive."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: list[Verdict] = []

    def add(self, verdict: Verdict) -> None:
        """Take one."""
        self._waiting.append(verdict)
        if len(self._waiting) >= GATHERED:
            self.flush()

    def flush(self) -> None:
        """Write those taken to the table."""
        _insert(self._connection, self._waiting)
        self._waiting.clear()


def lay_down(
    connection: Connection, database: Database, since: datetime | None = None, until: datetime | None = None
) -> datetime:
    """Put the gathered verdicts in place of those an archive holds; gives the time that is noted as `verified_at`, UTC.

    `since` and `until` are the times whose digests were judged: what was found invalid of other times stays. Raises what
    Database.writing raises; the old verdicts stay then.
    """
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    with database.writing() as archive:
        run(archive, f"DELETE FROM verdicts WHERE NOT ({_OUTSIDE})", [since, until])
        insert_arrow(archive, "verdicts", reader(connection, "FROM verdicts"))
        _note(archive, {"verified_at": now, "verified_since": since, "verified_until": until})
    return now


def _note(connection: Connection, moments: dict[str, datetime | None]) -> None:
    for name, moment in moments.items():
        if moment is None:
            run(connection, "DELETE FROM about WHERE name = ?", [name])
        else:
            run(connection, "INSERT OR REPLACE INTO about VALUES (?, ?)", [name, f"{moment.isoformat()}Z"])


def _insert(connection: Connection, verdicts: Sequence[Verdict]) -> None:
    rows = [tuple(getattr(verdict, name) for name in _KINDS) for verdict in verdicts]
    insert(connection, "verdicts", _KINDS, rows)
