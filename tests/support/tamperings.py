"""Every way in which somebody can tamper with a trail's bucket, each done to a small chain of its own.

What trailscan must say of each, and what `aws cloudtrail validate-logs` says: they agree but where `differs` tells why.
"""

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.support import signer
from tests.support.signer import HOUR, START, Chain, Content, Objects, Stored, Trail, build_chain
from tests.support.world import gzipped

HOURS, LOGS = 4, 2
SECOND = 1  # which digest is tampered with, of those from 0 to 3
JUNK = b"no key at all, but with a fingerprint of its own"

Tamper = Callable[[Chain], Objects]


@dataclass(frozen=True)
class Case:
    """A tampering: its name is the trail's. `says` are trailscan's verdicts that are not VALID, as (kind, status) in order.

    `aws` are what the AWS command line says beside "valid": the text behind "INVALID: ", or a "No log files" line; None
    where it cannot be asked.
    """

    name: str
    tamper: Tamper
    says: Sequence[tuple[str, str]] = ()
    aws: Sequence[str] | None = ()
    differs: str = ""
    reads_more: bool = False  # trailscan can verify what the AWS command line cannot
    backfill: bool = False
    by: str = "main"

    @property
    def trail(self) -> Trail:
        """The trail it is done to."""
        return Trail(self.name, backfill=self.backfill)

    def objects(self) -> Objects:
        """The bucket's objects after the deed."""
        return self.tamper(build_chain(HOURS, LOGS, trail=self.trail, by=signer.signer(self.by)))


def public_keys() -> list[bytes]:
    """The DER bytes that ListPublicKeys gives: the sound ones in both encodings, and junk."""
    return [signer.signer().der, signer.signer("spki").der, JUNK]


def cases() -> list[Case]:
    """All of them."""
    return [*_of_logs(), *_of_digests(), *_of_signatures(), *_of_chains()]


def _of_logs() -> list[Case]:
    mismatch = ["hash value doesn't match"]
    invalid = [("log", "INVALID_FORMAT")]
    return [
        Case("sound", lambda chain: chain.objects),
        Case("log-altered", _log(_altered), [("log", "INVALID_HASH")], mismatch),
        Case("log-compressed-anew", _log(lambda body: gzip.compress(gzip.decompress(body), 1, mtime=7))),
        Case("log-deleted", _log(None), [("log", "MISSING_LOG")], ["not found"]),
        Case("log-plain", _log(gzip.decompress), invalid, ["invalid format"]),
        Case("log-with-more", _log(lambda body: body + b"more"), invalid, ["unexpected data after end of compressed stream"]),
        Case("log-in-two", _log(_in_two), invalid, ["unexpected data after end of compressed stream"]),
        Case("log-cut", _log(lambda body: body[:-60]), invalid, mismatch, "names what is wrong: the stream is cut short"),
        Case("log-without-trailer", _log(lambda body: body[:-8]), invalid, [], "the end of the stream is looked at"),
        Case("log-with-bad-sum", _log(lambda body: body[:-8] + bytes(8)), invalid, ["invalid format"]),
        Case("log-empty", _log(lambda _: b""), invalid, mismatch, "names what is wrong: nothing is there"),
        Case("log-packed-twice", _log(gzipped), [("log", "INVALID_HASH")], mismatch),
        Case("logs-swapped", _swapped, [("log", "INVALID_HASH")] * 2, mismatch * 2),
        Case("log-planted", _planted, [("log", "UNCOVERED")], [], "looks for logs that no digest lists"),
    ]


def _of_digests() -> list[Case]:
    format_flaw, unlisted = [("digest", "INVALID_FORMAT")], [("log", "UNCOVERED")] * LOGS
    invalid = ["invalid format"]
    return [
        Case("digest-deleted", _digest(None), [("digest", "MISSING_DIGEST"), *unlisted], ["not found"]),
        Case(
            "digest-plain",
            _digest(lambda old: replace(old, body=gzip.decompress(old.body))),
            [*format_flaw, *unlisted],
            invalid,
        ),
        Case("digest-no-json", _digest(lambda old: replace(old, body=gzipped(b"{"))), [*format_flaw, *unlisted], invalid),
        Case("digest-without-end", _digest(_without("digestEndTime")), [*format_flaw, *unlisted], invalid),
        Case(
            "digest-with-more",
            _digest(lambda old: replace(old, body=old.body + b"more")),
            [*format_flaw, *unlisted],
            [],
            "data after the end of a digest is not passed over",
        ),
        Case(
            "digest-replaced-by-older", _older, [("digest", "MOVED"), *unlisted], ["has been moved from its original location"]
        ),
        Case(
            "digest-forged",
            _digest(lambda old: signer.forged(old, logFiles=[])),
            [("digest", "INVALID_SIGNATURE"), *unlisted],
            ["signature verification failed"],
        ),
        Case(
            "digest-of-two-versions",
            _digest(lambda old: signer.resigned(old, logFiles=[])),
            [("digest", "INVALID_HASH"), *unlisted],
            [],
            "a digest must be the one that its successor names by hash",
        ),
    ]


