"""Verdicts into the table `verdicts`: gathered in memory during verification, then laid down in one short transaction."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa

from trailscan.evidence.verdict import Verdict
from trailscan.store.database import Connection, Database, run
from trailscan.store.files import FAILURES

GATHERED = 10_000  # verdicts that are turned into Arrow at a time
_TEXTS = ("kind", "object", "status", "message")
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in _TEXTS),
        ("object_id", pa.int64()),
        *((name, pa.string()) for name in ("account_id", "region", "trail")),
        ("starts_at", pa.timestamp("us")),
        ("ends_at", pa.timestamp("us")),
        ("file_bytes", pa.int64()),
        ("file_modified", pa.int64()),
    ]
)
_PORTION = 100_000  # rows
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
        archive.register("fresh", connection.sql("FROM verdicts").to_arrow_reader(_PORTION))
        run(archive, "INSERT INTO verdicts BY NAME SELECT * FROM fresh")
        archive.unregister("fresh")
        _note(archive, {"verified_at": now, "verified_since": since, "verified_until": until})
    return now


def _note(connection: Connection, moments: dict[str, datetime | None]) -> None:
    for name, moment in moments.items():
        if moment is None:
            run(connection, "DELETE FROM about WHERE name = ?", [name])
        else:
            run(connection, "INSERT OR REPLACE INTO about VALUES (?, ?)", [name, f"{moment.isoformat()}Z"])


def _insert(connection: Connection, verdicts: Sequence[Verdict]) -> None:
    if not verdicts:
        return
    columns = [[getattr(verdict, name) for verdict in verdicts] for name in _SCHEMA.names]
    columns[2] = [str(status) for status in columns[2]]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, _SCHEMA.types, strict=True)]
    connection.register("fresh", pa.table(arrays, schema=_SCHEMA))
    run(connection, "INSERT INTO verdicts BY NAME SELECT * FROM fresh")
    connection.unregister("fresh")
