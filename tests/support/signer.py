"""CloudTrail digests that really verify: chains of logs and digests, signed by RSA keys of our own; tamper with them at will.

`build_chain` gives values; `write_bucket` lays them down for the S3 stand-in, `write_archive` as a synced archive.
Facts: AWS CloudTrail User Guide, "CloudTrail digest file structure"; CloudTrail API Reference, "ListPublicKeys".
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support import world
from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.object_paths import path_of
from trailscan.archive.origin import Origin
from trailscan.verify.key_ledger import sum_name
from trailscan.verify.signatures import KeptKey, hash_of_key

START = datetime(2026, 3, 1, 0, 14, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
Place = tuple[str, str]  # bucket and key
Content = dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """An object as S3 holds it: its bytes, and its user metadata."""

    body: bytes
    metadata: Mapping[str, str] = field(default_factory=dict)


Objects = dict[Place, Stored]


class Signer:
    """One of CloudTrail's key pairs."""

    def __init__(self, spki: bool = False) -> None:
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = PublicFormat.SubjectPublicKeyInfo if spki else PublicFormat.PKCS1
        self.der = self._private.public_key().public_bytes(Encoding.DER, form)
        self.fingerprint = fingerprint_of(self.der)

    def sign(self, text: bytes) -> str:
        """RSASSA-PKCS1-v1_5 with SHA-256, hex."""
        return self._private.sign(text, padding.PKCS1v15(), SHA256()).hex()

    def public_key(self) -> dict[str, str]:
        """As an archive keeps it."""
        return kept_key(self.der)


def signer(name: str = "main") -> Signer:
    """A key pair of that name, made once: making one takes a tenth of a second. "spki" has the other encoding."""
    return _made(name)


@cache
def _made(name: str) -> Signer:
    return Signer(spki=name == "spki")


def fingerprint_of(der: bytes) -> str:
    """MD5 of a key's DER bytes."""
    return hashlib.md5(der, usedforsecurity=False).hexdigest()


def kept_key(der: bytes) -> dict[str, str]:
    """A public key as an archive keeps it in `keys/<region>.json`."""
    return {
        "fingerprint": fingerprint_of(der),
        "value": base64.b64encode(der).decode(),
        "valid_from": "2026-02-20T00:00:00+00:00",
        "valid_until": "2026-03-22T00:00:00+00:00",
    }


@dataclass(frozen=True)
class Chain:
    """A chain of digests over logs: the objects, and the places of the digests (oldest first) and of the logs."""

    objects: Objects
    digests: list[Place]
    logs: list[Place]


@dataclass(frozen=True)
class Trail:
    """Where a trail delivers to."""

    name: str = "main"
    bucket: str = "example-trail"
    account: str = "111122223333"
    region: str = "eu-west-1"
    home_region: str = "eu-west-1"
    prefix: str = ""
    organization: str = ""
    backfill: bool = False

    def folder(self, kind: str, when: datetime) -> str:
        """The folder of a day's objects."""
        organization = f"{self.organization}/" if self.organization else ""
        return f"{self.prefix}AWSLogs/{organization}{self.account}/{kind}/{self.region}/{when:%Y/%m/%d}/"

    def digest_place(self, ends: datetime) -> Place:
        """Where the digest goes whose time ends then."""
        late = "_backfill" if self.backfill else ""
        name = (
            f"{self.account}_CloudTrail-Digest_{self.region}_{self.name}_{self.home_region}_{ends:%Y%m%dT%H%M%SZ}{late}.json.gz"
        )
        return self.bucket, self.folder("CloudTrail-Digest", ends) + name

    def log_place(self, when: datetime, unique: str) -> Place:
        """Where a log goes."""
        name = f"{self.account}_CloudTrail_{self.region}_{when:%Y%m%dT%H%MZ}_{unique}.json.gz"
        return self.bucket, self.folder("CloudTrail", when) + name


