"""Which public keys the digests that are held were signed with, and when: what a sync asks CloudTrail for.

Each digest is read once in the life of a database, which remembers up to which object it has looked.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from trailscan.archive.origin import file_of
from trailscan.cloudtrail.digest_file import moment_of, signed_between
from trailscan.store.database import Connection, Database, run
from trailscan.verify.held_objects import kept_digests
from trailscan.verify.object_check import StoredObject, check

_NAME = "digest_keys"  # in the table `about`
_LARGEST = 256 << 20  # bytes of an inflated digest
_MOST = 10_000  # keys that are remembered: CloudTrail makes some ten a year and region
_FINGERPRINT = re.compile("[0-9a-f]{32}")


class KeyUse(msgspec.Struct):
    """A key that digests of a region name, and between when and when they were signed with it, naive UTC."""

    region: str
    fingerprint: str
    first: datetime
    last: datetime


class _State(msgspec.Struct):
    read_to: int = -1  # the last object that was looked at
    uses: list[KeyUse] = []


class _Digest(msgspec.Struct, rename="camel"):
    digest_public_key_fingerprint: str
    digest_start_time: str
    digest_end_time: str


_decode = msgspec.json.Decoder(_Digest).decode


def key_uses(database: Database, place: Callable[[str], str]) -> list[KeyUse]:
    """The keys that held digests name; what cannot be read names none. `place` turns a stored path into one on this disk."""
    with database.reading() as connection:
        state = _state(connection)
    before = state.read_to
    uses = {(use.region, use.fingerprint): use for use in state.uses}
    for use in _read(kept_digests(database, before), place, state):
        known = uses.get((use.region, use.fingerprint))
        if known is not None:
            known.first, known.last = min(known.first, use.first), max(known.last, use.last)
        elif len(uses) < _MOST:
            uses[use.region, use.fingerprint] = use
    if state.read_to != before:
        state.uses = list(uses.values())
        with database.writing() as connection:
            run(connection, "INSERT OR REPLACE INTO about VALUES (?, ?)", [_NAME, msgspec.json.encode(state).decode()])
    return list(uses.values())


def _state(connection: Connection) -> _State:
    found = run(connection, "SELECT value FROM about WHERE name = ?", [_NAME])
    try:
        return msgspec.json.decode(found[0][0], type=_State) if found else _State()
    except (msgspec.MsgspecError, RecursionError):
        return _State()


def _read(digests: Iterable[StoredObject], place: Callable[[str], str], state: _State) -> Iterable[KeyUse]:
    for kept in digests:
        state.read_to = max(state.read_to, kept.object_id)
        use = _use(kept, place)
        if use is not None:
            yield use


def _use(kept: StoredObject, place: Callable[[str], str]) -> KeyUse | None:
    _, raw = check(kept.object_id, file_of(kept.origin, place(kept.origin.path)), _LARGEST)
    try:
        named = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    starts_at, ends_at = moment_of(named.digest_start_time), moment_of(named.digest_end_time)
    if kept.region is None or starts_at is None or ends_at is None:
        return None
    times = signed_between(kept.origin.key, starts_at, ends_at, kept.origin.metadata)
    if times is None or not _FINGERPRINT.fullmatch(named.digest_public_key_fingerprint):
        return None
    return KeyUse(kept.region, named.digest_public_key_fingerprint, *times)
