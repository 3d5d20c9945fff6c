"""What the digests of an archive say was delivered: their windows, the logs and the digests they name, as temporary tables.

A digest that `verify` found invalid says nothing. One that it could not verify proves nothing, but what it names and what is
not held is missing all the same; digests that were never verified are believed.
Source: AWS CloudTrail User Guide, "CloudTrail digest file structure".
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import msgspec

from trailscan.archive.origin import naming_of
from trailscan.cloudtrail.digest_file import Digest, FormatError, parse_digest
from trailscan.errors import SourceError
from trailscan.files.folder import read_bytes
from trailscan.files.local_objects import LocalObject
from trailscan.records.inflate import inflate
from trailscan.store.database import Connection, run
from trailscan.store.verdict import INVALID, UNCHECKED, UNKNOWN_KEY, names_of
from trailscan.verify.s3_location import Place, beside, could_be, name_in, tail_of

_LARGEST = 256 << 20  # bytes of an inflated digest: half a million logs in an hour
_NEXT = 3  # digests of a chain that are read after the time asked for: one may be unreadable
_BATCH = 50_000  # logs that are handed to DuckDB together

_TABLES = """
CREATE OR REPLACE TEMP TABLE said (account_id VARCHAR, region VARCHAR, starts_at TIMESTAMP, ends_at TIMESTAMP);
CREATE OR REPLACE TEMP TABLE named (account_id VARCHAR, region VARCHAR, bucket VARCHAR, key VARCHAR, delivered_at TIMESTAMP);
CREATE OR REPLACE TEMP TABLE previous (account_id VARCHAR, region VARCHAR, bucket VARCHAR, key VARCHAR, delivered_at TIMESTAMP,
                                       found_bucket VARCHAR, found_key VARCHAR);
CREATE OR REPLACE TEMP TABLE unreadable (object_id BIGINT)
"""
# What names a digest whatever folder it lies in and however it was saved, and the same without its time.
DIGEST_NAME = r"regexp_extract({}, '(\d{{12}}_CloudTrail-Digest_[^/\\!]*_\d{{8}}T\d{{6}}Z(_backfill)?)[^/\\!]*$', 1)"
CHAIN = rf"regexp_replace({DIGEST_NAME}, '_\d{{{{8}}}}T\d{{{{6}}}}Z', '')"
JUDGED = """
  SELECT v.object_id, v.kind, v.status, v.message FROM verdicts v JOIN objects o ON o.object_id = v.object_id
  WHERE o.fetched_at IS NULL OR coalesce(o.fetched_at <= (SELECT value::TIMESTAMP FROM about WHERE name = 'verified_at'), true)
"""
"""Verdicts on what is held now: those on an object that was fetched again since say nothing of it."""

# A digest is delivered when its window ends, so those that name a cell's last logs come up to some hours after it. Of each
# chain the next ones are read, too: where the last digests of the time asked for are gone, they name them.
_DIGESTS = f"""
WITH judged AS (
  SELECT object_id, bool_or(status IN {names_of(INVALID)}) AS invalid,
         bool_or(status IN ({", ".join(f"'{name}'" for name in names_of(UNCHECKED))}) OR contains(message, '{UNKNOWN_KEY}'))
           AS unchecked,
         bool_or(kind = 'digest' AND status = 'VALID') AS valid
  FROM ({JUDGED}) WHERE kind IN ('digest', 'archive') GROUP BY object_id
)
SELECT object_id, account_id, region, coalesce('s3://' || bucket || '/', '') || key AS name, path, member, member_offset, bytes,
       bucket, key, coalesce(invalid, false), coalesce(unchecked, false), coalesce(valid, false),
       delivered_at > beyond + INTERVAL 2 HOUR AS later
FROM objects JOIN span USING (account_id, region) LEFT JOIN judged USING (object_id)
WHERE kind = 'digest' AND status <> 'failed' AND delivered_at >= first
QUALIFY NOT later OR row_number() OVER (PARTITION BY account_id, region, {CHAIN.format("key")}, later
                                        ORDER BY delivered_at, object_id) <= {_NEXT}
