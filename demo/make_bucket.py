"""Make the sample bucket of the demonstration: `python -m demo.make_bucket [FOLDER]`. The same bytes every time, all invented.

Three days of an organization's trail over two accounts and two regions: the background of tests/support, and in it one
night's story of Session Manager. `example-trail.metadata.json` holds the S3 metadata of the digests, which are signed with the
demonstration's own key.
Facts: AWS CloudTrail User Guide, "Finding your CloudTrail log files" and "CloudTrail digest file structure".
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from random import Random

from demo.signing import FINGERPRINT, sign
from demo.story import STORY, told
from tests.support.world import LETTERS, START, Record, World, gzipped, is_start_session, key, log_bytes

BUCKET = "example-trail"
FOLDER = Path(__file__).parent / "bucket"
ORGANIZATION = "o-example123"
ACCOUNTS = ("111122223333", "444455556666")
REGIONS = ("eu-west-1", "us-east-1")
DAYS = 3
DELIVERIES = (timedelta(hours=2, minutes=15), timedelta(hours=11, minutes=40), timedelta(hours=21, minutes=5))
RECORDS = 12
SPAN = timedelta(minutes=20)  # before its delivery, that a log may tell of
DIGESTED = timedelta(hours=8)  # CloudTrail's own digests come every hour; so many would hide the sample


@dataclass(frozen=True, slots=True)
class Written:
    """An object: its key, its bytes before gzip, its S3 metadata."""

    key: str
    raw: bytes
    metadata: dict[str, str]


def bucket() -> Iterator[Written]:
    """All objects of the bucket."""
    world, rng = World(20260301), Random("demo")
    for account, region in product(ACCOUNTS, REGIONS):
        logs = [_log(world, rng, START + timedelta(days=day) + at, account, region) for day in range(DAYS) for at in DELIVERIES]
        yield from logs
        yield from _digests(account, region, logs)
    yield _configuration(ACCOUNTS[0], REGIONS[0])


def _log(world: World, rng: Random, delivered: datetime, account: str, region: str) -> Written:
    window = (delivered - SPAN, delivered)
    records = list(_background(world, rng, delivered, account, region))
    records += told(chapter for chapter in STORY if chapter.happened_in(account, region, window))
    records.sort(key=lambda record: str(record["eventTime"]))
    unique = "".join(rng.choices(LETTERS, k=16))
    return Written(key(account, region, delivered, unique, organization=ORGANIZATION), log_bytes(records), {})


def _background(world: World, rng: Random, delivered: datetime, account: str, region: str) -> Iterator[Record]:
    """What else happened in the five minutes before; the story has all sessions that there are."""
    for _ in range(RECORDS):
        record = world.record(delivered - timedelta(seconds=rng.randrange(1, 300)), account, region)
        if not is_start_session(record):
            yield record


def _digests(account: str, region: str, logs: list[Written]) -> Iterator[Written]:
    """The chain of digests over all logs of an account and region."""
    previous: Written | None = None
    for number in range(DAYS * timedelta(days=1) // DIGESTED):
        starts = START + number * DIGESTED
        named = [log for log in logs if starts <= _delivered_at(log) < starts + DIGESTED]
        previous = _digest(account, region, starts, named, previous)
        yield previous


def _delivered_at(log: Written) -> datetime:
    return datetime.strptime(log.key.rsplit("_", 2)[1], "%Y%m%dT%H%MZ").replace(tzinfo=UTC)


def _digest(account: str, region: str, starts: datetime, logs: list[Written], previous: Written | None) -> Written:
    ends = starts + DIGESTED
    folder = f"AWSLogs/{ORGANIZATION}/{account}/CloudTrail-Digest/{region}/{ends:%Y/%m/%d}"
    place = f"{folder}/{account}_CloudTrail-Digest_{region}_example_eu-west-1_{ends:%Y%m%dT%H%M%SZ}.json.gz"
    signed_before = previous.metadata["signature"] if previous else None
    digest = {
        "awsAccountId": account,
        "digestStartTime": f"{starts:%Y-%m-%dT%H:%M:%SZ}",
        "digestEndTime": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
        "digestS3Bucket": BUCKET,
        "digestS3Object": place,
        "digestPublicKeyFingerprint": FINGERPRINT,
        "digestSignatureAlgorithm": "SHA256withRSA",
        "newestEventTime": max(_times(logs), default=None),
        "oldestEventTime": min(_times(logs), default=None),
        "previousDigestS3Bucket": BUCKET if previous else None,
        "previousDigestS3Object": previous.key if previous else None,
        "previousDigestHashValue": hashlib.sha256(previous.raw).hexdigest() if previous else None,
        "previousDigestHashAlgorithm": "SHA-256" if previous else None,
        "previousDigestSignature": signed_before,
        "logFiles": [_entry(log) for log in logs],
    }
    raw = json.dumps(digest, separators=(",", ":")).encode()
    text = [digest["digestEndTime"], f"{BUCKET}/{place}", hashlib.sha256(raw).hexdigest(), signed_before or "null"]
    return Written(place, raw, {"signature": sign("\n".join(map(str, text))), "signature-algorithm": "SHA256withRSA"})


def _entry(log: Written) -> dict[str, str]:
    return {
        "s3Bucket": BUCKET,
        "s3Object": log.key,
        "hashValue": hashlib.sha256(log.raw).hexdigest(),
        "hashAlgorithm": "SHA-256",
        "newestEventTime": max(_times([log])),
        "oldestEventTime": min(_times([log])),
    }


def _times(logs: list[Written]) -> list[str]:
    return [record["eventTime"] for log in logs for record in json.loads(log.raw)["Records"]]


def _configuration(account: str, region: str) -> Written:
    """What AWS Config leaves beside a trail: not CloudTrail's, so to be passed over."""
    name = f"{account}_Config_{region}_ConfigHistory_AWS::EC2::Instance_20260301T060000Z_1.json.gz".replace("::", "-")
    place = f"AWSLogs/{ORGANIZATION}/{account}/Config/{region}/2026/3/1/ConfigHistory/{name}"
    return Written(place, b'{"fileVersion":"1.0","configurationItems":[]}', {})


def write(folder: Path) -> None:
    """Write the bucket as `folder/example-trail/<key>` and its metadata beside it, in place of what was there."""
    shutil.rmtree(folder, ignore_errors=True)
    objects = list(bucket())
    for each in objects:
        path = folder / BUCKET / each.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzipped(each.raw))
    metadata = {each.key: each.metadata for each in objects if each.metadata}
    (folder / f"{BUCKET}.metadata.json").write_text(json.dumps(metadata, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
