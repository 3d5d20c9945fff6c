"""CloudTrail's digest files, taken apart: which log objects one swears by, with which hashes, and what it follows.

Pure: bytes in, values out; it never judges, and whether anybody signed the bytes is the business of `signatures`.
Source: AWS CloudTrail User Guide, "CloudTrail digest file structure".
"""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from trailscan.errors import TrailscanError

GENERATED = "backfill-generation-timestamp"
"""Of the metadata of a digest that was made afterwards: when."""

_ALGORITHM = "SHA-256"
_SLACK = timedelta(hours=2)  # after a digest's end, in which it is signed; as the AWS command line allows
_LATE_SLACK = timedelta(hours=1)  # around the time at which a backfill digest was made; as it allows
_LATE = "_backfill."


class FormatError(TrailscanError, ValueError):
    """The bytes are not a digest, or lack what a digest must have; the message says what."""


class DigestedLog(msgspec.Struct, frozen=True):
    """A log object that a digest swears by; `sha256` is of its inflated bytes, hex; times are naive UTC."""

    bucket: str
    key: str
    sha256: str
    oldest_event: datetime | None
    newest_event: datetime | None


class Digest(msgspec.Struct, frozen=True):
    """A digest's content. `starts_at` and `ends_at` span the time of delivery, naive UTC, of the logs it lists.

    `bucket` and `key` are where CloudTrail says it delivered it. The `previous_` fields name the digest before it, by its
    place, the SHA-256 of its inflated bytes and its signature, both hex; all are None in a starting digest.
    """

    account_id: str
    starts_at: datetime
    ends_at: datetime
    ends_text: str  # verbatim, as it is signed
    bucket: str
    key: str
    previous_bucket: str | None
    previous_key: str | None
    previous_sha256: str | None
    previous_signature: str | None
    fingerprint: str  # of the public key that verifies the signature: MD5 of its DER bytes, hex
    logs: tuple[DigestedLog, ...]


class _Log(msgspec.Struct, rename="camel"):
    s3_bucket: str = msgspec.field(name="s3Bucket")
    s3_object: str = msgspec.field(name="s3Object")
    hash_value: str
    hash_algorithm: str
    newest_event_time: str | None = None
    oldest_event_time: str | None = None


class _File(msgspec.Struct, rename="camel"):
    aws_account_id: str
    digest_start_time: str
    digest_end_time: str
    digest_s3_bucket: str = msgspec.field(name="digestS3Bucket")
    digest_s3_object: str = msgspec.field(name="digestS3Object")
    digest_public_key_fingerprint: str
    previous_digest_signature: str | None
    log_files: list[_Log]
    previous_digest_s3_bucket: str | None = msgspec.field(name="previousDigestS3Bucket", default=None)
    previous_digest_s3_object: str | None = msgspec.field(name="previousDigestS3Object", default=None)
    previous_digest_hash_value: str | None = None
    previous_digest_hash_algorithm: str | None = None


_decode = msgspec.json.Decoder(_File).decode


def parse_digest(raw: bytes) -> Digest:
    """Take an inflated digest apart. Raises FormatError, which says what is lacking or wrong."""
    try:
        file = _decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise FormatError(f"it is not a digest: {error}") from error
    starts_at, ends_at = _required(file.digest_start_time, "digestStartTime"), _required(file.digest_end_time, "digestEndTime")
    if ends_at < starts_at:
        raise FormatError("its digestEndTime is before its digestStartTime")
    _check_algorithm(file.previous_digest_hash_algorithm or _ALGORITHM)
    return Digest(
        file.aws_account_id,
        starts_at,
        ends_at,
        file.digest_end_time,
        file.digest_s3_bucket,
        file.digest_s3_object,
        file.previous_digest_s3_bucket,
        file.previous_digest_s3_object,
        file.previous_digest_hash_value,
        file.previous_digest_signature,
        file.digest_public_key_fingerprint,
        tuple(map(_log, file.log_files)),
    )


def signed_text(digest: Digest, sha256_raw: str) -> bytes:
    """The text that CloudTrail signs; `sha256_raw` is the hex hash of the digest's inflated bytes.

    Source: AWS CloudTrail User Guide, "Custom implementations of CloudTrail log file integrity validation".
    """
    place = f"{digest.bucket}/{digest.key}"
    previous = "null" if digest.previous_signature is None else digest.previous_signature
    return "\n".join((digest.ends_text, place, sha256_raw, previous)).encode()


def is_late(key: str) -> bool:
    """Whether a digest was made afterwards, as its name tells; such digests have chains of their own."""
    return _LATE in key.rpartition("/")[2]


def signed_between(
    key: str, starts_at: datetime, ends_at: datetime, metadata: Mapping[str, str] | None
) -> tuple[datetime, datetime] | None:
    """From when to when a digest was signed, naive UTC; None for a backfill digest that lost its time.

    Source: the AWS command line asks for the keys of these times, of a backfill digest around its `GENERATED`.
    """
    try:
        if not is_late(key):
            return starts_at, ends_at + _SLACK
        made = moment_of((metadata or {}).get(GENERATED))
        return None if made is None else (made - _LATE_SLACK, made + _LATE_SLACK)
    except OverflowError:
        return None


def _log(log: _Log) -> DigestedLog:
    _check_algorithm(log.hash_algorithm)
    oldest, newest = moment_of(log.oldest_event_time), moment_of(log.newest_event_time)
    return DigestedLog(sys.intern(log.s3_bucket), log.s3_object, log.hash_value.lower(), oldest, newest)


def _check_algorithm(name: str) -> None:
    if name != _ALGORITHM:
        raise FormatError(f"it names the hash algorithm {name!r}, not {_ALGORITHM}")


def _required(text: str, field: str) -> datetime:
    moment = moment_of(text)
    if moment is None:
        raise FormatError(f"its {field} is not a time: {text[:40]!r}")
    return moment


def moment_of(text: str | None) -> datetime | None:
    """A time as digests and their metadata write it, naive UTC; None for what is none."""
    try:
        moment = datetime.fromisoformat(text or "")
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None