ORDER BY object_id
"""


class DigestSummary(msgspec.Struct, frozen=True):
    """How many digests were read, how many of them were never verified, and those that prove nothing."""

    read: int
    unverified: int
    invalid: int  # by `verify`
    unchecked: int  # `verify` lacked what it takes
    unreadable: tuple[tuple[str, str], ...]  # name and reason


class _Held(msgspec.Struct, frozen=True):
    """A digest that is held."""

    object_id: int
    account_id: str
    region: str
    name: str
    path: str
    member: str | None
    offset: int | None
    bytes: int
    bucket: str | None
    key: str
    invalid: bool
    unchecked: bool
    valid: bool
    later: bool  # than the time asked for

    @property
    def counts(self) -> bool:
        """Whether its word counts for the time asked for."""
        return not (self.invalid or self.unchecked or self.later)

    def expected(self, digest: Digest, place: Place) -> Place:
        """Where what it names should lie: where CloudTrail delivered it, or beside the copy that this one is."""
        if self.bucket is None or (self.bucket, self.key) == (digest.bucket, digest.key):
            return place
        return beside((self.bucket, self.key), place)


def summarize(connection: Connection, place: Callable[[str], str]) -> DigestSummary:
    """Read the digests within the temporary table `span` into the tables `said`, `named`, `previous` and `unreadable`.

    `place` turns a stored path into one on this disk. Account and region are those of the digest's key.
    """
    run(connection, _TABLES)
    digests = [_Held(*row) for row in run(connection, _DIGESTS)]
    heard = [held for held in digests if not held.invalid]
    unreadable: list[tuple[_Held, str]] = []
    for batch in _batches(_readable(heard, place, unreadable)):
        _keep(connection, batch)
    unreadable = [(held, reason) for held, reason in unreadable if held.counts]
    run(connection, "INSERT INTO unreadable SELECT unnest(?::BIGINT[])", [[held.object_id for held, _ in unreadable]])
    counted = [held for held in heard if held.counts]
    return DigestSummary(
        read=len(counted) - len(unreadable),
        unverified=sum(not held.valid for held in counted) - sum(not held.valid for held, _ in unreadable),
        invalid=sum(held.invalid and not held.later for held in digests),
        unchecked=sum(held.unchecked and not held.later for held in heard),
        unreadable=tuple((held.name, reason) for held, reason in unreadable),
    )


def _readable(
    digests: list[_Held], place: Callable[[str], str], unreadable: list[tuple[_Held, str]]
) -> Iterator[tuple[_Held, Digest]]:
    for held in digests:
        try:
            yield held, _read(held, place)
        except (SourceError, FormatError) as error:
            unreadable.append((held, error.message))


def _read(held: _Held, place: Callable[[str], str]) -> Digest:
    """Raises SourceError when its bytes are not to be had, FormatError when they are damaged or no digest."""
    stored = read_bytes(LocalObject(place(held.path), "", held.bytes, 0.0, held.member, held.offset))
    inflated = inflate(stored, _LARGEST)
    if inflated.damage:
        raise FormatError(inflated.damage[0].reason)
    return parse_digest(inflated.raw)


def _batches(digests: Iterator[tuple[_Held, Digest]]) -> Iterator[list[tuple[_Held, Digest]]]:
    batch: list[tuple[_Held, Digest]] = []
    logs = 0
    for held, digest in digests:
        batch.append((held, digest))
        logs += 1 + len(digest.logs)
        if logs >= _BATCH:
            yield batch
            batch, logs = [], 0
    if batch:
        yield batch


def _keep(connection: Connection, digests: list[tuple[_Held, Digest]]) -> None:
    windows = [(held.account_id, held.region, digest.starts_at, digest.ends_at) for held, digest in digests if held.counts]
    _insert(connection, "said", "VARCHAR VARCHAR TIMESTAMP TIMESTAMP", windows)
    logs = [
        (held.account_id, held.region, log.bucket, log.key, _delivered_at(log.key, digest))
        for held, digest in digests
        if not held.later
        for log in digest.logs
    ]
    _insert(connection, "named", "VARCHAR VARCHAR VARCHAR VARCHAR TIMESTAMP", logs)
    before = [row for held, digest in digests if (row := _previous(held, digest)) is not None]
    _insert(connection, "previous", "VARCHAR VARCHAR VARCHAR VARCHAR TIMESTAMP VARCHAR VARCHAR", before)


def _previous(held: _Held, digest: Digest) -> tuple[object, ...] | None:
    """The digest that one names as the one before it; `found_` is where it should lie, None beside a file."""
    if digest.previous_bucket is None or digest.previous_key is None or not could_be(tail_of(held.key), digest.key):
        return None
    place = digest.previous_bucket, digest.previous_key
    name = name_in(place[1])
    ends_at = name.delivered_at if name else digest.starts_at
    found = (None, None) if held.bucket is None else held.expected(digest, place)
    return held.account_id, held.region, *place, ends_at, *found


def _delivered_at(key: str, digest: Digest) -> datetime:
    """As a log's own name says, for so it is counted once it is held."""
    return naming_of(key).delivered_at or digest.starts_at


def _insert(connection: Connection, table: str, kinds: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        columns = ", ".join(f"unnest(?::{kind}[])" for kind in kinds.split())
        run(connection, f"INSERT INTO {table} SELECT {columns}", [list(column) for column in zip(*rows, strict=True)])
