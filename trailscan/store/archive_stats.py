"""What the database holds, asked by those who add to it and by those who say what an answer rests on."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

import msgspec
import orjson

from trailscan.archive.origin import Origin, name_of, state_of
from trailscan.fingerprints import FingerprintIndex
from trailscan.records.csv_tables import SUMMARIES
from trailscan.store.database import Connection, run

_ORIGIN = """source, bucket, key, path, bytes, member, member_offset, etag, version_id, last_modified, metadata, sha256,
             fetched_at, changed, sha256_raw, copy, object_id"""
_KNOWN = """(SELECT *, object_id IN (SELECT object_id FROM damage WHERE what = 'changed') AS changed FROM objects)"""
_ORIGIN_FIELDS = [name.strip() for name in _ORIGIN.replace("member_offset", "offset").split(",")]

_DISMISSES = "SELECT count(*) > 0 FROM dismissals"
_FLAWED_AT_ALL = """(SELECT count(DISTINCT coalesce(object_id, -1)) FROM damage WHERE what <> 'repaired'),
                    (SELECT count(*) FROM damage),
                    count(*) FILTER (foreign_kind IS NOT NULL), 0"""
_FLAWED = """(SELECT count(DISTINCT coalesce(object_id, -1)) FROM flaws
              WHERE what NOT IN ('not-cloudtrail', 'repaired') AND dismissed IS NULL),
             (SELECT count(*) FROM flaws WHERE what <> 'not-cloudtrail' AND dismissed IS NULL),
             (SELECT count(*) FROM flaws WHERE what = 'not-cloudtrail' AND dismissed IS NULL),
             (SELECT count(*) FROM flaws WHERE dismissed IS NOT NULL)"""


class ArchiveStats(msgspec.Struct, frozen=True):
    """Counts of an archive; times are UTC, None when there is nothing."""

    objects: int
    damaged: int  # objects that `damage` names, and nobody dismissed
    damage: int  # rows of it
    foreign: int  # objects with something that is not CloudTrail, and that nobody dismissed
    summaries: int  # events that came without request and response
    dismissed: int  # rows of `flaws` that a person set aside
    failed: int  # objects that could not be fetched
    unloaded: int  # fetched, not loaded
    events: int
    first_event: datetime | None
    last_event: datetime | None
    only: tuple[str, ...]  # the sets of names that some objects were loaded with, or asked for with, `--only`


def archive_stats(connection: Connection) -> ArchiveStats:
    """Count what is held."""
    counted = run(
        connection,
        f"""SELECT count(*) FILTER (status NOT IN ('failed')),
                  coalesce(sum(loaded) FILTER (shape = '{SUMMARIES}'), 0)::BIGINT,
                  {_FLAWED if run(connection, _DISMISSES)[0][0] else _FLAWED_AT_ALL},
                  count(*) FILTER (status = 'failed'), count(*) FILTER (status = 'fetched'),
                  (SELECT count(*) FROM events) - (SELECT coalesce(sum(loaded), 0)::BIGINT FROM objects
                                                   WHERE object_id IN (FROM copied_files())),
                  (SELECT min(event_time) FROM events), (SELECT max(event_time) FROM events),
                  coalesce(list(DISTINCT only_events) FILTER (only_events IS NOT NULL), []),
                  coalesce(list(DISTINCT regexp_extract(key, '/EventName=([^/]+)/', 1))
                             FILTER (source = 'event-history' AND only_events IS NULL AND contains(key, '/EventName=')), [])
           FROM objects""",
    )
    objects, summaries, damaged, damage, foreign, dismissed, failed, unloaded, events, first, last, only, asked = counted[0]
    named = tuple(sorted({*only, *asked}))
    return ArchiveStats(
        objects, damaged, damage, foreign, summaries, dismissed, failed, unloaded, events, first, last, named
    )  # fmt: skip


def next_object_id(connection: Connection) -> int:
    """The first id that no object has."""
    return int(run(connection, "SELECT coalesce(max(object_id), 0) + 1 FROM objects")[0][0])


def held(connection: Connection, more: Iterable[Origin] = (), keys: Sequence[str] | None = None) -> FingerprintIndex:
    """The objects that are held, whether or not they are loaded, and some more; those that could not be had are not.

    With `keys`, only of those: who asks for a few need not wait for millions.
    """
    return FingerprintIndex((name_of(origin), state_of(origin)) for origin in chain(_named(connection, keys), more))


def unread(connection: Connection, only: Sequence[str]) -> Iterator[tuple[Origin, int]]:
    """Objects that are held and must be loaded (again), with their ids: never loaded, or with fewer names than asked for."""
    narrower = "only_events IS NOT NULL"
    if only:
        narrower += " AND NOT list_has_all(string_split(only_events, ','), ?::VARCHAR[])"
    return _origins(connection, f"status = 'fetched' OR ({narrower})", [list(only)] if only else [])


def never_loaded(connection: Connection) -> Iterator[tuple[Origin, int]]:
    """Objects that the database knows as fetched and not loaded, with their ids."""
    return _origins(connection, "status = 'fetched'", [])


def files_below(connection: Connection, path: str) -> list[tuple[Origin, int]]:
    """The files that are held of this path or below it, where they were loaded from and stay, with their ids."""
    below = path.rstrip("/\\")
    condition = "source = 'file' AND copy IS NULL AND (path IN (?, ?) OR starts_with(path, ?) OR starts_with(path, ?))"
    return list(_origins(connection, condition, [path, below, f"{below}/", f"{below}\\"]))


def unread_ids(connection: Connection) -> set[int]:
    """The objects whose bytes could not be read when they were to be loaded."""
    return {number for (number,) in run(connection, "SELECT object_id FROM damage WHERE what = 'unreadable'")}


def strays(connection: Connection) -> dict[str, int]:
    """The objects that were found with no line of the manifest: path -> id."""
    found = "SELECT path, object_id FROM objects WHERE object_id IN (SELECT object_id FROM damage WHERE what = 'stray')"
    return dict(run(connection, found))


def altered(connection: Connection) -> int:
    """How many objects do not have the bytes that were recorded."""
    return int(run(connection, "SELECT count(*) FROM objects WHERE status = 'altered'")[0][0])


def contents_of_files(connection: Connection) -> FingerprintIndex:
    """The files that are held, by name and by SHA-256 in place of their state."""
    rows = run(
        connection, "SELECT path, coalesce(member, ''), sha256 FROM objects WHERE source = 'file' AND sha256 IS NOT NULL"
    )
    return FingerprintIndex((f"{path}!{member}", sha256) for path, member, sha256 in rows)


def names_loaded(connection: Connection) -> list[str]:
    """The names that some objects were loaded with, `--only`."""
    found = run(connection, "SELECT DISTINCT unnest(string_split(only_events, ',')) AS name FROM objects ORDER BY name")
    return [name for (name,) in found]


def failed_ids(connection: Connection) -> dict[str, int]:
    """The objects that could not be had so far, by name."""
    return {name_of(origin): number for origin, number in _origins(connection, "status = 'failed'", [])}


def suspects(connection: Connection) -> FingerprintIndex:
    """Names of objects from buckets whose bytes the last verification, or a load, found to be others than were recorded."""
    found = run(
        connection,
        """SELECT bucket, key FROM objects WHERE source = 's3' AND (status = 'altered'
             OR object_id IN (SELECT object_id FROM verdicts WHERE status = 'INVALID_HASH')
             OR object_id IN (SELECT object_id FROM damage WHERE what = 'altered'))""",
    )
    return FingerprintIndex((f"s3://{bucket}/{key}", "") for bucket, key in found)


def has_odd_listing(connection: Connection) -> bool:
    """Whether `damage` names a listing that was not as S3 makes it."""
    return bool(run(connection, "SELECT 1 FROM damage WHERE what = 'listing' LIMIT 1"))


def manifest_mark(connection: Connection) -> int:
    """Up to which byte the manifest's objects are known to be in the database."""
    found = run(connection, "SELECT value FROM about WHERE name = 'manifest_mark'")
    return int(found[0][0]) if found else 0


