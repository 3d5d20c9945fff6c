"""The objects an archive holds, for who must look at each of them; the file is open only for a portion at a time."""

from collections.abc import Iterator
from datetime import datetime

import msgspec
import orjson

from trailscan.archive.origin import Origin
from trailscan.fingerprints import FingerprintIndex
from trailscan.store.archive_stats import held
from trailscan.store.database import Connection, Database, Row, run
from trailscan.verify.object_check import StoredObject

PORTION = 20_000  # objects

_COLUMNS = """object_id, source, bucket, key, path, bytes, member, member_offset, etag, version_id, last_modified, metadata,
              sha256, fetched_at, copy, status, account_id, region, delivered_at, kind"""
_IS_DIGEST = "(kind = 'digest' OR shape = 'digest') IS TRUE"
_PORTION = f"""SELECT {_COLUMNS}, {_IS_DIGEST} FROM objects
               WHERE object_id > ? AND status <> 'failed' AND {_IS_DIGEST} = ? ORDER BY object_id LIMIT {PORTION}"""


def kept_digests(database: Database, after: int = -1) -> Iterator[StoredObject]:
    """The digests that are held, past an object's id; also what lies among the logs and was recognised when it was read."""
    return _kept(database, True, after)


def kept_logs(database: Database) -> Iterator[StoredObject]:
    """All other objects that are held."""
    return _kept(database, False)


class ArchiveSnapshot(msgspec.Struct, frozen=True):
    """What the database knows as a whole: its objects, those it failed to fetch, and each bucket's times of delivery."""

    known: FingerprintIndex
    failed: frozenset[tuple[str, str]]
    spans: dict[str, tuple[datetime, datetime]]


def archive_snapshot(database: Database) -> ArchiveSnapshot:
    """Ask for all of it at once, since to open the file takes as long as to ask."""
    failed = "SELECT bucket, key FROM objects WHERE status = 'failed' AND bucket IS NOT NULL"
    with database.reading() as connection:
        known = held(connection)
        return ArchiveSnapshot(known, frozenset((row[0], row[1]) for row in run(connection, failed)), spans_of(connection))


def spans_of(connection: Connection) -> dict[str, tuple[datetime, datetime]]:
    """From when to when objects that are held of each bucket were delivered."""
    span = "SELECT bucket, min(delivered_at), max(delivered_at) FROM objects WHERE status <> 'failed' GROUP BY bucket"
    return {bucket: (first, last) for bucket, first, last in run(connection, span) if bucket and first}


def _kept(database: Database, digests: bool, last: int = -1) -> Iterator[StoredObject]:
    while True:
        with database.reading() as connection:
            rows = run(connection, _PORTION, [last, digests])
        yield from map(_of, rows)
        if len(rows) < PORTION:
            return
        last = rows[-1][0]


def _of(row: Row) -> StoredObject:
    (
        object_id,
        source,
        bucket,
        key,
        path,
        size,
        member,
        offset,
        etag,
        version,
        modified,
        metadata,
        sha256,
        fetched,
        copy,
        state,
        *more,
    ) = row
    account, region, delivered_at, kind, is_digest = more
    origin = Origin(
        source, key, path, size, member, offset, bucket, etag, version, modified,
        None if metadata is None else orjson.loads(metadata), sha256, fetched, copy=copy,
    )  # fmt: skip
    is_log = kind == "log" and not is_digest
    return StoredObject(object_id, origin, account, region, delivered_at, is_digest, is_log, state == "altered")
