"""What the digests of an archive say was delivered: their windows and the logs they name, as temporary tables.

It believes what it reads, except digests that `verify` found invalid; whether anybody signed them is for `verify` to say.
Source: AWS CloudTrail User Guide, "CloudTrail digest file structure".
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import msgspec

from trailscan.errors import SourceError
from trailscan.evidence.digests import Digest, FormatError, parse_digest
from trailscan.evidence.folder import read_bytes
from trailscan.evidence.local import LocalObject
from trailscan.evidence.origin import naming_of
from trailscan.evidence.verdict import Status
from trailscan.records.inflate import inflate
from trailscan.store.database import Connection, run

_INVALID = tuple(map(str, (Status.INVALID_HASH, Status.INVALID_FORMAT, Status.INVALID_SIGNATURE, Status.MOVED)))
_LARGEST = 256 << 20  # bytes of an inflated digest: half a million logs in an hour
_BATCH = 50_000  # logs that are handed to DuckDB together

_TABLES = """
CREATE OR REPLACE TEMP TABLE said (account_id VARCHAR, region VARCHAR, starts_at TIMESTAMP, ends_at TIMESTAMP);
CREATE OR REPLACE TEMP TABLE named (account_id VARCHAR, region VARCHAR, bucket VARCHAR, key VARCHAR, delivered_at TIMESTAMP);
CREATE OR REPLACE TEMP TABLE unreadable (object_id BIGINT)
"""
# A digest is delivered when its window ends, so those that name a cell's last logs come up to some hours after it.
_DIGESTS = f"""
WITH judged AS (
  SELECT object_id, bool_or(status IN {_INVALID}) AS invalid, bool_or(kind = 'digest' AND status = 'VALID') AS valid
  FROM verdicts WHERE kind IN ('digest', 'archive') GROUP BY object_id
)
SELECT object_id, account_id, region, coalesce('s3://' || bucket || '/', '') || key AS name, path, member, member_offset, bytes,
       coalesce(invalid, false), coalesce(valid, false)
FROM objects JOIN span USING (account_id, region) LEFT JOIN judged USING (object_id)
WHERE kind = 'digest' AND status <> 'failed' AND delivered_at BETWEEN first AND beyond + INTERVAL 2 HOUR
ORDER BY object_id
"""


class Hearing(msgspec.Struct, frozen=True):
    """How many digests were read, how many of them `verify` has not found valid, and those that say nothing."""

    read: int
    unverified: int
    invalid: int
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
    invalid: bool
    valid: bool


def hear(connection: Connection, place: Callable[[str], str]) -> Hearing:
    """Read the digests within the temporary table `span` into the tables `said`, `named` and `unreadable`.

    `place` turns a stored path into one on this disk. Account and region are those of the digest's key.
    """
    run(connection, _TABLES)
    digests = [_Held(*row) for row in run(connection, _DIGESTS)]
    trusted = [held for held in digests if not held.invalid]
    unreadable: list[tuple[_Held, str]] = []
    for batch in _batches(_readable(trusted, place, unreadable)):
        _keep(connection, batch)
    run(connection, "INSERT INTO unreadable SELECT unnest(?::BIGINT[])", [[held.object_id for held, _ in unreadable]])
    return Hearing(
        read=len(trusted) - len(unreadable),
        unverified=sum(not held.valid for held in trusted) - len(unreadable),
        invalid=len(digests) - len(trusted),
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
    windows = [(held.account_id, held.region, digest.starts_at, digest.ends_at) for held, digest in digests]
    _insert(connection, "said", "VARCHAR VARCHAR TIMESTAMP TIMESTAMP", windows)
    logs = [
        (held.account_id, held.region, log.bucket, log.key, _delivered_at(log.key, digest))
        for held, digest in digests
        for log in digest.logs
    ]
    _insert(connection, "named", "VARCHAR VARCHAR VARCHAR VARCHAR TIMESTAMP", logs)


def _delivered_at(key: str, digest: Digest) -> datetime:
    """As a log's own name says, for so it is counted once it is held."""
    return naming_of(key).delivered_at or digest.starts_at


def _insert(connection: Connection, table: str, kinds: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        columns = ", ".join(f"unnest(?::{kind}[])" for kind in kinds.split())
        run(connection, f"INSERT INTO {table} SELECT {columns}", [list(column) for column in zip(*rows, strict=True)])