def set_manifest_mark(connection: Connection, mark: int) -> None:
    """Note that every object of the manifest before this byte is in the database."""
    run(connection, "INSERT OR REPLACE INTO about VALUES ('manifest_mark', ?)", [str(mark)])


def _named(connection: Connection, keys: Sequence[str] | None) -> Iterator[Origin]:
    """What is held, as far as names and states are made of it: there may be millions."""
    named = """SELECT source, key, path, bytes, member, bucket, etag, CASE WHEN coalesce(etag, '') = '' THEN last_modified END
               FROM objects WHERE status <> 'failed'"""
    if keys is not None:
        named += " AND key IN (SELECT unnest(?::VARCHAR[]))"
    result = connection.execute(named, [] if keys is None else [list(keys)])
    while rows := result.fetchmany(10_000):
        for source, key, path, size, member, bucket, etag, last_modified in rows:
            yield Origin(source, key, path, size, member, None, bucket, etag, None, last_modified)


def _origins(connection: Connection, condition: str, parameters: list[object]) -> Iterator[tuple[Origin, int]]:
    result = connection.execute(f"SELECT {_ORIGIN} FROM {_KNOWN} WHERE {condition} ORDER BY object_id", parameters)
    while rows := result.fetchmany(1000):
        for row in rows:
            cells = dict(zip(_ORIGIN_FIELDS, row, strict=True))
            object_id, metadata = cells.pop("object_id"), cells.pop("metadata")
            yield Origin(**cells, metadata=None if metadata is None else orjson.loads(metadata)), object_id
