"""What rules found, and whom it is still to be told: the tables `findings` and `notices`.

A finding is stored once, whoever found it, and a notice is owed until it was sent; neither is ever made of the objects
anew, so a rebuilt database takes both over from the one before. It knows neither rules nor how anything is sent.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from arro3.core import Table

from trailscan.store.arrow import Kinds
from trailscan.store.database import Connection, run

LONGEST_ERROR = 500  # characters of it that are kept
_TEXTS = ("finding_id", "rule_id", "title", "level", "author", "tags", "language", "note", "account_id", "event_id")
KINDS: Kinds = {
    **dict.fromkeys(_TEXTS, "text"),
    "event_time": "time",
    "bucket": "text",
    "key": "text",
    "record_index": "short",
    "found_at": "time",
}
# The event that each finding cites: by event id, and where several rows have it or none, by place.
_CITED = """
WITH wanted AS (SELECT * FROM findings WHERE finding_id IN (SELECT unnest(?::VARCHAR[]))),
     candidate AS (
       SELECT w.*, e.object_id, e.record_index AS place, e.row_id, e.bucket AS e_bucket, e.key AS e_key
       FROM wanted w JOIN evidence e ON e.event_id = w.event_id
       WHERE e.recipient_account_id IS NOT DISTINCT FROM w.account_id
       UNION ALL
       SELECT w.*, e.object_id, e.record_index, e.row_id, e.bucket, e.key
       FROM wanted w JOIN evidence e ON e.key = w.key AND e.record_index = w.record_index
       WHERE w.event_id IS NULL AND e.event_id IS NULL AND e.bucket IS NOT DISTINCT FROM w.bucket
     )
SELECT finding_id, row_id FROM candidate
QUALIFY row_number() OVER (
  PARTITION BY finding_id
  ORDER BY (e_bucket IS NOT DISTINCT FROM bucket AND e_key = key AND place = record_index) DESC, object_id DESC, place) = 1
