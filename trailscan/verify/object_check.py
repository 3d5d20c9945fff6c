"""Held objects read once for verification, in the reading processes: both hashes, how the bytes are packed, a digest's content.

It never judges and never raises on bad input; what cannot be read comes back with the reason.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from trailscan.archive.origin import Origin, bytes_of, file_of
from trailscan.cloudtrail.digest_file import Digest, FormatError, parse_digest
from trailscan.errors import SourceError
from trailscan.files.folder import read_bytes
from trailscan.files.local_objects import FileState, LocalObject, state_of_file
from trailscan.records.inflate import INFLATED_LIMIT, inflate, one_member
from trailscan.records.worker_pool import Numbered, Workers, chunked

LARGEST_DIGEST = 256 << 20  # bytes, inflated: half a million logs in an hour
MORE = "unexpected data after end of compressed stream"


class StoredObject(msgspec.Struct, frozen=True):
    """An object that the database knows, and what its key says of it."""

    object_id: int
    origin: Origin
    account_id: str | None = None
    region: str | None = None
    delivered_at: datetime | None = None
    is_digest: bool = False
    is_log: bool = True
    is_altered: bool = False  # when it was to be loaded, its bytes were not those that were recorded


class CheckedObject(msgspec.Struct, frozen=True):
    """What was read of one object; the hashes are hex, None when its file could not be read or inflated.

    `flaw` says why the bytes are not as CloudTrail delivers them, one gzip member and nothing after it, and is empty when
    they are; `is_broken` says that they are damaged, not only packed in another way. `digest` is a digest's content, else
    `digest_flaw` says why there is none.
    """

    object_id: int
    sha256: str | None
    sha256_raw: str | None = None
    flaw: str = ""
    is_broken: bool = False
    digest: Digest | None = None
    digest_flaw: str = ""
    file: FileState | None = None  # of the file that was read, just before


def check_logs(
    workers: Workers, kept: Iterable[StoredObject], place: Callable[[str], str]
) -> Iterator[tuple[StoredObject, CheckedObject]]:
    """Read objects in parallel, in order; `place` turns an origin's path into one on this disk."""
    return _check(workers, check_chunk, kept, place)


def check_digests(
    workers: Workers, kept: Iterable[StoredObject], place: Callable[[str], str]
) -> Iterator[tuple[StoredObject, CheckedObject]]:
    """The same for digests, whose content comes along."""
    return _check(workers, check_digest_chunk, kept, place)


def check_chunk(chunk: Sequence[Numbered]) -> list[CheckedObject]:
    """The task of a reading process."""
    return [check(object_id, found)[0] for object_id, found in chunk]


def check_digest_chunk(chunk: Sequence[Numbered]) -> list[CheckedObject]:
    """The task of a reading process, for digests."""
    return [with_digest(*check(object_id, found, LARGEST_DIGEST)) for object_id, found in chunk]


def check(object_id: int, found: LocalObject, limit: int = INFLATED_LIMIT) -> tuple[CheckedObject, bytes]:
    """Read one object; also gives its inflated bytes, of which there are at most `limit`."""
    state = state_of_file(found.path)
    try:
        data = read_bytes(found)
    except SourceError as error:
        cause = error.message.rpartition(": ")[2]
        return CheckedObject(object_id, None, None, f"its file cannot be read: {cause}", True), b""
    checked, raw = check_bytes(object_id, data, limit)
    return msgspec.structs.replace(checked, file=state), raw


def check_bytes(object_id: int, data: bytes, limit: int = INFLATED_LIMIT) -> tuple[CheckedObject, bytes]:
    """What there is to say of an object's bytes, and these inflated."""
    sha256 = hashlib.sha256(data).hexdigest()
    raw = one_member(data, limit)
    if raw is not None:
        return CheckedObject(object_id, sha256, hashlib.sha256(raw).hexdigest()), raw
    inflated = inflate(data, limit)
    broken = next((MORE if damage.what == "trailing-bytes" else damage.reason for damage in inflated.damage), "")
    flaw = broken or _packing(inflated.layers)
    return CheckedObject(object_id, sha256, hashlib.sha256(inflated.raw).hexdigest(), flaw, bool(broken)), inflated.raw


def flaw_of_format(checked: CheckedObject) -> str:
    """The flaw in the words of AWS's `validate-logs`, as far as it has them."""
    return checked.flaw if checked.flaw == MORE else f"invalid format: {checked.flaw}"


def with_digest(checked: CheckedObject, raw: bytes) -> CheckedObject:
    """The same with what the inflated bytes say as a digest."""
    if checked.sha256 is None:
        return checked
    try:
        return msgspec.structs.replace(checked, digest=parse_digest(raw))
    except FormatError as error:
        return msgspec.structs.replace(checked, digest_flaw=error.message)


def _check(
    workers: Workers,
    task: Callable[[Sequence[Numbered]], list[CheckedObject]],
    kept: Iterable[StoredObject],
    place: Callable[[str], str],
) -> Iterator[tuple[StoredObject, CheckedObject]]:
    waiting: deque[StoredObject] = deque()

    def numbered() -> Iterator[Numbered]:
        for each in kept:
            waiting.append(each)
            yield each.object_id, file_of(each.origin, place(bytes_of(each.origin)))

    for done in workers.each(task, chunked(numbered())):
        for checked in done:
            yield waiting.popleft(), checked


def _packing(layers: Sequence[str]) -> str:
    if layers == ("gzip",):
        return MORE
    return f"it is packed as {' in '.join(layers)}, not as CloudTrail does it" if layers else "it is not compressed"
