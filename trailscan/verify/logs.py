"""Log objects judged by what valid digests swear of them, and every object by the hash it was taken in with; pure.

It takes objects one by one, so that an archive of millions is never held at once.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter

import msgspec

from trailscan.archive.manifest import mark_of
from trailscan.archive.origin import Origin, name_of, state_of
from trailscan.fingerprints import FingerprintIndex
from trailscan.store.verdict import UNCHECKED, Status, Verdict
from trailscan.verify.digest_chain import Covered, Judged, Window, shown
from trailscan.verify.object_check import CheckedObject, StoredObject, flaw_of_format
from trailscan.verify.s3_location import Place, name_in, place_of, place_url, tail_in, tail_of, url_of


class _Claim(msgspec.Struct, frozen=True):
    """What one digest swears of one log object."""

    number: int
    place: Place
    sha256: str
    digest: Judged
    counts: bool  # the digest lies within the times asked for


Finding = tuple[Status, str]


class Recorded(msgspec.Struct, frozen=True):
    """What a manifest says: the hash of each version of each object, and which of them it did not hash when they came."""

    hashes: FingerprintIndex
    late: Mapping[int, Origin] = {}


def judge_archived(kept: StoredObject, checked: CheckedObject, recorded: Recorded) -> Verdict:
    """Whether an object's bytes are those that were taken in."""
    origin = kept.origin
    missing = Status.MISSING_DIGEST if kept.is_digest else Status.MISSING_LOG
    if checked.sha256 is None:
        status, message = missing, f"not found: {checked.flaw}"
    elif origin.sha256 is None and kept.is_altered:
        status, message = Status.INVALID_HASH, "its size is another than was recorded; its SHA-256 never was"
    elif origin.sha256 is None:
        status, message = Status.UNCOVERED, "no SHA-256 was recorded when it was taken in"
    elif checked.sha256 != origin.sha256:
        status, message = Status.INVALID_HASH, f"hash value doesn't match: recorded {origin.sha256}, now {checked.sha256}"
    elif recorded.hashes.has_other(f"{name_of(origin)}\0{state_of(origin)}", checked.sha256):
        status, message = Status.INVALID_HASH, f"hash value doesn't match: the manifest recorded another than {checked.sha256}"
    else:
        status, message = _since_when(recorded.late.get(mark_of(origin)))
    verdict = Verdict("archive", url_of(origin), status, message, kept.object_id, kept.account_id, kept.region)
    if checked.file is None:
        return verdict
    return msgspec.structs.replace(verdict, file_bytes=checked.file.bytes, file_modified=checked.file.modified)


def judge_stranger(origin: Origin, is_there: bool) -> Verdict:
    """What to say of an object that the manifest recorded and the database does not know."""
    if is_there:
        why = "taken in, and not in the database: `trailscan rebuild`, or the next sync, puts it there"
        return Verdict("archive", url_of(origin), Status.UNCOVERED, why)
    why = "not found: the manifest recorded it, its file is gone, and the database does not know it"
    return Verdict("archive", url_of(origin), Status.MISSING_LOG, why)


def judge_stray(path: str, why: str = "") -> Verdict:
    """What to say of what lies among the objects and was never recorded; `path` is relative to the archive."""
    told = why or "no line of the manifest knows it: who put it there, and when, is not on record"
    return Verdict("archive", path, Status.NOT_VERIFIABLE, told)


def _since_when(late: Origin | None) -> Finding:
    """What bytes come to that have the recorded hash, when that was recorded late."""
    if late is None:
        return Status.VALID, "valid"
    if late.stray:
        return Status.NOT_VERIFIABLE, "found in objects/ by a rebuild, with no line of the manifest; unchanged since"
    return Status.UNCOVERED, f"no SHA-256 was recorded when it was taken in; unchanged since {late.hashed_at:%Y-%m-%d %H:%M}Z"


