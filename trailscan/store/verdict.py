"""What verification found of one thing, as a value: it becomes a row of `verdicts`, a line of the report, and the exit code."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

Kind = Literal["digest", "log", "archive", "custody", "key"]


class Status(StrEnum):
    """What can be said of a digest, a log object, a file of the archive, a line of its custody log or a public key."""

    VALID = "VALID"
    INVALID_HASH = "INVALID_HASH"  # the bytes are not those that were sworn to, or recorded
    INVALID_FORMAT = "INVALID_FORMAT"
    INVALID_SIGNATURE = "INVALID_SIGNATURE"
    MOVED = "MOVED"  # a digest lies under a name that is another digest's
    MISSING_LOG = "MISSING_LOG"
    MISSING_DIGEST = "MISSING_DIGEST"
    NO_KEY = "NO_KEY"  # CloudTrail was asked and has no such key for that region and time
    BAD_KEY = "BAD_KEY"
    NO_SIGNATURE = "NO_SIGNATURE"  # lies where CloudTrail delivered it, without the signature that it delivers
    NOT_VERIFIABLE = "NOT_VERIFIABLE"  # what it takes to check it is not held: no key, no signature, no digest
    GAP = "GAP"  # a time for which CloudTrail made no digest
    UNCOVERED = "UNCOVERED"  # held, and no valid digest speaks of it
    NOT_SYNCED = "NOT_SYNCED"  # named by a digest, and outside of what was ever fetched


HARMLESS = frozenset({Status.VALID, Status.GAP, Status.UNCOVERED, Status.NOT_SYNCED})
UNCHECKED = frozenset({Status.NOT_VERIFIABLE})
INVALID = frozenset(Status) - HARMLESS - UNCHECKED
"""What fails a verification: the one list that `verify`, `coverage`, `status` and every answer read."""

GONE = frozenset({Status.MISSING_LOG, Status.MISSING_DIGEST})
"""Of INVALID: not there at all, while the rest of it was altered or is forged."""

COPIED = "a copy, which CloudTrail delivered as"
OUT_OF_ORDER = "out of order: the digest that it names as the one before ends no earlier"
UNKNOWN_KEY = "its key is one that custody does not know"
"""Notes in the messages of valid digests, by which a report counts them."""


def names_of(statuses: Iterable[Status]) -> tuple[str, ...]:
    """Statuses as the table `verdicts` holds them, in a fixed order."""
    return tuple(sorted(map(str, statuses)))


class Verdict(msgspec.Struct, frozen=True):
    """One thing that was checked. `object` is `s3://bucket/key` or a path; the times span what a digest or a gap covers.

    The message begins as AWS's `validate-logs` would put it, as far as it knows the case.
    """

    kind: Kind
    object: str
    status: Status
    message: str
    object_id: int | None = None
    account_id: str | None = None
    region: str | None = None
    trail: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    file_bytes: int | None = None  # the file whose bytes were checked, as it was then
    file_modified: int | None = None  # nanoseconds since 1970
