"""Lives of buckets, each verified by trailscan and judged by `aws cloudtrail validate-logs`.

Object by object the two agree, or differ as the table says and why.

Skipped where there is no AWS command line: see `test_verify_aws`, whose tamperings lie in a single chain each.
"""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest

from tests.cli.conftest import ENVIRONMENT, TOP
from tests.cli.test_verify_aws import AWS
from tests.query.running import trailscan
from tests.support import signer
from tests.support.cloudtrail import CloudTrail, Offered
from tests.support.signer import HOUR, START, Chain, Objects, Stored, Trail, build_chain
from tests.support.standin import Standin

pytestmark = pytest.mark.skipif(not AWS.exists(), reason="there is no AWS command line in build/aws, nor at TRAILSCAN_AWS")

END = START + 12 * HOUR
LATE = datetime(2026, 4, 9, 12, tzinfo=UTC)  # when backfill digests are made
LATER = datetime(2026, 5, 20, tzinfo=UTC)
OFFERED = [
    Offered(signer.signer().der, "eu-west-1"),
    Offered(signer.signer("before").der, "eu-west-1", until=START + 2 * HOUR),
    Offered(signer.signer("after").der, "eu-west-1", since=START + 2 * HOUR),
    Offered(signer.signer("expired").der, "eu-west-1", since=START - timedelta(90), until=START - timedelta(30)),
    Offered(signer.signer("short").der, "eu-west-1", until=START + HOUR / 2),
    Offered(signer.signer("elsewhere").der, "us-east-1"),
    Offered(signer.signer("late").der, "eu-west-1", since=LATE - HOUR, until=LATE + 30 * 24 * HOUR),
    Offered(signer.signer("late-early").der, "eu-west-1", until=START + 30 * 24 * HOUR),
]
Pairs = Mapping[tuple[str | None, str | None], int]


@dataclass(frozen=True)
class Life:
    """What became of a bucket. `says` counts (what the AWS command line says, what we say) over all objects; `why` is for pairs
    that differ. `code` is our exit code.
    """

    name: str
    make: Callable[[Trail], Objects]
    says: Pairs
    code: int
    why: str = ""
    trail: Trail = field(default_factory=Trail)
    asked: str = ""  # the trail that the AWS command line is asked for, where it is another
    bucket: str = ""  # the bucket that both read, where it is another
    since: datetime = START
    until: datetime = END
    window: bool = False  # verify within these times
    plant: Callable[[Path], None] = lambda _root: None  # done to the archive after the sync

    def place(self) -> Trail:
        """The trail, in a bucket of this life's own."""
        values = {name: getattr(self.trail, name) for name in self.trail.__dataclass_fields__}
        return Trail(**values | {"bucket": f"life-{self.name}"})

    def read_from(self) -> str:
        """The bucket that is synced and validated."""
        return self.bucket or self.place().bucket


def _signed(*by: str, backfill: datetime | None = None) -> Callable[[Trail], Objects]:
    """An hour's digest by each of these keys, each after the other."""

    def make(trail: Trail) -> Objects:
        objects: Objects = {}
        after = None
        for hour, name in enumerate(by):
            chain = build_chain(1, 1, trail=trail, start=START + hour * HOUR, by=signer.signer(name), after=after)
            for place in chain.digests if backfill else ():
                late = {"backfill-generation-timestamp": signer.stamp(backfill)}
                chain.objects[place] = Stored(chain.objects[place].body, {**chain.objects[place].metadata, **late})
            objects |= chain.objects
            after = (chain.digests[-1], chain.objects[chain.digests[-1]])
        return objects

    return make


def _recreated(trail: Trail) -> Objects:
    return build_chain(2, 1, trail=trail).objects | build_chain(2, 1, trail=trail, start=START + 2 * HOUR).objects


def _renamed(trail: Trail) -> Objects:
    """A trail that was made anew under another name."""
    new = Trail("new-name", trail.bucket)
    return build_chain(2, 1, trail=trail).objects | build_chain(2, 1, trail=new, start=START + 2 * HOUR).objects


def _renamed_without(trail: Trail) -> Objects:
    objects = _renamed(trail)
    return {place: stored for place, stored in objects.items() if place != trail.digest_place(START + HOUR)}


def _copied(bucket: str, spoiled: bool = False) -> Callable[[Trail], Objects]:
    def make(trail: Trail) -> Objects:
        chain = build_chain(3, 1, trail=trail)
        copies = {(bucket, key): stored for (_, key), stored in chain.objects.items()}
        if spoiled:
            del copies[bucket, chain.logs[1][1]]
        return chain.objects | copies

    return make


def _without(*hours: int, logs: bool = False) -> Callable[[Trail], Objects]:
    """Six hours whose digests of these hours are gone, and their logs."""

    def make(trail: Trail) -> Objects:
        chain = build_chain(6, 1, trail=trail)
        gone = {chain.digests[hour] for hour in hours} | ({chain.logs[hour] for hour in hours} if logs else set())
        return {place: stored for place, stored in chain.objects.items() if place not in gone}

    return make


