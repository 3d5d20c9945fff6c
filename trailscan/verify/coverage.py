"""What is held and what is missing, account by region by day or hour of delivery: every cell gets a state.

The time of a cell is that of delivery, as the names of objects tell it, since that is what digests speak of; only hits
are counted where their event happened. It knows nothing of accounts and regions of which no object is held.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from trailscan.errors import UsageError
from trailscan.glob import like
from trailscan.query.table import Table
from trailscan.query.tables import table_of
from trailscan.store.database import Connection, run
from trailscan.store.verdict import GONE, INVALID, names_of
from trailscan.verify.delivered_logs import CHAIN, DIGEST_NAME, JUDGED, DigestSummary, summarize
from trailscan.verify.digest_chain import Covered

Unit = Literal["day", "hour"]

# The states, told apart in this order.
MISSING = "missing"
DAMAGED = "damaged"
HELD = "held"
HELD_IN_PART = "held, digests in part"
HELD_UNSEEN = "held, no digest"
EMPTY = "empty"
EMPTY_IN_PART = "empty, digests in part"
UNKNOWN = "unknown"
STATES = (HELD, HELD_IN_PART, HELD_UNSEEN, EMPTY, EMPTY_IN_PART, MISSING, DAMAGED, UNKNOWN)

BORN = datetime(2013, 11, 1)  # noqa: DTZ001 - naive UTC; AWS announced CloudTrail on 13 November 2013
MOST_CELLS = 20_000_000
_DIGESTED = timedelta(hours=1)  # the time that a digest speaks of before it is delivered


class CoverageScope(msgspec.Struct, frozen=True):
    """What is asked for; empty tuples ask for everything, texts may hold `*`, times are naive UTC."""

    now: datetime
    unit: Unit = "day"
    since: datetime | None = None
    until: datetime | None = None
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


class Coverage(msgspec.Struct, frozen=True):
    """The cells, and what no cell can show."""

    table: Table
    hearing: DigestSummary
    unplaced: int  # objects whose names do not tell account, region and a possible time of delivery
    missing_digests: int  # digests among the missing; each reaches into all cells of the time it may speak of
    digest_reaches: int  # cells into which they reach
    unasked_digests: int  # digests that others name and that nothing ever asked for
    missing_outside: int  # delivered at times that are not shown; 0 where the times were asked for
    hits_outside: int
    silent: tuple[tuple[str, str, datetime], ...]  # account, region and last delivery, where it ends a day before the archive


def coverage(
    connection: Connection, scope: CoverageScope, place: Callable[[str], str], covered: Covered = lambda _place, _at: True
) -> Coverage:
    """Lay out the cells: a row for each account, region and day (or hour), in this order.

    Columns: account_id, region, starts_at, state, objects (logs held), records (read of them), digests (held), named
    (logs that digests name), missing, damaged, hits, first_event, last_event, digested_minutes (of the cell's 1,440 or 60).
    `place` turns a stored path into one on this disk, `covered` tells what was asked for. The connection is busy until the
    table was read.
    Raises UsageError where there would be more cells than anybody can read.
    """
    _find_deliveries(connection, scope)
    _find_spans(connection, scope)
    hearing = summarize(connection, place)
    _find_missing(connection)
    unasked = _find_missing_digests(connection, covered)
    _find_hits(connection, scope)
    run(connection, _REACHES.format(unit=scope.unit))
    run(connection, _CELLS.format(unit=scope.unit))
    missing_outside, hits_outside, missing_digests, reaches = run(connection, _OUTSIDE)[0]
    return Coverage(
        hearing=hearing,
        unplaced=_unplaced(connection, scope),
        missing_digests=missing_digests,
        digest_reaches=reaches,
        unasked_digests=unasked,
        missing_outside=missing_outside if scope.since is None and scope.until is None else 0,
        hits_outside=hits_outside,
        silent=tuple(run(connection, _SILENT)) if scope.until is None else (),
        table=table_of(connection.execute(_TABLE)),
    )


def _find_deliveries(connection: Connection, scope: CoverageScope) -> None:
    """The logs and digests asked for, in `delivery`, each with the start of its cell."""
    wanted, parameters = _wanted({"account_id": scope.accounts, "region": scope.regions})
    statement = _DELIVERIES.format(unit=scope.unit, wanted=wanted)
    run(connection, statement, [BORN, scope.now + timedelta(days=1), *parameters])


def _find_spans(connection: Connection, scope: CoverageScope) -> None:
    """From when to when each account and region is shown, in `span`: the starts of its first and last cell."""
    run(connection, _SPANS.format(unit=scope.unit), [scope.since, _DIGESTED, scope.until])
    number = run(connection, _NUMBER_OF_CELLS.format(unit=scope.unit))[0][0]
    if number > MOST_CELLS:
        raise UsageError(f"that would be {number:,} cells", "narrow it with --since, --until, --account or --region")


def _find_missing(connection: Connection) -> None:
    """The logs that are not held though a digest names them or a listing showed them, in `absent`.

    A log is held under its bucket and key. Files that were loaded from elsewhere have no bucket, and copies of a whole
    bucket another one: these are known by their names, which CloudTrail makes unique.
    """
    run(connection, _ABSENT)
    if run(connection, "SELECT count(*) FROM absent")[0][0]:
        run(connection, _FOUND_BY_NAME)
    run(connection, _NOT_FETCHED)


def _find_missing_digests(connection: Connection, covered: Covered) -> int:
    """The digests that others name as the one before and that are not held, in `lost_digest`, from the end of the last one
    of their chain that is held; gives how many more were never asked for: nobody knows whether they are missing.
    """
    run(connection, _LOST_DIGESTS)
    missing, unasked = list[tuple[object, ...]](), 0
    for account, region, bucket, key, ends_at, found_bucket, found_key, starts_at in run(connection, _UNHELD_DIGESTS):
        was_asked = starts_at is not None if found_bucket is None else covered((found_bucket, found_key), ends_at)
        if was_asked:
            missing.append((account, region, bucket, key, starts_at, ends_at))
        else:
            unasked += 1
    if missing:
        columns = [list(column) for column in zip(*missing, strict=True)]
        kinds = ("VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR", "TIMESTAMP", "TIMESTAMP")
        unnested = ", ".join(f"unnest(?::{kind}[])" for kind in kinds)
        run(connection, f"INSERT INTO lost_digest SELECT {unnested}", columns)
    return unasked


def _find_hits(connection: Connection, scope: CoverageScope) -> None:
    """The events asked for, counted by cell in `hit`; an event counts once in it, however many copies of it are held."""
    wanted = " OR ".join("event_name LIKE ? ESCAPE '\\'" for _ in scope.events) or "false"
    run(connection, _HITS.format(unit=scope.unit, wanted=wanted), [like(name) for name in scope.events])


def _unplaced(connection: Connection, scope: CoverageScope) -> int:
    return int(run(connection, _UNPLACED, [BORN, scope.now + timedelta(days=1)])[0][0])


def _wanted(asked: Mapping[str, Sequence[str]]) -> tuple[str, list[str]]:
    """A condition over columns, each of which must match one of its texts if it has any, and its parameters."""
    tests = [" OR ".join(f"{column} LIKE ? ESCAPE '\\'" for _ in texts) for column, texts in asked.items() if texts]
    return " AND ".join(f"({test})" for test in tests) or "true", [like(text) for texts in asked.values() for text in texts]


_POSSIBLE = "account_id IS NOT NULL AND region IS NOT NULL AND delivered_at BETWEEN ? AND ?"
# A digest belongs to the time it speaks of: one delivered at midnight to the day before.
_DELIVERIES = f"""
CREATE OR REPLACE TEMP TABLE delivery AS
  WITH distrusted AS (
    SELECT object_id, bool_or(status IN {names_of(GONE)}) AS gone FROM ({JUDGED})
    WHERE status IN {names_of(INVALID)} AND kind IN ('log', 'archive') GROUP BY object_id
  )
  SELECT object_id, account_id, region, delivered_at, kind = 'digest' AS is_digest,
         date_trunc('{{unit}}', if(kind = 'digest', delivered_at - INTERVAL 1 SECOND, delivered_at)) AS starts_at,
         status = 'failed' OR coalesce(gone, false) AS failed, records,
         status IN ('partial', 'damaged', 'altered') OR (gone IS NOT NULL AND kind <> 'digest')
           OR object_id IN (SELECT object_id FROM damage WHERE what <> 'repaired') AS damaged
  FROM objects LEFT JOIN distrusted USING (object_id) WHERE kind IN ('log', 'digest') AND {_POSSIBLE} AND {{wanted}}
"""
_UNPLACED = (
    "SELECT count(*) FROM objects WHERE kind = 'event-history' OR "
    f"(coalesce(kind, 'log') IN ('log', 'digest') AND NOT coalesce({_POSSIBLE}, false))"
)
_SPANS = """
CREATE OR REPLACE TEMP TABLE span AS
  SELECT account_id, region, max(delivered_at) AS last_delivery,
         date_trunc('{unit}', coalesce(?::TIMESTAMP, min(if(is_digest, delivered_at - ?, delivered_at)))) AS first,
         coalesce(date_trunc('{unit}', ?::TIMESTAMP - INTERVAL 1 MICROSECOND), max(starts_at)) AS last,
         last + INTERVAL 1 {unit} AS beyond
  FROM delivery GROUP BY ALL
"""
_NUMBER_OF_CELLS = "SELECT coalesce(sum(greatest(date_diff('{unit}', first, beyond), 0)), 0)::BIGINT FROM span"
_ABSENT = """
CREATE OR REPLACE TEMP TABLE absent AS
  SELECT DISTINCT * FROM named
  WHERE NOT EXISTS (FROM objects o WHERE o.bucket = named.bucket AND o.key = named.key AND o.status <> 'failed')
"""
_STEM = r"regexp_extract({}, '([^/\\!.]+)[^/\\!]*$', 1)"  # the name, without its folders and endings
_FOUND_BY_NAME = f"""
DELETE FROM absent
WHERE {_STEM.format("key")} IN (SELECT {_STEM.format("key")} FROM objects WHERE bucket IS NULL AND status <> 'failed')
   OR (bucket NOT IN (SELECT bucket FROM objects WHERE bucket IS NOT NULL)
       AND {_STEM.format("key")} IN (SELECT {_STEM.format("key")} FROM objects WHERE status <> 'failed'))
"""
_NOT_FETCHED = """
INSERT INTO absent
  SELECT account_id, region, bucket, key, d.delivered_at
  FROM delivery d JOIN objects USING (object_id, account_id, region)
  WHERE d.failed AND NOT EXISTS (FROM absent a WHERE a.bucket = objects.bucket AND a.key = objects.key)
"""
# A digest that others name is held where CloudTrail delivered it, or beside the copy that names it; in files, and where the
# bucket that it was delivered to is not held, it is known by its name.
_UNHELD_DIGESTS = f"""
WITH digests AS MATERIALIZED (
  SELECT bucket, key, delivered_at, {DIGEST_NAME.format("key")} AS name, {CHAIN.format("key")} AS chain
  FROM objects WHERE kind = 'digest' AND status <> 'failed'
), unheld AS (
  SELECT account_id, region, bucket, key, min(delivered_at) AS ends_at,
         max((found_bucket, found_key)) FILTER (found_bucket IS NOT NULL) AS found,
         {DIGEST_NAME.format("key")} AS name, {CHAIN.format("key")} AS chain
  FROM previous p
  WHERE NOT EXISTS (FROM digests d WHERE (d.bucket = p.bucket AND d.key = p.key)
                                         OR (d.bucket = p.found_bucket AND d.key = p.found_key))
  GROUP BY account_id, region, bucket, key
)
SELECT account_id, region, bucket, key, ends_at, found[1], found[2],
       (SELECT max(d.delivered_at) FROM digests d WHERE d.chain = unheld.chain AND d.delivered_at < ends_at)
FROM unheld
WHERE name = '' OR NOT EXISTS (
  FROM digests d
  WHERE d.name = unheld.name
        AND (d.bucket IS NULL OR unheld.bucket NOT IN (SELECT bucket FROM digests WHERE bucket IS NOT NULL)))
ORDER BY ALL
"""
# The cells that a missing digest may speak of: from the end of the last one held, or from the first cell where none is.
_REACHES = """
CREATE OR REPLACE TEMP TABLE reach AS
  SELECT account_id, region, starts_at, bucket, key
  FROM (SELECT account_id, region, unnest(generate_series(first, last, INTERVAL 1 {unit})) AS starts_at FROM span)
       JOIN lost_digest USING (account_id, region)
  WHERE starts_at < ends_at AND (since IS NULL OR since < starts_at + INTERVAL 1 {unit})
"""
_LOST_DIGESTS = """
CREATE OR REPLACE TEMP TABLE lost_digest (account_id VARCHAR, region VARCHAR, bucket VARCHAR, key VARCHAR, since TIMESTAMP,
                                          ends_at TIMESTAMP)
"""
_HITS = """
CREATE OR REPLACE TEMP TABLE hit AS
  SELECT account_id, region, date_trunc('{unit}', event_time) AS starts_at,
         count(DISTINCT coalesce(event_id, object_id || ' ' || record_index)) AS hits
  FROM events JOIN delivery USING (object_id) WHERE {wanted} GROUP BY ALL
"""
# Windows of digests overlap where several trails deliver: they are merged, and then measured against each cell.
_CELLS = """
CREATE OR REPLACE TEMP TABLE cell AS
  WITH place AS (
    SELECT account_id, region, unnest(generate_series(first, last, INTERVAL 1 {unit})) AS starts_at FROM span
  ), held AS (
    SELECT account_id, region, starts_at, count(*) FILTER (NOT is_digest AND NOT failed) AS objects,
           sum(records) FILTER (NOT is_digest) AS records, count(*) FILTER (is_digest AND NOT failed) AS digests,
           count(*) FILTER (NOT failed AND (damaged OR object_id IN (SELECT object_id FROM unreadable))) AS damaged
    FROM delivery GROUP BY ALL
  ), sworn AS (
    SELECT account_id, region, date_trunc('{unit}', delivered_at) AS starts_at, count(DISTINCT (bucket, key)) AS named
    FROM named GROUP BY ALL
  ), lost AS (
    SELECT account_id, region, date_trunc('{unit}', delivered_at) AS starts_at, count(*) AS missing FROM absent GROUP BY ALL
  ), unsaid AS (
    SELECT account_id, region, starts_at, count(*) AS lost_digests FROM reach GROUP BY ALL
  ), happened AS (
    SELECT account_id, region, starts_at, min(event_time) AS first_event, max(event_time) AS last_event
    FROM events JOIN delivery USING (object_id) GROUP BY ALL
  ), reached AS (
    SELECT *, max(ends_at) OVER (PARTITION BY account_id, region ORDER BY starts_at, ends_at
                                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM said
  ), islands AS (
    SELECT *, count(*) FILTER (before IS NULL OR starts_at > before)
                OVER (PARTITION BY account_id, region ORDER BY starts_at, ends_at) AS island
    FROM reached
  ), stretches AS (
    SELECT account_id, region, min(starts_at) AS from_time, max(ends_at) AS to_time
    FROM islands GROUP BY account_id, region, island
  ), digested AS (
    SELECT account_id, region, starts_at,
           sum(epoch(least(to_time, starts_at + INTERVAL 1 {unit}) - greatest(from_time, starts_at))) AS seconds
    FROM place JOIN stretches USING (account_id, region)
    WHERE from_time < starts_at + INTERVAL 1 {unit} AND to_time > starts_at
    GROUP BY ALL
  )
  SELECT account_id, region, starts_at, coalesce(objects, 0) AS objects, coalesce(records, 0)::BIGINT AS records,
         coalesce(digests, 0) AS digests, coalesce(named, 0) AS named,
         coalesce(missing, 0) AS missing, coalesce(lost_digests, 0) AS lost_digests,
         coalesce(damaged, 0) AS damaged, coalesce(hits, 0) AS hits, first_event, last_event,
         floor(coalesce(seconds, 0) / 60)::BIGINT AS digested_minutes,
         coalesce(seconds, 0) >= epoch(INTERVAL 1 {unit}) AS whole
  FROM place LEFT JOIN held USING (account_id, region, starts_at) LEFT JOIN sworn USING (account_id, region, starts_at)
       LEFT JOIN lost USING (account_id, region, starts_at) LEFT JOIN hit USING (account_id, region, starts_at)
       LEFT JOIN happened USING (account_id, region, starts_at) LEFT JOIN digested USING (account_id, region, starts_at)
       LEFT JOIN unsaid USING (account_id, region, starts_at)
"""
_TABLE = f"""
SELECT account_id, region, starts_at,
       CASE WHEN missing + lost_digests > 0 THEN '{MISSING}'
            WHEN damaged > 0 THEN '{DAMAGED}'
            WHEN objects > 0 AND whole THEN '{HELD}'
            WHEN objects > 0 AND digested_minutes > 0 THEN '{HELD_IN_PART}'
            WHEN objects > 0 THEN '{HELD_UNSEEN}'
            WHEN whole THEN '{EMPTY}'
            WHEN digested_minutes > 0 THEN '{EMPTY_IN_PART}'
            ELSE '{UNKNOWN}' END AS state,
       objects, records, digests, named, missing + lost_digests AS missing, damaged, hits, first_event, last_event,
       digested_minutes
FROM cell ORDER BY account_id, region, starts_at
"""
_OUTSIDE = """
SELECT (SELECT count(*) FROM absent) - (SELECT coalesce(sum(missing), 0) FROM cell)::BIGINT,
       ((SELECT coalesce(sum(hits), 0) FROM hit) - (SELECT coalesce(sum(hits), 0) FROM cell))::BIGINT,
       (SELECT count(DISTINCT (bucket, key)) FROM reach), (SELECT count(*) FROM reach)
"""
_SILENT = """
SELECT account_id, region, last_delivery FROM span
WHERE last_delivery < (SELECT max(last_delivery) FROM span) - INTERVAL 1 DAY ORDER BY ALL
"""