def _of_signatures() -> list[Case]:
    failed, unlisted = ["signature verification failed"], [("log", "UNCOVERED")] * LOGS
    invalid = [("digest", "INVALID_SIGNATURE"), *unlisted]
    unknown = f"public key not found in region eu-west-1 for fingerprint {signer.signer('unknown').fingerprint}"
    no_key = f"Unable to load PKCS #1 key with fingerprint {signer.fingerprint_of(JUNK)}"
    spki = f"Unable to load PKCS #1 key with fingerprint {signer.signer('spki').fingerprint}"
    return [
        Case("signature-altered", _digest(_with(signature="0" * 512)), invalid, failed),
        Case("signature-no-hex", _digest(_with(signature="no hex")), invalid, None),
        Case("signature-of-other-kind", _digest(_with(**{"signature-algorithm": "SHA1withRSA"})), invalid, [], "only SHA-256"),
        Case(
            "signature-lost",
            _digest(lambda old: replace(old, metadata={})),
            [],
            failed,
            "the digest after it holds the signature",
            True,
        ),
        Case(
            "last-signature-lost",
            _digest(lambda old: replace(old, metadata={}), HOURS - 1),
            [("digest", "NO_SIGNATURE"), *unlisted],
            failed,
        ),
        Case(
            "key-unknown",
            _digest(lambda old: signer.resigned(old, signer.signer("unknown"), **_key(signer.signer("unknown").fingerprint))),
            [("digest", "INVALID_HASH"), *unlisted],
            [unknown],
        ),
        Case(
            "key-junk",
            _digest(lambda old: signer.resigned(old, **_key(signer.fingerprint_of(JUNK)))),
            [("digest", "BAD_KEY"), *unlisted],
            [no_key],
        ),
        Case("key-other-encoding", lambda chain: chain.objects, [], [spki] * HOURS, "both encodings are read", True, by="spki"),
    ]


def _of_chains() -> list[Case]:
    unlisted = [("log", "UNCOVERED")] * LOGS
    gap = "No log files were delivered by CloudTrail between 2026-03-01T04:14:05Z and 2026-03-01T06:14:05Z"
    return [
        Case("logging-paused", _paused, [("digest", "GAP")], [gap]),
        Case("backfill", lambda chain: chain.objects, backfill=True),
        Case(
            "backfill-without-time",
            _digest(lambda old: replace(old, metadata={**old.metadata, "backfill-generation-timestamp": ""})),
            [],
            None,
            backfill=True,
        ),
        Case(
            "backfill-lacking-time",
            _digest(_lacking("backfill-generation-timestamp")),
            [("digest", "INVALID_FORMAT"), *unlisted],
            ["invalid format"],
            backfill=True,
        ),
        Case("points-at-itself", _selfish, [("digest", "INVALID_HASH"), *unlisted], None, "the AWS command line never ends"),
        Case("hour-erased", _erased, [("digest", "MISSING_DIGEST")], ["not found"]),
    ]


# Deeds


def _log(change: Callable[[bytes], bytes] | None) -> Tamper:
    """Do something to the second hour's first log; None deletes it."""

    def tamper(chain: Chain) -> Objects:
        place = chain.logs[SECOND * LOGS]
        if change is None:
            return {key: stored for key, stored in chain.objects.items() if key != place}
        return chain.objects | {place: Stored(change(chain.objects[place].body))}

    return tamper


def _digest(change: Callable[[Stored], Stored] | None, which: int = SECOND) -> Tamper:
    """Do something to a digest; None deletes it."""

    def tamper(chain: Chain) -> Objects:
        place = chain.digests[which]
        if change is None:
            return {key: stored for key, stored in chain.objects.items() if key != place}
        return chain.objects | {place: change(chain.objects[place])}

    return tamper


def _altered(body: bytes) -> bytes:
    return gzipped(gzip.decompress(body).replace(b"eventTime", b"eventTimf", 1))


def _in_two(body: bytes) -> bytes:
    raw = gzip.decompress(body)
    return gzipped(raw[:100]) + gzipped(raw[100:])


def _swapped(chain: Chain) -> Objects:
    one, other = chain.logs[:2]
    return chain.objects | {one: chain.objects[other], other: chain.objects[one]}


def _planted(chain: Chain) -> Objects:
    bucket, key = chain.logs[SECOND * LOGS]
    return chain.objects | {(bucket, key[: -len("0.json.gz")] + "Z.json.gz"): chain.objects[bucket, key]}


def _older(chain: Chain) -> Objects:
    return chain.objects | {chain.digests[SECOND]: chain.objects[chain.digests[0]]}


def _without(field: str) -> Callable[[Stored], Stored]:
    def change(old: Stored) -> Stored:
        content = {name: value for name, value in signer.content_of(old).items() if name != field}
        return replace(old, body=gzipped(json.dumps(content).encode()))

    return change


def _with(**metadata: str) -> Callable[[Stored], Stored]:
    return lambda old: replace(old, metadata={**old.metadata, **metadata})


def _lacking(name: str) -> Callable[[Stored], Stored]:
    return lambda old: replace(old, metadata={key: value for key, value in old.metadata.items() if key != name})


def _key(fingerprint: str) -> Content:
    return {"digestPublicKeyFingerprint": fingerprint}


def _paused(chain: Chain) -> Objects:
    """Two hours in which logging was off, then a new chain."""
    trail = Trail("logging-paused")
    again = build_chain(2, LOGS, trail=trail, start=START + (HOURS + 2) * HOUR)
    return chain.objects | again.objects


def _selfish(chain: Chain) -> Objects:
    place = chain.digests[SECOND]
    itself: Content = {"previousDigestS3Bucket": place[0], "previousDigestS3Object": place[1]}
    return chain.objects | {place: signer.resigned(chain.objects[place], **itself)}


def _erased(chain: Chain) -> Objects:
    """A digest and all that it lists."""
    gone = {chain.digests[SECOND], *chain.logs[SECOND * LOGS : SECOND * LOGS + LOGS]}
    return {place: stored for place, stored in chain.objects.items() if place not in gone}