def _forged(trail: Trail) -> Objects:
    """The logs are gone, and every digest says that there were none, signed by somebody's own key."""
    chain = build_chain(3, 1, trail=trail)
    return _empty(trail, chain, signer.signer("planted"))


def _empty(trail: Trail, chain: Chain, by: signer.Signer) -> Objects:
    objects: Objects = {}
    before = None
    for hour, place in enumerate(chain.digests):
        content = signer.digest_content(trail, START + hour * HOUR, START + (hour + 1) * HOUR, {}, before, by)
        before = (place, signer.sign(content, by))
        objects[place] = before[1]
    return objects


def _forged_under_own_name(trail: Trail) -> Objects:
    """Forged with somebody's own key, but under the fingerprint of CloudTrail's."""
    chain = build_chain(3, 1, trail=trail)
    planted = signer.signer("planted")
    empty = _empty(trail, chain, planted)
    return {
        place: signer.resigned(stored, planted, digestPublicKeyFingerprint=signer.signer().fingerprint)
        for place, stored in empty.items()
    }


def _put_key(root: Path) -> None:
    """Somebody's own key, laid beside CloudTrail's."""
    path = root / "keys/eu-west-1.json"
    path.write_text(json.dumps([*json.loads(path.read_text()), signer.signer("planted").public_key()]))


def _import_key(root: Path) -> None:
    """The same by the command that is meant for keys."""
    path = root.parent / "planted.json"
    path.write_text(json.dumps([signer.signer("planted").public_key()]))
    ended = trailscan("keys", "import", _listed(path), "--region", "eu-west-1", "--archive", root)
    assert ended.code == 0, ended.stderr


def _listed(path: Path) -> Path:
    """What `aws cloudtrail list-public-keys` would print of it."""
    key = signer.signer("planted").public_key()
    one = {
        "Value": key["value"],
        "ValidityStartTime": "2026-02-20T00:00:00Z",
        "ValidityEndTime": "2026-03-22T00:00:00Z",
        "Fingerprint": key["fingerprint"],
    }
    path.write_text(json.dumps({"PublicKeyList": [one]}))
    return path