class Logs:
    """The log objects against the digests that were judged. `judge` each that is held, then ask for the `missing`."""

    def __init__(self, judged: Sequence[Judged], window: Window) -> None:
        self._window = window
        self._claims: dict[Place, list[_Claim]] = defaultdict(list)
        self._tails: dict[str | None, dict[object, list[_Claim]]] = {}
        self._unseen: dict[int, _Claim] = {}
        self._spans = _Spans(judged)
        number = 0
        for each in judged:
            counts = window.takes(each.starts_at, each.ends_at)
            for log in each.digest.logs if each.digest else ():
                claim = _Claim(number, (log.bucket, log.key), log.sha256, each, counts)
                self._claims[claim.place].append(claim)
                if counts and (each.is_valid or each.status in UNCHECKED):
                    self._unseen[number] = claim
                number += 1

    def judge(self, kept: StoredObject, checked: CheckedObject) -> list[Verdict]:
        """The verdicts on one held object: one for each valid digest that lists it, or that none does."""
        claims = self._claims_on(kept)
        for claim in claims:
            self._unseen.pop(claim.number, None)
        valid = [claim for claim in claims if claim.digest.is_valid]
        if valid:
            return [_against(kept, checked, claim) for claim in _chosen(kept, checked, valid) if claim.counts]
        if not kept.is_log or not self._window.holds(kept.delivered_at):
            return []
        return [self._uncovered(kept, claims)]

    def missing(self, covered: Covered, failed: Collection[Place]) -> Iterator[Verdict]:
        """What digests list and is not held: valid ones, and those that could not be verified."""
        for claim in _distinct(self._unseen.values()):
            digest = claim.digest
            witness = digest.url if digest.is_valid else f"{digest.url}, itself {digest.status},"
            place = digest.expected(claim.place)
            name = name_in(place[1])
            status, message = Status.MISSING_LOG, f"not found: {witness} lists it"
            if place in failed:
                status, message = Status.NOT_SYNCED, f"it could not be fetched; {witness} lists it"
            elif digest.kept.origin.source == "file":
                message += "; whether its bucket holds it cannot be told from files"
            elif not covered(place, name.delivered_at if name else digest.starts_at):
                status, message = Status.NOT_SYNCED, f"it was never asked for; {witness} lists it"
            yield _verdict(place_url(place), status, message, claim)

    def _claims_on(self, kept: StoredObject) -> list[_Claim]:
        """By place; of what lies elsewhere than where CloudTrail delivered it, by what its key or path tells."""
        place = place_of(kept.origin)
        if place is not None and (found := self._claims.get(place)):
            return found
        bucket = None if place is None else place[0]
        if bucket not in self._tails:
            claims = (claim for claims in self._claims.values() for claim in claims)
            self._tails[bucket] = _by_tail(claim for claim in claims if bucket is None or _is_copied(claim, bucket))
        tail = tail_in(kept.origin)
        return self._tails[bucket].get(tail) or ([] if "/" in tail else self._tails[bucket].get(name_in(tail), []))

    def _uncovered(self, kept: StoredObject, claims: list[_Claim]) -> Verdict:
        status = Status.UNCOVERED
        digest = next((claim.digest for claim in claims if claim.digest.status in UNCHECKED), None)
        if digest is not None:
            status, why = Status.NOT_VERIFIABLE, f"listed only by {digest.url}, which cannot be verified itself"
        elif claims:
            why = f"listed only by {claims[0].digest.url}, which is {claims[0].digest.status}"
        elif not self._spans.knows(kept):
            status, why = Status.NOT_VERIFIABLE, "no digest of its account and region is held"
        else:
            why = self._spans.why_not(kept)
        url, account, region, at = url_of(kept.origin), kept.account_id, kept.region, kept.delivered_at
        return Verdict("log", url, status, why, kept.object_id, account, region, None, at, at)


def _is_copied(claim: _Claim, bucket: str) -> bool:
    """Whether a claim can be on an object of this bucket that was delivered to another: by a copy in it, or in a folder."""
    found = place_of(claim.digest.kept.origin)
    return claim.digest.is_copy and (found is None or found[0] == bucket)


def _distinct(claims: Iterable[_Claim]) -> list[_Claim]:
    """Claims that say the same once: a digest may be held in its place and as a copy."""
    found: dict[object, _Claim] = {}
    for claim in claims:
        said = claim.place, claim.sha256, claim.digest.place, claim.digest.expected(claim.place), claim.counts
        found.setdefault(said, claim)
    return list(found.values())


