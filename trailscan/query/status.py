"""What an archive holds, as tables: by bucket, account, region and kind; its damage, thing by thing; and facts about it."""

from collections.abc import Iterable

from trailscan.query.table import Column, Table
from trailscan.query.tables import table_of
from trailscan.store.database import Connection, run

_HELD = """
SELECT coalesce(bucket, source) AS source, account_id, region, kind, count(*) AS objects, sum(bytes)::BIGINT AS bytes,
       coalesce(sum(loaded) FILTER (NOT is_copy), 0)::BIGINT AS events,
       min(delivered_at) AS first_delivered, max(delivered_at) AS last_delivered,
       (count(*) FILTER (status IN ('partial', 'damaged', 'altered')))::BIGINT AS damaged,
       (count(*) FILTER (status = 'not-cloudtrail'))::BIGINT AS not_cloudtrail,
       (count(*) FILTER (status = 'failed'))::BIGINT AS failed,
       (count(*) FILTER (status = 'fetched'))::BIGINT AS not_loaded
FROM (SELECT *, object_id IN (FROM copied_files()) AS is_copy FROM objects) GROUP BY ALL ORDER BY ALL
"""
_DAMAGE = """
SELECT what, coalesce(bucket, source) AS source, key, record_index, where_bytes, reason, id, dismissed
FROM flaws ORDER BY dismissed IS NOT NULL, what, source, key, record_index, where_bytes
"""
_VERDICTS = "SELECT kind, status, count(*) FROM verdicts GROUP BY kind, status ORDER BY kind, count(*) DESC, status"


def held_table(connection: Connection) -> Table:
    """Objects, bytes and events by source, account, region and kind."""
    return table_of(connection.execute(_HELD))


def damage_table(connection: Connection) -> Table:
    """Every damage and every foreign object, with its id, and why it was dismissed where it was."""
    return table_of(connection.execute(_DAMAGE))


def facts_table(facts: Iterable[tuple[str, str]]) -> Table:
    """Facts about an archive, a row each: columns fact and value."""
    return Table((Column("fact", "text"), Column("value", "text")), iter([list(facts)]))


def verified_at(connection: Connection) -> str | None:
    """When `verify` last ran, as it wrote it down; None when it never did."""
    found = run(connection, "SELECT value FROM about WHERE name = 'verified_at'")
    return str(found[0][0]) if found else None


def verdict_counts(connection: Connection) -> list[tuple[str, str, int]]:
    """How many verdicts there are of each kind and status, the most first."""
    return [(kind, status, number) for kind, status, number in run(connection, _VERDICTS)]


def stored_bytes(connection: Connection) -> int:
    """The bytes of all objects that are held, as stored."""
    return int(run(connection, "SELECT coalesce(sum(bytes), 0)::BIGINT FROM objects WHERE status <> 'failed'")[0][0])


def digests_held(connection: Connection) -> int:
    """How many digest objects are held."""
    return int(run(connection, "SELECT count(*) FROM objects WHERE kind = 'digest' AND status <> 'failed'")[0][0])
