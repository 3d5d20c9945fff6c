"""CloudTrail's digest chains judged: each digest by its place, key, signature and neighbours, and what is missing between.

Pure: values in, values out. Every digest is looked up, none is walked to, so no loop of digests can hold it up. It judges
more strictly than `aws cloudtrail validate-logs`: a digest must also be the one, by hash and signature, that its successor
names. Source: AWS CloudTrail User Guide, "CloudTrail digest file structure".
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from trailscan.cloudtrail.digest_file import GENERATED, Digest, is_late, signed_between, signed_text
from trailscan.store.verdict import COPIED, OUT_OF_ORDER, UNCHECKED, Status, Verdict
from trailscan.verify.object_check import CheckedObject, StoredObject, flaw_of_format
from trailscan.verify.s3_location import Place, beside, could_be, name_in, place_of, place_url, tail_in, url_of
from trailscan.verify.signatures import ALGORITHM, BadKey, KeyRing, NoKey

Covered = Callable[[Place, datetime | None], bool]
"""Whether what was fetched would have held the object of this bucket and key, delivered at this time."""

Finding = tuple[Status, str]


class Window(msgspec.Struct, frozen=True):
    """Times of delivery [since, until), naive UTC; None is unbounded."""

    since: datetime | None = None
    until: datetime | None = None

    def takes(self, starts_at: datetime | None, ends_at: datetime | None) -> bool:
        """Whether a span may reach into the window: one whose start is not known reaches into every window before its end."""
        if ends_at is None:
            return True
        if self.since is not None and ends_at <= self.since:
            return False
        return self.until is None or starts_at is None or starts_at < self.until

    def holds(self, moment: datetime | None) -> bool:
        """Whether a moment lies in the window; one that is not known may."""
        if moment is None:
            return True
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)


class Chain(msgspec.Struct, frozen=True):
    """What names a chain: one for each account, region of its logs, trail, and for digests made afterwards."""

    account_id: str
    region: str
    trail: str
    home_region: str
    backfill: bool


class Judged(msgspec.Struct, frozen=True):
    """A digest as it is held, and what was found of it."""

    kept: StoredObject
    status: Status
    message: str
    place: Place  # where CloudTrail delivered it, as it says itself; of one that cannot be it, where it lies
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

    @property
    def is_copy(self) -> bool:
        """Whether it is held, but not from where CloudTrail delivered it."""
        return place_of(self.kept.origin) != self.place

    def expected(self, place: Place) -> Place:
        """Where an object that it names should lie: where CloudTrail delivered it, or beside the copy that this one is."""
        found = place_of(self.kept.origin)
        return beside(found, place) if found is not None and found != self.place else place

    def verdict(self) -> Verdict:
        """As a row."""
        unchecked = len(self.digest.logs) if self.digest and not self.is_valid else 0
        message = (
            f"{self.message}; the logs it lists ({unchecked:,}) were not checked against it" if unchecked else self.message
        )
        return _verdict(self.url, self.status, message, self.chain, self.starts_at, self.ends_at, self.kept.object_id)


def judge_digests(held: Sequence[tuple[StoredObject, CheckedObject]], ring: KeyRing) -> list[Judged]:
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


def earliest_starts(judged: Sequence[Judged]) -> Iterator[tuple[Judged, datetime | None]]:
    """Each digest with the earliest time that it can speak of: one that cannot be read, from the end of the one before."""
    befores = {id(each): before for before, each in _neighbours(judged)}
    for each in judged:
        yield each, each.starts_at or _end_of(befores.get(id(each)))


def judge_spans(judged: Sequence[Judged], covered: Covered, failed: Collection[Place], window: Window) -> Iterator[Verdict]:
    """What is missing: digests that others name and that are not held, and times for which there is no digest (GAP)."""
    ends = {each.place: each.ends_at for each in judged}
    told: set[Place] = set()
    for before, each in _neighbours(judged):
        previous = previous_of(each.digest) if each.digest else None
        if previous is not None and previous not in ends:
            previous = held if (held := each.expected(previous)) in ends else previous
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


def _lent(held: Sequence[tuple[StoredObject, CheckedObject]]) -> Mapping[Place, set[str]]:
    """The signatures under which digests are named by those after them."""
    found: dict[Place, set[str]] = defaultdict(set)
    for _, checked in held:
        digest = checked.digest
        if digest and digest.previous_signature and (previous := previous_of(digest)):
            found[previous].add(digest.previous_signature)
    return found


# A digest by itself


def _judge(kept: StoredObject, checked: CheckedObject, ring: KeyRing, lent: Mapping[Place, set[str]]) -> Judged:
    digest, found = checked.digest, place_of(kept.origin)
    named = (digest.bucket, digest.key) if digest else None
    fits = named is not None and could_be(tail_in(kept.origin), named[1])
    place = named if named and (fits or found is None) else found or ("", url_of(kept.origin))
    chain = _chain_of(place[1]) or (_chain_of(digest.key) if digest else None)
    flaw = _format_flaw(kept, checked)
    if digest is None or flaw:
        status, message = flaw or (Status.INVALID_FORMAT, "invalid format")
    elif not fits:
        moved = f"CloudTrail delivered it as {place_url((digest.bucket, digest.key))}"
        status, message = Status.MOVED, f"has been moved from its original location: {moved}"
    else:
        status, message = _by_signature(kept, digest, checked.sha256_raw or "", lent.get(place, ()), ring, chain)
        if found is not None and found != place:
            message = with_note(message, f"{COPIED} {place_url(place)}")
    if digest is None or status is Status.MOVED:  # then only its name tells the time of the place it lies in
        return Judged(kept, status, message, place, chain, digest, None, kept.delivered_at)
    return Judged(kept, status, message, place, chain, digest, digest.starts_at, digest.ends_at)


def _format_flaw(kept: StoredObject, checked: CheckedObject) -> Finding | None:
    origin, digest = kept.origin, checked.digest
    if checked.sha256 is None:
        return Status.MISSING_DIGEST, f"not found: {checked.flaw}"
    if checked.flaw and (checked.is_broken or origin.source == "s3"):
        return Status.INVALID_FORMAT, flaw_of_format(checked)
    if digest is None:
        return Status.INVALID_FORMAT, f"invalid format: {checked.digest_flaw}"
    if is_late(digest.key) and origin.metadata and GENERATED not in origin.metadata:
        return Status.INVALID_FORMAT, f"invalid format: its metadata lacks {GENERATED}"
    return None


def _by_signature(
    kept: StoredObject, digest: Digest, sha256_raw: str, lent: Collection[str], ring: KeyRing, chain: Chain | None
) -> Finding:
    """Judge by the signature kept with the digest, and where none was kept by those that its successors hold."""
    times = signed_between(digest.key, digest.starts_at, digest.ends_at, kept.origin.metadata)
    try:
        signed, note = ring.verifier(digest.fingerprint, chain.region if chain else None, times)
    except NoKey as error:
        return Status.NO_KEY if error.is_known else Status.NOT_VERIFIABLE, str(error)
    except BadKey as error:
        return Status.BAD_KEY, str(error)
    text, metadata = signed_text(digest, sha256_raw), kept.origin.metadata or {}
    own = metadata.get("signature")
    if own is None:
        status, message = _by_lent(any(signed(text, each) for each in lent), lent, _was_delivered(kept, digest))
    else:
        status, message = _by_own(own, metadata, signed, text, lent)
    return status, with_note(message, note) if status is Status.VALID and note else message


def _by_own(
    own: str, metadata: Mapping[str, str], signed: Callable[[bytes, str], bool], text: bytes, lent: Collection[str]
) -> Finding:
    if metadata.get("signature-algorithm") != ALGORITHM:
        named = metadata.get("signature-algorithm", "none")
        return Status.INVALID_SIGNATURE, f"signature verification failed: its metadata names the algorithm {named}"
    if signed(text, own):
        return Status.VALID, "valid"
    why = "its content or its signature was altered"
    if any(signed(text, each) for each in lent):
        why = "its content is authentic by the signature that the digest after it holds; that in its metadata was altered"
    return Status.INVALID_SIGNATURE, f"signature verification failed: {why}"


def _by_lent(is_lent: bool, lent: Collection[str], was_delivered: bool) -> Finding:
    if is_lent:
        return Status.VALID, "valid: by the signature that the digest after it holds, since its own was not kept"
    if lent:
        return Status.INVALID_SIGNATURE, "signature verification failed: by the signature that the digest after it holds"
    why = "no digest after it is held that would tell it"
    if was_delivered:
        return Status.NO_SIGNATURE, f"signature verification failed: its object lacks the signature, and {why}"
    return Status.NOT_VERIFIABLE, f"its signature was not kept with this copy, and {why}"


def _was_delivered(kept: StoredObject, digest: Digest) -> bool:
    """Whether it lies where CloudTrail delivered it, always with its signature; a copy may have lost that."""
    return place_of(kept.origin) == (digest.bucket, digest.key)


def with_note(message: str, note: str) -> str:
    """`valid: note`, after the notes that are there."""
    return f"{message}; {note}" if ":" in message else f"{message}: {note}"


# A digest beside its neighbours


def _beside(each: Judged, sha256_raw: str | None, successors: Sequence[Judged], ends: Mapping[Place, datetime]) -> Judged:
    """Compare a digest with what the valid ones after it swear, and with the end of the one before it."""
    status, message = each.status, each.message
    open_to_doubt = each.is_valid or each.status in UNCHECKED
    for successor in successors:
        digest = successor.digest
        if digest is None or sha256_raw is None or successor.place == previous_of(digest):
            continue
        if digest.previous_sha256 is not None and digest.previous_sha256.lower() != sha256_raw:
            status = Status.INVALID_HASH if open_to_doubt else status
            message = f"{message}; {successor.url} swears by other bytes of it"
            if each.is_valid:
                message = f"hash value doesn't match that in {successor.url}"
        elif open_to_doubt and _differs(each, digest):
            status = Status.INVALID_SIGNATURE
            message = f"signature verification failed: {successor.url} holds another signature of it"
    if status is Status.VALID and each.digest and _ends_before(each.digest, ends):
        message = with_note(message, OUT_OF_ORDER)
    return msgspec.structs.replace(each, status=status, message=message)


def _ends_before(digest: Digest, ends: Mapping[Place, datetime]) -> bool:
    """Whether a digest ends no later than the one that it says came before it: so every loop of digests is named."""
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
    place = each.expected(place)
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