def build_chain(
    hours: int = 3,
    logs_per_hour: int = 2,
    *,
    trail: Trail = Trail(),
    start: datetime = START,
    records_per_log: int = 2,
    by: Signer | None = None,
    after: tuple[Place, Stored] | None = None,
) -> Chain:
    """A sound chain from `start` on, one digest an hour; `after` is a digest that the first one follows."""
    by = by or signer()
    made = world.World(int.from_bytes(hashlib.sha256(trail.name.encode()).digest()[:4], "big"))
    objects: Objects = {}
    digests: list[Place] = []
    logs: list[Place] = []
    previous = after
    for hour in range(hours):
        begins = start + hour * HOUR
        batch = dict(_logs(made, trail, begins, logs_per_hour, records_per_log))
        place = trail.digest_place(begins + HOUR)
        stored = sign(digest_content(trail, begins, begins + HOUR, batch, previous, by), by, trail.backfill)
        objects |= batch | {place: stored}
        digests.append(place)
        logs += batch
        previous = (place, stored)
    return Chain(objects, digests, logs)


def digest_content(
    trail: Trail,
    starts: datetime,
    ends: datetime,
    logs: Mapping[Place, Stored],
    previous: tuple[Place, Stored] | None,
    by: Signer,
) -> Content:
    """A digest's JSON over these logs."""
    bucket, key = trail.digest_place(ends)
    return {
        "awsAccountId": trail.account,
        "digestStartTime": stamp(starts),
        "digestEndTime": stamp(ends),
        "digestS3Bucket": bucket,
        "digestS3Object": key,
        "digestPublicKeyFingerprint": by.fingerprint,
        "digestSignatureAlgorithm": "SHA256withRSA",
        "newestEventTime": stamp(starts) if logs else None,
        "oldestEventTime": stamp(starts) if logs else None,
        **link(previous),
        "logFiles": [sworn(place, stored, starts) for place, stored in logs.items()],
    }


def sign(content: Content, by: Signer, backfill: bool = False) -> Stored:
    """A digest as S3 holds it: gzipped, its signature in the metadata."""
    raw = json.dumps(content, separators=(",", ":")).encode()
    place = f"{content['digestS3Bucket']}/{content['digestS3Object']}"
    previous = content["previousDigestSignature"]
    text = "\n".join([content["digestEndTime"], place, sha256(raw), "null" if previous is None else previous])
    late = {"backfill-generation-timestamp": content["digestEndTime"]} if backfill else {}
    metadata = {"signature": by.sign(text.encode()), "signature-algorithm": "SHA256withRSA", **late}
    return Stored(world.gzipped(raw), metadata)


def link(previous: tuple[Place, Stored] | None) -> Content:
    """What a digest says of the one before it."""
    names = ("S3Bucket", "S3Object", "HashValue", "HashAlgorithm", "Signature")
    values: tuple[str | None, ...] = (None,) * len(names)
    if previous is not None:
        (bucket, key), stored = previous
        values = (bucket, key, sha256(inflated(stored.body)), "SHA-256", stored.metadata["signature"])
    return {f"previousDigest{name}": value for name, value in zip(names, values, strict=True)}


def sworn(place: Place, stored: Stored, when: datetime = START) -> Content:
    """What a digest says of a log."""
    return {
        "s3Bucket": place[0],
        "s3Object": place[1],
        "hashValue": sha256(inflated(stored.body)),
        "hashAlgorithm": "SHA-256",
        "newestEventTime": stamp(when),
        "oldestEventTime": stamp(when),
    }


def content_of(stored: Stored) -> Content:
    """A digest's JSON."""
    return dict(json.loads(inflated(stored.body)))


def resigned(stored: Stored, by: Signer | None = None, **changes: object) -> Stored:
    """The same digest with other fields, signed anew: what only CloudTrail itself could deliver."""
    return sign(content_of(stored) | changes, by or signer(), "backfill-generation-timestamp" in stored.metadata)


