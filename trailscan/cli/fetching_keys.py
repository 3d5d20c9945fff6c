"""CloudTrail's public keys, asked for by what is held: each key that a digest names and the archive lacks, at every sync."""

import base64
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.aws.s3 import Bucket
from trailscan.errors import SourceError, UsageError
from trailscan.render.amounts import count
from trailscan.render.escape import for_terminal
from trailscan.store.database import Database
from trailscan.verify.digest_keys import KeyUse, key_uses
from trailscan.verify.key_ledger import KeyLedger, span_text, sum_name
from trailscan.verify.signatures import BadKey, KeptKey, PublicKey, Times, hash_of_key, load_key, read_keys

BORN = datetime(2013, 11, 1)  # noqa: DTZ001 - naive UTC; AWS announced CloudTrail on 13 November 2013
_MOST_SPANS = 20  # requests to a region; more spans of time are asked for as one


class FetchedKeys(msgspec.Struct):
    """What came, as the line of custody holds it: for each region the spans asked for, and each key's SHA-256 by name."""

    asked: dict[str, list[str]] = {}
    sums: dict[str, str] = {}


def fetch_keys(bucket: Bucket, archive: ArchiveFolder, database: Database, say: Callable[[str], None]) -> FetchedKeys:
    """Ask CloudTrail for the keys that are lacking, keep them, and say what came; what is refused is asked again next time."""
    lacking = _lacking(key_uses(database, archive.place), archive)
    fetched = FetchedKeys()
    for region in sorted({use.region for use in lacking}):
        wanted = [use for use in lacking if use.region == region]
        try:
            given = _ask(bucket, region, wanted, fetched)
        except (SourceError, UsageError) as error:
            say(f"no public keys for {region}, so its digests cannot be verified yet: {error.message}")
            continue
        say(_told(region, given, wanted))
        archive.save_keys(region, [msgspec.to_builtins(key) for key in given])
        fetched.sums |= {sum_name(region, key.fingerprint): hash_of_key(key) for key in given}
    return fetched


def _lacking(uses: Iterable[KeyUse], archive: ArchiveFolder) -> list[KeyUse]:
    """The keys that digests name and of which no sound one, known to custody, is held for their region."""
    ledger = KeyLedger(CustodyLog(archive).entries())
    known = [key for key in read_keys(archive.keys)[0] if ledger.source_of(key) is not None and _is_sound(key)]
    held = {(key.region, key.fingerprint) for key in known}
    latest = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)
    possible = [use for use in uses if use.last >= BORN and use.first <= latest]
    return [use for use in possible if not {(use.region, use.fingerprint), ("any", use.fingerprint)} & held]


def _is_sound(key: PublicKey) -> bool:
    try:
        load_key(key)
    except BadKey:
        return False
    return True


def _ask(bucket: Bucket, region: str, wanted: list[KeyUse], fetched: FetchedKeys) -> list[KeptKey]:
    given: dict[str, KeptKey] = {}
    for first, last in _spans(wanted):
        keys = [_storable(key) for key in bucket.public_keys(region, first, last)]
        given |= {key.fingerprint: key for key in keys}
        if keys:  # an empty answer tells nothing: some key is always in use
            fetched.asked.setdefault(region, []).append(span_text((first, last)))
    return list(given.values())


def _spans(wanted: list[KeyUse]) -> list[Times]:
    """The times of the digests, those that meet joined."""
    spans: list[Times] = []
    for use in sorted(wanted, key=lambda use: use.first):
        first, last = max(use.first, BORN), use.last
        if spans and first <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], last)
        else:
            spans.append((first, last))
    return spans if len(spans) <= _MOST_SPANS else [(spans[0][0], max(last for _, last in spans))]


def _told(region: str, given: list[KeptKey], wanted: list[KeyUse]) -> str:
    told = f"{count(len(given), 'public key')} saved" if given else "CloudTrail names no public key for that time"
    unknown = {use.fingerprint for use in wanted} - {key.fingerprint for key in given}
    if given and unknown:
        told += f"; CloudTrail has none of the {count(len(unknown), 'fingerprint')} {', '.join(sorted(unknown)[:3])}"
    return for_terminal(f"digests of {region}: {told}")


def _storable(key: dict[str, Any]) -> KeptKey:
    """A public key of ListPublicKeys as it is kept: the DER bytes in base64, times in ISO 8601."""
    value = base64.b64encode(key["Value"]).decode()
    return KeptKey(key["Fingerprint"], value, key["ValidityStartTime"].isoformat(), key["ValidityEndTime"].isoformat())
