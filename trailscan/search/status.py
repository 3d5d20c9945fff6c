"""What an archive holds, as tables: by bucket, account, region and kind; and its damage, thing by thing."""

from trailscan.search.table import Table
from trailscan.search.tables import table_of
from trailscan.store.database import Connection

_HELD = """
SELECT coalesce(bucket, source) AS source, account_id, region, kind, count(*) AS objects, sum(bytes)::BIGINT AS bytes,
       coalesce(sum(loaded), 0)::BIGINT AS events, min(delivered_at) AS first_delivered, max(delivered_at) AS last_delivered,
       (count(*) FILTER (status IN ('partial', 'damaged')))::BIGINT AS damaged,
       (count(*) FILTER (status = 'failed'))::BIGINT AS failed,
       (count(*) FILTER (status = 'fetched'))::BIGINT AS not_loaded
FROM objects GROUP BY ALL ORDER BY ALL
"""
_DAMAGE = """
SELECT what, coalesce(objects.bucket, objects.source) AS source, objects.key, record_index, where_bytes, reason
FROM damage LEFT JOIN objects USING (object_id) ORDER BY what, source, key, record_index, where_bytes
"""


def held_table(connection: Connection) -> Table:
    """Objects, bytes and events by source, account, region and kind."""
    return table_of(connection.execute(_HELD))


def damage_table(connection: Connection) -> Table:
    """Every row of `damage`, with the object it was found in."""
    return table_of(connection.execute(_DAMAGE))