"""
_COLUMNS = ", ".join(KINDS)
_KNOWN_SINCE = "notifier:"  # in `about`, before a notifier's name: when it was first to be told anything
_DETECTED = "detected"  # in `about`: what was looked at last, and by which rules


class Finding(msgspec.Struct, frozen=True):
    """A row of `findings`: what the rule says of itself, and the event to cite. Times are naive UTC."""

    finding_id: str
    rule_id: str
    title: str
    level: str
    author: str | None
    tags: str | None
    language: str
    note: str | None
    account_id: str | None
    event_id: str | None
    event_time: datetime | None
    bucket: str | None
    key: str | None
    record_index: int | None
    found_at: datetime


class Notice(msgspec.Struct, frozen=True):
    """A finding that is to be told, how often that was tried, and why the last try failed.

    `event` is the cited row of the view `evidence` by column name: who, when, from where, and where the original record
    lies (`restore.record_of` gives the record). None when it is no longer loaded.
    """

    finding: Finding
    attempts: int
    last_error: str | None
    event: Mapping[str, object] | None


def add(connection: Connection, found: Table, notifiers: Sequence[str] = (), since: datetime | None = None) -> list[str]:
    """Store the findings not stored before, with a notice to each notifier; returns their ids.

    `found` has the columns of KINDS. A notifier that was never given before hears only of events from `since` on, and of
    those without a time. To be called within one transaction of a Database.writing().
    """
    connection.register("fresh", found)
    newly = "SELECT DISTINCT ON (finding_id) fresh.* FROM fresh ANTI JOIN findings USING (finding_id)"
    run(connection, f"CREATE OR REPLACE TEMP TABLE newly AS {newly}")
    connection.unregister("fresh")
    run(connection, "INSERT INTO findings BY NAME FROM newly")
    for notifier in dict.fromkeys(notifiers):
        earliest = since if known_since(connection, notifier) is None else None
        owed = (
            "SELECT finding_id, ?, NULL, 0, NULL FROM newly WHERE event_time IS NULL OR event_time >= coalesce(?, event_time)"
        )
        run(connection, f"INSERT INTO notices {owed}", [notifier, earliest])
        run(connection, "INSERT OR IGNORE INTO about VALUES (?, ?)", [f"{_KNOWN_SINCE}{notifier}", _now().isoformat()])
    return [finding_id for (finding_id,) in run(connection, "SELECT finding_id FROM newly")]


def known_since(connection: Connection, notifier: str) -> datetime | None:
    """When a notifier was first given, naive UTC; None when it never was."""
    found = run(connection, "SELECT value FROM about WHERE name = ?", [f"{_KNOWN_SINCE}{notifier}"])
    return datetime.fromisoformat(found[0][0]) if found else None


def overheard(connection: Connection, notifier: str, rule_ids: Sequence[str]) -> list[str]:
    """Findings of these rules that others stored since the notifier is known, as `detect` by hand does: it was never told."""
    known = known_since(connection, notifier)
    if known is None:
        return []
    missed = """SELECT finding_id FROM findings WHERE found_at >= ? AND rule_id IN (SELECT unnest(?::VARCHAR[]))
                AND finding_id NOT IN (SELECT finding_id FROM notices WHERE notifier = ?)"""
    return [finding_id for (finding_id,) in run(connection, missed, [known, list(rule_ids), notifier])]


def owe(connection: Connection, notifier: str, finding_ids: Sequence[str]) -> None:
    """Note that a notifier is still to be told of these findings."""
    owed = "SELECT unnest(?::VARCHAR[]), ?, NULL, 0, NULL"
    run(connection, f"INSERT OR IGNORE INTO notices {owed}", [list(finding_ids), notifier])


def unsent(connection: Connection, notifier: str, limit: int = 100) -> list[Notice]:
    """What a notifier is still to be told, each with the event it cites; what was tried least comes first, then by time."""
    rows = run(
        connection,
        f"""SELECT attempts, last_error, {_COLUMNS} FROM notices JOIN findings USING (finding_id)
            WHERE notifier = ? AND sent_at IS NULL ORDER BY attempts, event_time, found_at, finding_id LIMIT {limit:d}""",
        [notifier],
    )
    events = _events(connection, [row[2] for row in rows])
    return [Notice(Finding(*row[2:]), row[0], row[1], events.get(row[2])) for row in rows]


def mark_sent(connection: Connection, finding_id: str, notifier: str, error: str | None = None) -> None:
    """Note a try to tell: that it was told, or with an error, of which no part may be secret, that it is still to be told."""
    sent_at = _now() if error is None else None
    kept = None if error is None else error[:LONGEST_ERROR].encode("utf-8", "backslashreplace").decode("utf-8")
    tried = "UPDATE notices SET sent_at = ?, attempts = attempts + 1, last_error = ? WHERE finding_id = ? AND notifier = ?"
    run(connection, tried, [sent_at, kept, finding_id, notifier])


def findings_of(found: Table, finding_ids: Sequence[str]) -> list[Finding]:
    """Those of a table of findings that have these ids."""
    wanted = set(finding_ids)
    columns = [column.to_pylist() for column in found.columns]
    rows = (dict(zip(found.column_names, row, strict=True)) for row in zip(*columns, strict=True))
    return [Finding(**row) for row in rows if row["finding_id"] in wanted]


def detection_mark(connection: Connection, fingerprint: str) -> str:
    """What would be looked at now, by rules of this fingerprint: another text as soon as either is another."""
    return f"{fingerprint} {run(connection, 'SELECT coalesce(max(object_id), 0) FROM objects')[0][0]}"


def detected_mark(connection: Connection) -> str | None:
    """The mark that was set last."""
    found = run(connection, "SELECT value FROM about WHERE name = ?", [_DETECTED])
    return str(found[0][0]) if found else None


def set_detected_mark(connection: Connection, mark: str) -> None:
    """Note what was looked at, so that nobody looks again until there is something else."""
    run(connection, "INSERT OR REPLACE INTO about VALUES (?, ?)", [_DETECTED, mark])


def _events(connection: Connection, finding_ids: Sequence[str]) -> dict[str, dict[str, object]]:
    """The cited rows of `evidence`, by finding: by event id, and where several rows have it or none, by place."""
    if not finding_ids:
        return {}
    cited: dict[str, int] = dict(run(connection, _CITED, [list(finding_ids)]))
    rows = ", ".join(str(int(row_id)) for row_id in cited.values()) or "NULL"  # constants, so that only their rows are read
    result = connection.execute(f"SELECT * FROM evidence WHERE row_id IN ({rows})")
    names = [name for name, *_ in result.description]
    found = {row[names.index("row_id")]: dict(zip(names, row, strict=True)) for row in result.fetchall()}
    return {finding_id: found[row_id] for finding_id, row_id in cited.items()}


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
