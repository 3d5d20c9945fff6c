"""An archive made by hand: logs that were delivered, held or not, and the digests that name them.

The digests' hashes are true, their signatures are not. Facts: AWS CloudTrail User Guide, "CloudTrail digest file structure".
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from tests.support import world
from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.origin import Origin
from trailscan.records.inflate import sha256_raw

ACCOUNT, REGION, BUCKET = world.ACCOUNT, world.REGION, "example-trail"


@dataclass(frozen=True, slots=True)
class Log:
    """A delivered log: its key, and the SHA-256 of its inflated bytes."""

    key: str
    sha256: str


class Deliveries:
    """What a trail delivered, below `root`/objects and on record, ready for `trailscan rebuild --archive root`."""

    def __init__(self, root: Path, bucket: str = BUCKET) -> None:
        self.root, self.bucket = root, bucket
        self._world = world.World(7)
        self._unique = count()

    def log(
        self,
        when: str,
        *,
        events: Sequence[str] = (),
        names: str | None = None,
        held: bool = True,
        cut: int = 0,
        account: str = ACCOUNT,
        region: str = REGION,
    ) -> Log:
        """A log delivered at `when`, with a record at that time or at those of `events`, all called `names` if given.

        One that is not `held` is only returned; `cut` takes so many bytes off its end.
        """
        delivered = datetime.fromisoformat(when)
        times = [datetime.fromisoformat(event) for event in events] or [delivered]
        records = [self._world.record(time, account, region) | ({"eventName": names} if names else {}) for time in times]
        raw = world.log_bytes(records)
        key = world.key(account, region, delivered, f"{next(self._unique):016}")
        data = world.gzipped(raw)
        if held:
            self.put(key, data[: len(data) - cut])
        return Log(key, hashlib.sha256(raw).hexdigest())

    def digest(
        self,
        ends: str,
        logs: Sequence[Log] = (),
        *,
        hours: float = 1,
        trail: str = "main",
        account: str = ACCOUNT,
        region: str = REGION,
        **more: Any,
    ) -> str:
        """A digest of the `hours` before `ends` that names these logs; `more` replaces fields. Returns its key."""
        end = datetime.fromisoformat(ends)
        folders = f"AWSLogs/{account}/CloudTrail-Digest/{region}/{end:%Y/%m/%d}"
        key = f"{folders}/{account}_CloudTrail-Digest_{region}_{trail}_{region}_{end:%Y%m%dT%H%M%SZ}.json.gz"
        content = {
            "awsAccountId": account,
            "digestStartTime": f"{end - timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}",
            "digestEndTime": f"{end:%Y-%m-%dT%H:%M:%SZ}",
            "digestS3Bucket": self.bucket,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": "0" * 32,
            "digestSignatureAlgorithm": "SHA256withRSA",
            "previousDigestSignature": None,
            "logFiles": [
                {"s3Bucket": self.bucket, "s3Object": log.key, "hashValue": log.sha256, "hashAlgorithm": "SHA-256"}
                for log in logs
            ],
            **more,
        }
        return self.put(key, world.gzipped(orjson.dumps(content)))

    def put(self, key: str, data: bytes) -> str:
        """Any object."""
        return take_in(self.root, self.bucket, key, data)


def take_in(root: Path, bucket: str, key: str, data: bytes) -> str:
    """Lay an object into the archive at `root` and record it, as a sync does; in place of one of the same key."""
    archive = ArchiveFolder(str(root))
    archive.create()
    known = [origin for origin, _ in archive.recorded()]
    path = f"objects/{bucket}/{key}"
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(data)
    sums = hashlib.sha256(data).hexdigest(), sha256_raw(data)
    fresh = Origin("s3", key, path, len(data), bucket=bucket, etag=sums[0][:32], sha256=sums[0], sha256_raw=sums[1])
    if any(origin.path == path for origin in known):
        (root / "manifest.jsonl").unlink()
        archive.record([origin for origin in known if origin.path != path])
    archive.record([fresh])
    return key
