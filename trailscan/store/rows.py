"""Rows on their way into the tables, as Arrow: batches of raw records, objects, damage."""

from collections.abc import Sequence
from datetime import datetime

import orjson
from nanoarrow.c_array import CArray

from trailscan.archive.origin import Origin, naming_of
from trailscan.files.local_objects import FileState
from trailscan.records.batches import Batch
from trailscan.records.damage import FOREIGN, Damage
from trailscan.records.worker_pool import Outcome
from trailscan.store.arrow import Cells, Kinds, insert, rows_as_arrow
from trailscan.store.database import Connection, run, sql
from trailscan.store.raw_arrow import raw_batch

BATCH: Kinds = {"object_id": "integer", "record_index": "short", "record": "text"}
_OBJECTS: Kinds = {
    "object_id": "integer",
    **dict.fromkeys(("source", "bucket", "key", "path", "copy", "member"), "text"),
    "member_offset": "integer",
    **dict.fromkeys(("kind", "account_id", "region"), "text"),
    "delivered_at": "time",
    "bytes": "integer",
    "etag": "text",
    "version_id": "text",
    "last_modified": "time",
    "metadata": "text",
    "sha256": "text",
    "sha256_raw": "text",
    "fetched_at": "time",
    "loaded_at": "time",
    "only_events": "text",
    "records": "integer",
    "loaded": "integer",
    "status": "text",
    "shape": "text",
    "foreign_elements": "integer",
    "foreign_kind": "text",
}
_AROUND: Kinds = {
    "object_id": "integer",
    "record_index": "short",
    **dict.fromkeys(("account", "region", "time", "flag"), "text"),
}
_DAMAGE: Kinds = {"object_id": "integer", "record_index": "short", "what": "text", "where_bytes": "integer", "reason": "text"}


def as_arrow(batch: Batch) -> CArray:
    """A batch of raw records as `batch(object_id, record_index, record)`, without copying them."""
    return raw_batch(BATCH, batch.rows, [(batch.object_ids,), (batch.indexes,), (batch.offsets, batch.open_data())])


def object_row(outcome: Outcome, origin: Origin, loaded_at: datetime, only: Sequence[str] = ()) -> Cells:
    """The row of an object that was read."""
    return (
        *_origin_cells(outcome.object_id, origin),
        *_hashes(outcome, origin),
        origin.fetched_at,
        loaded_at,
        ",".join(only) or None,
        outcome.read,
        outcome.kept,
        outcome.status,
        outcome.shape,
        outcome.foreign,
        next((damage.reason for damage in outcome.damage if damage.what == FOREIGN), None),
    )


def _hashes(outcome: Outcome, origin: Origin) -> tuple[str | None, str | None]:
    """Both as they were recorded; those of altered bytes are nowhere kept for the object's."""
    is_other = outcome.status == "altered" or origin.sha256 not in {None, outcome.sha256}
    if is_other and outcome.sha256 is not None:
        return origin.sha256, origin.sha256_raw
    return origin.sha256 or outcome.sha256, origin.sha256_raw or outcome.sha256_raw


def unread_row(object_id: int, origin: Origin, status: str) -> Cells:
    """The row of an object that was not read: fetched only (status "fetched"), or not to be had (status "failed")."""
    return (
        *_origin_cells(object_id, origin),
        origin.sha256,
        origin.sha256_raw,
        origin.fetched_at,
        None,
        None,
        None,
        None,
        status,
        None,
        None,
        None,
    )


def insert_objects(connection: Connection, rows: list[Cells]) -> None:
    """Append to `objects`."""
    insert(connection, "objects", _OBJECTS, rows)


def fill_from_envelopes(connection: Connection, outcomes: Sequence[Outcome]) -> None:
    """Give rows just inserted what stands around their records, and not in them."""
    rows: list[Cells] = [
        (outcome.object_id, index, each.account, each.region, each.time, each.flag)
        for outcome in outcomes
        for index, each in outcome.envelopes.items()
    ]
    if not rows:
        return
    connection.register("around", rows_as_arrow(_AROUND, rows))
    run(connection, sql("envelopes.sql"))
    connection.unregister("around")


def insert_damage(connection: Connection, found: Sequence[tuple[int | None, Damage]]) -> None:
    """Append to `damage`, each with the object it was found in."""
    rows: list[Cells] = [(object_id, bad.record_index, bad.what, bad.where_bytes, bad.reason) for object_id, bad in found]
    insert(connection, "damage", _DAMAGE, rows)


def insert_containers(connection: Connection, states: dict[str, FileState]) -> None:
    """Note how tars and zips were when their members were read, in place of what was noted before; empties `states`."""
    noted = dict(states)
    for path, state in noted.items():
        run(connection, "INSERT OR REPLACE INTO containers VALUES (?, ?, ?)", [path, state.bytes, state.modified])
        del states[path]


def forget(connection: Connection, object_ids: list[int]) -> None:
    """Remove every row of these objects, which have been loaded anew under other ids."""
    if not object_ids:
        return
    for table in ("events", "damage", "verdicts", "objects"):
        run(connection, f"DELETE FROM {table} WHERE object_id IN (SELECT unnest(?))", [object_ids])


def mark_altered(connection: Connection, object_ids: list[int]) -> None:
    """Note of objects that are held that their bytes are others by now; what was loaded of them stays."""
    if object_ids:
        run(connection, "UPDATE objects SET status = 'altered' WHERE object_id IN (SELECT unnest(?))", [object_ids])


def _origin_cells(object_id: int, origin: Origin) -> Cells:
    naming = naming_of(origin.key)
    return (
        object_id,
        origin.source,
        origin.bucket,
        origin.key,
        origin.path,
        origin.copy,
        origin.member,
        origin.offset,
        naming.kind,
        naming.account_id,
        naming.region,
        naming.delivered_at,
        origin.bytes,
        origin.etag,
        origin.version_id,
        origin.last_modified,
        None if origin.metadata is None else orjson.dumps(origin.metadata).decode(),
    )