def _chosen(kept: StoredObject, checked: CheckedObject, claims: list[_Claim]) -> list[_Claim]:
    """Of what was recognised by name only, the claims that its bytes meet, or the first where they meet none."""
    if len(claims) == 1:
        return claims
    if all(claim.place == place_of(kept.origin) for claim in claims):
        return list({(claim.sha256, claim.digest.place, claim.counts): claim for claim in reversed(claims)}.values())
    return [claim for claim in claims if claim.sha256 == checked.sha256_raw][:1] or claims[:1]


def _by_tail(claims: Iterable[_Claim]) -> dict[object, list[_Claim]]:
    """The claims by what a copy's path can tell of them: the key's tail, the file name, what the name says."""
    found: dict[object, list[_Claim]] = defaultdict(list)
    for claim in claims:
        tail = tail_of(claim.place[1])
        for name in {tail, tail.rpartition("/")[2], name_in(tail) or tail}:
            found[name].append(claim)
    return found


def _against(kept: StoredObject, checked: CheckedObject, claim: _Claim) -> Verdict:
    """A held object against what a valid digest swears of it."""
    is_file = kept.origin.source == "file"
    if checked.sha256 is None:
        status, message = Status.MISSING_LOG, f"not found: {checked.flaw}"
    elif checked.flaw and (checked.is_broken or not is_file):
        status, message = Status.INVALID_FORMAT, flaw_of_format(checked)
    elif checked.sha256_raw != claim.sha256:
        status, message = Status.INVALID_HASH, f"hash value doesn't match that in {claim.digest.url}"
    else:
        status, message = Status.VALID, _how_sure(kept, checked, claim)
    return _verdict(url_of(kept.origin), status, message, claim, kept.object_id)


def _how_sure(kept: StoredObject, checked: CheckedObject, claim: _Claim) -> str:
    if place_of(kept.origin) == claim.place:
        return "valid"
    what = "key" if kept.origin.source == "s3" else "path"
    by = f"its {what} from AWSLogs/ on" if "/" in tail_in(kept.origin) else "its file name"
    return f"valid: {checked.flaw or 'a copy'}; recognised by {by} and its hash, its bucket is the digest's word"


def _verdict(url: str, status: Status, message: str, claim: _Claim, object_id: int | None = None) -> Verdict:
    digest, chain = claim.digest, claim.digest.chain
    account, region, trail = (chain.account_id, chain.region, chain.trail) if chain else (None, None, None)
    return Verdict("log", url, status, message, object_id, account, region, trail, digest.starts_at, digest.ends_at)


class _Spans:
    """The times for which digests are held, by account and region: why a log can be in none."""

    def __init__(self, judged: Sequence[Judged]) -> None:
        self._by_region: dict[tuple[str, str], list[tuple[datetime, datetime, str]]] = defaultdict(list)
        self._known = {(each.chain.account_id, each.chain.region) for each in judged if each.chain}
        for each in judged:
            if each.chain and each.starts_at and each.ends_at and each.is_valid:
                spans = self._by_region[each.chain.account_id, each.chain.region]
                spans.append((each.starts_at, each.ends_at, each.url))
        for spans in self._by_region.values():
            spans.sort()

    def knows(self, kept: StoredObject) -> bool:
        """Whether any digest of a log's account and region is held, or the log's name does not tell these."""
        if kept.account_id is None or kept.region is None:
            return bool(self._known)
        return (kept.account_id, kept.region) in self._known

    def why_not(self, kept: StoredObject) -> str:
        """Why no valid digest lists a log object."""
        if kept.delivered_at is None or kept.account_id is None or kept.region is None:
            return "no valid digest lists it; its name does not tell account, region and time"
        spans = self._by_region.get((kept.account_id, kept.region))
        if not spans:
            return "no valid digest of its account and region is held"
        at = bisect_right(spans, kept.delivered_at, key=itemgetter(0)) - 1
        last = max(end for _, end, _ in spans)
        if kept.delivered_at >= last:
            return f"newer than the last digest, which ends at {shown(last)}: digests follow an hour or two behind"
        if at < 0:
            return f"older than the first digest that is held, which starts at {shown(spans[0][0])}"
        _, end, url = spans[at]
        if kept.delivered_at < end:
            return f"delivered within the time of {url}, which is valid and does not list it"
        return f"no valid digest is held for the time it was delivered, after {shown(end)}"
