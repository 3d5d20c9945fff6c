"""What verification found of one thing, as a value: it becomes a row of `verdicts`, a line of the report, and the exit code."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

Kind = Literal["digest", "log", "archive", "custody"]


class Status(StrEnum):
    """What can be said of a digest, a log object, a file of the archive or a line of its custody log."""

    VALID = "VALID"
    INVALID_HASH = "INVALID_HASH"  # the bytes are not those that were sworn to, or recorded
    INVALID_FORMAT = "INVALID_FORMAT"
    INVALID_SIGNATURE = "INVALID_SIGNATURE"
    MOVED = "MOVED"  # a digest lies elsewhere than where CloudTrail delivered it
    MISSING_LOG = "MISSING_LOG"
    MISSING_DIGEST = "MISSING_DIGEST"
    NO_KEY = "NO_KEY"
    BAD_KEY = "BAD_KEY"
    NO_SIGNATURE = "NO_SIGNATURE"
    GAP = "GAP"  # a time for which CloudTrail made no digest
    UNCOVERED = "UNCOVERED"  # held, and no valid digest speaks of it
    NOT_SYNCED = "NOT_SYNCED"  # named by a digest, and outside of what was ever fetched


HARMLESS = frozenset({Status.VALID, Status.GAP, Status.UNCOVERED, Status.NOT_SYNCED})


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
