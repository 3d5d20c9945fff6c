"""Copies: the same event in several objects, as several trails deliver it. One is shown, all are kept.

Two rows are copies when account, event id and the whole content agree. Rows that share the id and differ are a conflict:
one of them is not what CloudTrail wrote, so every version stays in sight.
"""

from collections import Counter, defaultdict

from trailscan.store.copies import FINGERPRINT, meaning
from trailscan.store.database import Connection, run

Identity = tuple[str | None, str]

# A row's event, as a number: equal for equal events, NULL where there is no event id. A column of every `hit`.
EVENT_KEY = "CASE WHEN event_id IS NOT NULL THEN hash(recipient_account_id, event_id) END AS event_key"

# Rows of `hit` that may share their event's id, with a fingerprint of the content as the columns hold it.
_TWINS = f"""
CREATE OR REPLACE TEMP TABLE twin AS
  WITH shared AS (SELECT event_key FROM hit WHERE event_key IS NOT NULL GROUP BY event_key HAVING count(*) > 1),
  rows AS (SELECT row_id FROM hit WHERE event_key IN (SELECT event_key FROM shared))
  SELECT rowid AS row_id, object_id, record_index, recipient_account_id, event_id,
         {FINGERPRINT} AS fingerprint
  FROM events WHERE rowid IN (SELECT row_id FROM rows)
"""
_HIDE = """
INSERT INTO hidden
  SELECT row_id FROM twin
  QUALIFY row_number() OVER (PARTITION BY recipient_account_id, event_id, fingerprint ORDER BY object_id, record_index) > 1
"""
_CONFLICTS = """
SELECT events.* EXCLUDE (object_id, record_index, flags), events.rowid
FROM events
WHERE rowid IN (SELECT row_id FROM twin
                WHERE row_id NOT IN (SELECT row_id FROM hidden)
                QUALIFY count(*) OVER (PARTITION BY recipient_account_id, event_id) > 1)
ORDER BY object_id, record_index
"""


def hide_copies(connection: Connection) -> int:
    """Put all but one of each event's copies from `hit` into `hidden`; returns the number of events in conflict."""
    run(connection, _TWINS)
    run(connection, _HIDE)
    versions = _versions(connection)
    rewritten = [row_id for rows in versions.values() for row_id in rows[1:]]
    if rewritten:
        run(connection, "INSERT INTO hidden SELECT unnest(?)", [rewritten])
    events = Counter(identity for identity, _ in versions)
    return sum(1 for number in events.values() if number > 1)


def _versions(connection: Connection) -> dict[tuple[Identity, bytes], list[int]]:
    """The rows that look like conflicts, by event and meaning: tools that rewrite JSON order its keys in their own way."""
    result = connection.execute(_CONFLICTS)
    names = [name for name, *_ in result.description]
    account, event = names.index("recipient_account_id"), names.index("event_id")
    versions: dict[tuple[Identity, bytes], list[int]] = defaultdict(list)
    while rows := result.fetchmany(1000):
        for row in rows:
            versions[(row[account], row[event]), meaning(row[:-1])].append(row[-1])
    return versions
