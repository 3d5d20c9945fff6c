"""An object's bytes to its records in one call: inflate, hash, unwrap. Never raises on bad input, touches no disk."""

import hashlib
from collections.abc import Sequence
from typing import Literal

import msgspec

from trailscan.records.collector import Envelope
from trailscan.records.damage import Damage
from trailscan.records.formats import Unwrapped, looks_native, may_wrap, unwrap, unwrap_sifted
from trailscan.records.inflate import INFLATED_LIMIT, inflate
from trailscan.records.prefilter import Prefilter, finder

Status = Literal["ok", "partial", "damaged", "empty", "not-cloudtrail", "altered"]


class Reading(msgspec.Struct):
    """What one object holds, and what is wrong with it.

    Status: ok, partial (records, and damage too), damaged (no record could be had), empty (sound, no records),
    not-cloudtrail (sound, and something else), altered
    (not the bytes that were recorded, and so not read). The damage "not-cloudtrail" names what is sound and not CloudTrail's.
    `sha256` is of the object as stored, `sha256_raw` of the inflated bytes, both hex, None when not asked for.
    """

    shape: str
    status: Status
    sha256: str | None
    sha256_raw: str | None
    raw_bytes: int
    indexes: Sequence[int]
    records: Sequence[msgspec.Raw | bytes]
    damage: list[Damage]
    read: int | None  # elements seen, damaged and foreign ones among them; None when a sieve spared the object
    foreign: int = 0  # elements that are sound and not CloudTrail
    envelopes: dict[int, Envelope] = {}


def read_object(
    data: bytes, limit: int = INFLATED_LIMIT, sieve: Prefilter | None = None, hash_all: bool = True, sha256: str | None = None
) -> Reading:
    """Read an object's records as raw JSON slices, its hashes and its damage; at most `limit` bytes are inflated.

    With a sieve only records that it lets through are given, and a native object without any is not even parsed (shape
    "sifted"). Without `hash_all` only the stored bytes are hashed, and only of objects that have something to tell. `sha256` is
    that of `data`, for who has it already.
    """
    inflated = inflate(data, limit)
    raw = inflated.raw
    if sieve is not None and not inflated.damage and looks_native(raw) and not may_wrap(find := finder(raw)):
        if not sieve.lets_through(raw, find):
            return _reading(data, raw, Unwrapped("sifted", [], [], []), "ok", None, hash_all, sha256)
        if sifted := unwrap_sifted(raw, sieve):
            found, read = sifted
            return _reading(data, raw, found, "ok", read, hash_all, sha256)
    found = _unwrapped(raw, inflated.damage)
    status = _status(found)
    read = len(found.records) + found.foreign + sum(1 for bad in found.damage if bad.record_index is not None)
    if sieve is not None:
        wanted = set(sieve.hits(found.records))  # and what its envelope may make a hit
        kept = [at for at, index in enumerate(found.indexes) if at in wanted or index in found.envelopes]
        found.indexes = [found.indexes[position] for position in kept]
        found.records = [found.records[position] for position in kept]
    return _reading(data, raw, found, status, read, hash_all, sha256)


def unreadable(reason: str) -> Reading:
    """The reading of an object whose bytes could not be had."""
    return Reading("unknown", "damaged", None, None, 0, [], [], [Damage("unreadable", reason)], 0)


def altered(recorded: str, found: str) -> Reading:
    """The reading of an object whose bytes do not have the SHA-256 that was recorded: nothing is taken from it."""
    return Reading("unknown", "altered", found, None, 0, [], [], [altered_damage(recorded, found)], 0)


def resized(recorded: int, data: bytes) -> Reading:
    """The same where only the number of bytes was recorded."""
    why = f"it has {len(data):,} bytes now, and {recorded:,} were recorded; its SHA-256 never was"
    return Reading("unknown", "altered", hashlib.sha256(data).hexdigest(), None, 0, [], [], [Damage("altered", why)], 0)


def altered_damage(recorded: str, found: str) -> Damage:
    """What is said of such an object; both hashes are hex."""
    return Damage("altered", f"its bytes are no longer those that were taken in: SHA-256 {recorded} recorded, {found} now")


def _reading(
    data: bytes, raw: bytes, found: Unwrapped, status: Status, read: int | None, hash_all: bool, sha256: str | None
) -> Reading:
    return Reading(
        found.shape,
        status,
        sha256 or (hashlib.sha256(data).hexdigest() if hash_all or found.records or found.damage else None),
        hashlib.sha256(raw).hexdigest() if hash_all else None,
        len(raw),
        found.indexes,
        found.records,
        found.damage,
        read,
        found.foreign,
        found.envelopes,
    )


def _unwrapped(raw: bytes, damage: tuple[Damage, ...]) -> Unwrapped:
    if not raw and damage:
        return Unwrapped("unknown", [], [], list(damage))
    found = unwrap(raw)
    if damage:
        found.damage = [*damage, *found.damage]
    return found


def _status(found: Unwrapped) -> Status:
    if any(damage.what != "not-cloudtrail" for damage in found.damage):
        return "partial" if found.records else "damaged"
    if found.damage and not found.records:
        return "not-cloudtrail"
    return "ok" if found.records else "empty"