def forged(stored: Stored, **changes: object) -> Stored:
    """The same digest with other fields under the old signature."""
    return replace(stored, body=world.gzipped(json.dumps(content_of(stored) | changes).encode()))


def write_bucket(objects: Objects, root: Path) -> None:
    """Lay objects down for the stand-in: `root/<bucket>/<key>`, and their metadata beside each bucket."""
    metadata: dict[str, dict[str, dict[str, str]]] = {}
    odd: dict[str, dict[str, dict[str, str]]] = {}
    for (bucket, key), stored in objects.items():
        (root / bucket).mkdir(parents=True, exist_ok=True)
        if {"", ".", ".."} & set(key.split("/")):  # no path on a disk
            odd.setdefault(bucket, {})[key] = {"base64": base64.b64encode(stored.body).decode()}
        else:
            path = root / bucket / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(stored.body)
        metadata.setdefault(bucket, {})
        if stored.metadata:
            metadata[bucket][key] = dict(stored.metadata)
    for bucket, of_keys in metadata.items():
        (root / f"{bucket}.metadata.json").write_text(json.dumps(of_keys))
    for bucket, bodies in odd.items():
        (root / f"{bucket}.keys.json").write_text(json.dumps(bodies))


def write_archive(objects: Objects, keys: Iterable[dict[str, str]], root: Path, region: str = "eu-west-1") -> ArchiveFolder:
    """An archive that a sync without loading would leave: objects, manifest, keys, and a database that notes them."""
    from trailscan.store.ingest import Ingest

    archive = ArchiveFolder(str(root))
    archive.create()
    keep_keys(archive, region, list(keys))
    with archive.lock():
        origins = list(_origins(archive, objects))
        archive.record(origins)
        intake = Ingest(archive, None, (), lambda: False)
        intake.keep((origin, None) for origin in origins)
        intake.settle()
    return archive


def keep_keys(archive: ArchiveFolder, region: str, keys: list[dict[str, str]]) -> None:
    """What a sync does with the keys that ListPublicKeys gave it: keep them, and note them in custody."""
    archive.save_keys(region, keys)
    if keys:
        kept = [msgspec.convert(key, KeptKey) for key in keys]
        sums = {sum_name(region, key.fingerprint): hash_of_key(key) for key in kept}
        with archive.lock():
            CustodyLog(archive).append("sync", {}, {}, sums)


def inflated(body: bytes) -> bytes:
    """The bytes that CloudTrail hashes."""
    return zlib.decompress(body, 31)


def sha256(data: bytes) -> str:
    """Hex."""
    return hashlib.sha256(data).hexdigest()


def stamp(when: datetime) -> str:
    """A time as CloudTrail writes it."""
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def _logs(made: world.World, trail: Trail, begins: datetime, number: int, records: int) -> Iterator[tuple[Place, Stored]]:
    for index in range(number):
        when = begins + HOUR * index / max(number, 1) + timedelta(seconds=60)
        unique = hashlib.sha256(f"{trail}{begins}{index}".encode()).hexdigest()[:16]
        made_of = [made.record(when, trail.account, trail.region) for _ in range(records)]
        yield trail.log_place(when, unique), Stored(world.object_bytes(made_of))


def _origins(archive: ArchiveFolder, objects: Objects) -> Iterator[Origin]:
    for (bucket, key), stored in objects.items():
        path, digest = archive.put(f"objects/{path_of(bucket, key)}", stored.body, None)
        yield Origin(
            source="s3",
            key=key,
            path=path,
            bytes=len(stored.body),
            bucket=bucket,
            etag=hashlib.md5(stored.body, usedforsecurity=False).hexdigest(),
            metadata=dict(stored.metadata) or None,
            sha256=digest,
            fetched_at=datetime(2026, 3, 2),  # noqa: DTZ001 - UTC without zone
        )