GOOD, BAD = "valid", "INVALID"
LOGS_APART = "a log that no valid digest lists is named; validate-logs looks at none"
BEYOND = "validate-logs takes the digests that end in the window or an hour beyond, we those that speak of times in it"
LIVES = [
    Life("rotated", _signed("before", "before", "after", "after"), {(GOOD, "VALID"): 8}, 0),
    Life("key-expired", _signed("main", "expired", "main"), {(GOOD, "VALID"): 4, (BAD, "NO_KEY"): 1, (None, "UNCOVERED"): 1}, 4,
         LOGS_APART),
    Life("key-expired-within", _signed("short", "short", "main"),
         {(GOOD, "VALID"): 4, (GOOD, "NO_KEY"): 1, (GOOD, "UNCOVERED"): 1}, 4,
         "stricter: a key must have been valid when it signed; validate-logs asks once for all keys of the window"),
    Life("key-of-other-region", _signed("main", "elsewhere", "main"),
         {(GOOD, "VALID"): 4, (BAD, "NO_KEY"): 1, (None, "UNCOVERED"): 1}, 4, LOGS_APART),
    Life("backfill", _signed("late", "late", backfill=LATE), {(GOOD, "VALID"): 4}, 0, trail=Trail(backfill=True)),
    Life("backfill-early-key", _signed("late", "late-early", backfill=LATE),
         {(GOOD, "VALID"): 2, (BAD, "NO_KEY"): 1, (None, "UNCOVERED"): 1}, 4, LOGS_APART, trail=Trail(backfill=True)),
    Life("recreated", _recreated, {(GOOD, "VALID"): 8}, 0),
    Life("renamed", _renamed, {(GOOD, "VALID"): 4, (None, "VALID"): 4}, 0, "all trails are verified, not the one asked for",
         asked="new-name"),
    Life("renamed-and-cut", _renamed_without,
         {(GOOD, "VALID"): 4, (None, "VALID"): 2, (None, "MISSING_DIGEST"): 1, (None, "UNCOVERED"): 1}, 4,
         "all trails are verified, not the one asked for", asked="new-name"),
    Life("copied", _copied("life-copy"), {(BAD, "VALID"): 3, (None, "VALID"): 3}, 0,
         "a copy is verified for the place that its digests name", bucket="life-copy"),
    Life("copied-in-part", _copied("life-part", True), {(BAD, "VALID"): 3, (None, "VALID"): 2, (None, "MISSING_LOG"): 1}, 4,
         "a copy is verified for the place that its digests name", bucket="life-part"),
    Life("window-cut", _without(2, 3, logs=True), {(GOOD, "VALID"): 2, (GOOD, None): 4, (BAD, "MISSING_DIGEST"): 1}, 4, BEYOND,
         since=START + 2 * HOUR, until=START + 5 * HOUR, window=True),
    Life("window-all-gone", _without(2, 3), {(GOOD, None): 2, (None, "MISSING_DIGEST"): 1, (None, "UNCOVERED"): 1}, 4,
         BEYOND + "; stricter: the digest after the window names one that is gone", since=START + 2 * HOUR,
         until=START + 3 * HOUR, window=True),
    Life("prefix", _signed("main", "main"), {(GOOD, "VALID"): 4}, 0, trail=Trail(prefix="odd dir/%41+=~é/")),
    Life("prefix-empty-folder", _signed("main", "main"), {(GOOD, "VALID"): 4}, 0, trail=Trail(prefix="/lead//b/")),
    Life("forged-empty", _forged, {(BAD, "NO_KEY"): 3}, 4),
    Life("forged-in-name", _forged_under_own_name, {(BAD, "INVALID_SIGNATURE"): 3}, 4),
    Life("key-laid-beside", _forged, {(BAD, "NO_KEY"): 3}, 4, plant=_put_key),
    Life("key-imported", _forged, {(BAD, "NO_KEY"): 3}, 4, plant=_import_key),
]  # fmt: skip
NAMES = [life.name for life in LIVES]


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Of each life: what the AWS command line says, our verdicts, our exit code, and its archive."""
    tree, archives = tmp_path_factory.mktemp("buckets"), tmp_path_factory.mktemp("archives")
    signer.write_bucket({place: each for life in LIVES for place, each in life.make(life.place()).items()}, tree)
    with Standin(tree) as standin, CloudTrail(OFFERED) as cloudtrail:
        urls = {
            "AWS_ENDPOINT_URL_S3": standin.url,
            "AWS_ENDPOINT_URL_CLOUDTRAIL": cloudtrail.url,
            "AWS_DEFAULT_REGION": "eu-west-1",
        }
        theirs = _theirs(urls)
        with mock.patch.dict(os.environ, ENVIRONMENT | urls, clear=True):
            ours = {life.name: _ours(life, archives / life.name) for life in LIVES}
    return {name: (theirs[name], *ours[name], archives / name) for name in NAMES}


def _theirs(urls):
    done = subprocess.run(
        [AWS.parent / "python", TOP / "tests/support/validate_logs.py"],
        input=json.dumps([_arguments(life) for life in LIVES]),
        env=ENVIRONMENT | urls,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return dict(zip(NAMES, json.loads(done.stdout), strict=True))


def _arguments(life):
    arn = f"arn:aws:cloudtrail:eu-west-1:111122223333:trail/{life.asked or life.place().name}"
    times = ["--start-time", signer.stamp(life.since), "--end-time", signer.stamp(life.until)]
    prefix = ["--s3-prefix", life.trail.prefix.removesuffix("/")] if life.trail.prefix else []
    return ["cloudtrail", "validate-logs", "--trail-arn", arn, "--s3-bucket", life.read_from(), *prefix, *times, "--verbose"]


def _ours(life, root):
    ended = trailscan("sync", f"s3://{life.read_from()}/", "--archive", root, "--jobs", "1")
    assert ended.code in {0, 3}, ended.stderr
    life.plant(root)
    window = ["--since", signer.stamp(life.since), "--until", signer.stamp(life.until)] if life.window else []
    ended = trailscan("verify", "--archive", root, "--jobs", "1", "--format", "jsonl", *window)
    return [json.loads(line) for line in ended.stdout.splitlines()], ended.code


def _pairs(answer, verdicts):
    """How often each pair of (theirs, ours) is said of an object."""
    lines = [line.removeprefix("(backfill) ").split("\t") for line in (answer["out"] + answer["err"]).splitlines()]
    theirs = {(line[0].partition(" ")[0].lower(), line[1]): line[2].partition(":")[0] for line in lines if len(line) == 3}
    kinds = {"digest", "log"}
    ours = {
        (each["kind"], each["object"]): each["status"] for each in verdicts if each["kind"] in kinds and each["status"] != "GAP"
    }
    return Counter((theirs.get(thing), ours.get(thing)) for thing in theirs.keys() | ours.keys())


def _agree(pair):
    theirs, ours = pair
    return (theirs == GOOD) == (ours == "VALID") and None not in pair


@pytest.mark.parametrize("life", LIVES, ids=NAMES)
def test_object_by_object_the_two_agree_or_differ_as_written_here(life, judged):
    answer, verdicts, code, _ = judged[life.name]
    assert _pairs(answer, verdicts) == life.says, answer["out"] + answer["err"]
    assert code == life.code
    assert bool(life.why) == any(not _agree(pair) for pair in life.says)
