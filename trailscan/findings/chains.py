"""CloudTrail's digest chains judged: each digest by its place, key, signature and neighbours, and what is missing between.

Pure: values in, values out. Every digest is looked up, none is walked to, so no loop of digests can hold it up. It judges
more strictly than `aws cloudtrail validate-logs`: a digest must also be the one, by hash and signature, that its successor
names. Source: AWS CloudTrail User Guide, "CloudTrail digest file structure".
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from trailscan.evidence.digests import Digest, signed_text
from trailscan.evidence.signatures import ALGORITHM, BadKey, KeyRing, NoKey
from trailscan.evidence.verdict import Status, Verdict
from trailscan.findings.whereabouts import Place, could_be, file_tail, name_in, place_of, place_url, url_of
from trailscan.records.checking import Checked, Kept, flaw_of_format

Covered = Callable[[Place, datetime | None], bool]
"""Whether what was fetched would have held the object of this bucket and key, delivered at this time."""

Finding = tuple[Status, str]
_GENERATED = "backfill-generation-timestamp"
_LATE = "_backfill."


class Window(msgspec.Struct, frozen=True):
    """Times of delivery [since, until), naive UTC; None is unbounded."""

    since: datetime | None = None
    until: datetime | None = None

    def takes(self, starts_at: datetime | None, ends_at: datetime | None) -> bool:
        """Whether a span reaches into the window; one without an end is taken, since nothing tells that it does not."""
        if ends_at is None:
            return True
        return (self.since is None or ends_at > self.since) and (self.until is None or (starts_at or ends_at) < self.until)


class Chain(msgspec.Struct, frozen=True):
    """What names a chain: one for each account, region of its logs, trail, and for digests made afterwards."""

    account_id: str
    region: str
    trail: str
    home_region: str
    backfill: bool


class Judged(msgspec.Struct, frozen=True):
    """A digest as it is held, and what was found of it."""

    kept: Kept
    status: Status
    message: str
    place: Place  # in the bucket, for a file as it says itself
    chain: Chain | None
    digest: Digest | None
    starts_at: datetime | None
    ends_at: datetime | None

    @property
    def url(self) -> str:
        """What it is called."""
        return url_of(self.kept.origin)

    @property
    def is_valid(self) -> bool:
        """Whether its word counts."""
        return self.status is Status.VALID

    def verdict(self) -> Verdict:
        """As a row."""
        unchecked = len(self.digest.logs) if self.digest and not self.is_valid else 0
        message = (
            f"{self.message}; the logs it lists ({unchecked:,}) were not checked against it" if unchecked else self.message
        )
        return _verdict(self.url, self.status, message, self.chain, self.starts_at, self.ends_at, self.kept.object_id)


def judge_digests(held: Sequence[tuple[Kept, Checked]], ring: KeyRing) -> list[Judged]:
    """Judge every digest that is held, each version of it, in the order given."""
    lent = _lent(held)
    alone = [_judge(kept, checked, ring, lent) for kept, checked in held]
    successors: dict[Place, list[Judged]] = defaultdict(list)
    ends: dict[Place, datetime] = {}
    for each in alone:
        if each.is_valid and each.digest:
            ends[each.place] = each.digest.ends_at
            if previous := previous_of(each.digest):
                successors[previous].append(each)
    return [
        _beside(each, checked.sha256_raw, successors.get(each.place, ()), ends)
        for each, (_, checked) in zip(alone, held, strict=True)
    ]


def judge_spans(judged: Sequence[Judged], covered: Covered, failed: Collection[Place], window: Window) -> Iterator[Verdict]:
    """What is missing: digests that others name and that are not held, and times for which there is no digest (GAP)."""
    ends = {each.place: each.ends_at for each in judged}
    told: set[Place] = set()
    for before, each in _neighbours(judged):
        previous = previous_of(each.digest) if each.digest else None
        if previous is None or previous in ends:
            found = _gap(before, each, None if previous is None else ends[previous])
        elif previous not in told:
            told.add(previous)
            found = _missing(previous, before, each, covered, failed)
        else:
            found = None
        if found is not None and window.takes(found.starts_at, found.ends_at):
            yield found


def previous_of(digest: Digest) -> Place | None:
    """Where the digest before it lies; None for one that starts a chain."""
    if digest.previous_bucket is None or digest.previous_key is None:
        return None
    return digest.previous_bucket, digest.previous_key


def is_late(url: str) -> bool:
    """Whether a digest was made afterwards, as its name tells; such digests have chains of their own."""
    return _LATE in url.rpartition("/")[2]


def _lent(held: Sequence[tuple[Kept, Checked]]) -> Mapping[Place, set[str]]:
    """The signatures under which digests are named by those after them."""
    found: dict[Place, set[str]] = defaultdict(set)
    for _, checked in held:
        digest = checked.digest
        if digest and digest.previous_signature and (previous := previous_of(digest)):
            found[previous].add(digest.previous_signature)
    return found


# A digest by itself


def _judge(kept: Kept, checked: Checked, ring: KeyRing, lent: Mapping[Place, set[str]]) -> Judged:
    digest = checked.digest
    place = place_of(kept.origin) or ((digest.bucket, digest.key) if digest else ("", url_of(kept.origin)))
    chain = _chain_of(place[1]) or (_chain_of(digest.key) if digest else None)
    flaw = _format_flaw(kept, checked)
    if digest is None or flaw:
        status, message = flaw or (Status.INVALID_FORMAT, "invalid format")
    elif moved := _moved(kept, digest):
        status, message = Status.MOVED, f"has been moved from its original location: {moved}"
    else:
        own = kept.origin.metadata or {}
        status, message = _by_signature(digest, checked.sha256_raw or "", own, lent.get(place, ()), ring, chain)
    if digest is None or status is Status.MOVED:  # then only its name tells the time of the place it lies in
        return Judged(kept, status, message, place, chain, digest, None, kept.delivered_at)
    return Judged(kept, status, message, place, chain, digest, digest.starts_at, digest.ends_at)


def _format_flaw(kept: Kept, checked: Checked) -> Finding | None:
    origin, digest = kept.origin, checked.digest
    if checked.sha256 is None:
        return Status.MISSING_DIGEST, f"not found: {checked.flaw}"
    if checked.flaw and (checked.is_broken or origin.source == "s3"):
        return Status.INVALID_FORMAT, flaw_of_format(checked)
    if digest is None:
        return Status.INVALID_FORMAT, f"invalid format: {checked.digest_flaw}"
    if is_late(digest.key) and origin.metadata and _GENERATED not in origin.metadata:
        return Status.INVALID_FORMAT, f"invalid format: its metadata lacks {_GENERATED}"
    if previous_of(digest) == (digest.bucket, digest.key):
        return Status.INVALID_FORMAT, "invalid format: it names itself as the digest before it"
    return None


def _moved(kept: Kept, digest: Digest) -> str:
    """Where the digest says it was delivered, when that is not where it was found."""
    origin = kept.origin
    found = place_of(origin)
    stayed = could_be(file_tail(origin), digest.key) if found is None else found == (digest.bucket, digest.key)
    return "" if stayed else f"CloudTrail delivered it as {place_url((digest.bucket, digest.key))}"


def _by_signature(
    digest: Digest, sha256_raw: str, metadata: Mapping[str, str], lent: Collection[str], ring: KeyRing, chain: Chain | None
) -> Finding:
    """Judge by the signature kept with the digest, and where none was kept by those that its successors hold."""
    try:
        signed = ring.verifier(digest.fingerprint, chain.home_region if chain else None)
    except NoKey as error:
        return Status.NO_KEY, str(error)
    except BadKey as error:
        return Status.BAD_KEY, str(error)
    text = signed_text(digest, sha256_raw)
    own = metadata.get("signature")
    if own is None:
        return _by_lent(any(signed(text, each) for each in lent), lent)
    if metadata.get("signature-algorithm") != ALGORITHM:
        named = metadata.get("signature-algorithm", "none")
        return Status.INVALID_SIGNATURE, f"signature verification failed: its metadata names the algorithm {named}"
    if signed(text, own):
        return Status.VALID, "valid"
    why = "its content or its signature was altered"
    if any(signed(text, each) for each in lent):
        why = "its content is authentic by the signature that the digest after it holds; that in its metadata was altered"
    return Status.INVALID_SIGNATURE, f"signature verification failed: {why}"


def _by_lent(is_lent: bool, lent: Collection[str]) -> Finding:
    if is_lent:
        return Status.VALID, "valid: by the signature that the digest after it holds, since its own was not kept"
    if lent:
        return Status.INVALID_SIGNATURE, "signature verification failed: by the signature that the digest after it holds"
    return Status.NO_SIGNATURE, "its signature was not kept, and no digest after it is held that would tell it"


# A digest beside its neighbours


def _beside(each: Judged, sha256_raw: str | None, successors: Sequence[Judged], ends: Mapping[Place, datetime]) -> Judged:
    """Compare a digest with what the valid ones after it swear, and with the end of the one before it."""
    status, message = each.status, each.message
    for successor in successors:
        digest = successor.digest
        if digest is None or sha256_raw is None:
            continue
        if digest.previous_sha256 is not None and digest.previous_sha256.lower() != sha256_raw:
            message = f"{message}; {successor.url} swears by other bytes of it"
            if each.is_valid:
                status, message = Status.INVALID_HASH, f"hash value doesn't match that in {successor.url}"
        elif each.is_valid and _differs(each, digest):
            status = Status.INVALID_SIGNATURE
            message = f"signature verification failed: {successor.url} holds another signature of it"
    if status is Status.VALID and each.digest and _ends_before(each.digest, ends):
        status, message = Status.INVALID_FORMAT, "invalid format: the digest that it names as the one before ends no earlier"
    return msgspec.structs.replace(each, status=status, message=message)


def _ends_before(digest: Digest, ends: Mapping[Place, datetime]) -> bool:
    """Whether a digest ends no later than the one that it says came before it: so every loop of digests is found."""
    previous = previous_of(digest)
    return previous is not None and previous in ends and ends[previous] >= digest.ends_at


def _differs(each: Judged, successor: Digest) -> bool:
    own = (each.kept.origin.metadata or {}).get("signature")
    named = successor.previous_signature
    return own is not None and named is not None and own.lower() != named.lower()


def _neighbours(judged: Sequence[Judged]) -> Iterator[tuple[Judged | None, Judged]]:
    """Each digest with the last one of its chain that ends before it."""
    chains: dict[Chain | None, list[Judged]] = defaultdict(list)
    for each in judged:
        if each.ends_at is not None:
            chains[each.chain].append(each)
    for chain in chains.values():
        before: Judged | None = None
        last: Judged | None = None
        for each in sorted(chain, key=lambda each: (each.ends_at, each.url)):
            if last is not None and last.ends_at != each.ends_at:
                before = last
            yield before, each
            last = each


def _gap(before: Judged | None, each: Judged, previous_ends: datetime | None) -> Verdict | None:
    """The time between a digest and the one before it, when they do not meet."""
    if each.digest is None or each.starts_at is None:
        return None
    start = previous_ends if previous_ends is not None else _end_of(before)
    restarts = previous_of(each.digest) is None and each.is_valid
    if start is None or not (start < each.starts_at or (restarts and start == each.starts_at)):
        return None
    times = f"between {shown(start)} and {shown(each.starts_at)}"
    if not each.is_valid:
        message = f"no digest is held for the time {times}, and the one after it is {each.status}"
    elif restarts:
        message = f"No log files were delivered by CloudTrail {times}, by its digests: a new chain starts"
    else:
        message = f"no digest speaks of the time {times}, though the chain goes on"
    return _verdict(each.url, Status.GAP, message, each.chain, start, each.starts_at)


def _end_of(before: Judged | None) -> datetime | None:
    return before.ends_at if before is not None else None


def _missing(place: Place, before: Judged | None, each: Judged, covered: Covered, failed: Collection[Place]) -> Verdict:
    name = name_in(place[1])
    ends_at = name.delivered_at if name else each.starts_at
    witness = each.url if each.is_valid else f"{each.url}, itself {each.status},"
    status, message = Status.MISSING_DIGEST, f"not found: {witness} names it as the one before"
    if place in failed:
        status, message = Status.NOT_SYNCED, f"it could not be fetched; {witness} names it"
    elif not (before is not None if each.kept.origin.source == "file" else covered(place, ends_at)):
        status, message = Status.NOT_SYNCED, f"it was never asked for; {witness} names it as the one before"
    return _verdict(place_url(place), status, message, _chain_of(place[1]) or each.chain, _end_of(before), ends_at)


def _chain_of(key: str) -> Chain | None:
    name = name_in(key)
    if name is None or name.trail is None or name.home_region is None:
        return None
    return Chain(name.account_id, name.region, name.trail, name.home_region, name.backfill)


def shown(moment: datetime) -> str:
    """A time as AWS writes it."""
    return moment.replace(microsecond=0).isoformat() + "Z"


def _verdict(
    url: str,
    status: Status,
    message: str,
    chain: Chain | None,
    starts_at: datetime | None,
    ends_at: datetime | None,
    object_id: int | None = None,
) -> Verdict:
    if chain is None:
        return Verdict("digest", url, status, message, object_id, None, None, None, starts_at, ends_at)
    account, region, trail = chain.account_id, chain.region, chain.trail
    return Verdict("digest", url, status, message, object_id, account, region, trail, starts_at, ends_at)
