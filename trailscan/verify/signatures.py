"""CloudTrail's public keys and what they verify: RSA over SHA-256, offline, with the keys that a sync saved.

The only module that uses cryptography. It never fetches a key, and trusts a kept one only as far as its fingerprint goes.
Source: AWS CloudTrail API Reference, "PublicKey"; User Guide, "CloudTrail digest file structure".
"""

import base64
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from trailscan.cloudtrail.digest_file import moment_of

ALGORITHM = "SHA256withRSA"
ANY_REGION = "any"  # in place of a region, for keys that came without one
_LARGEST_FILE = 16 << 20  # bytes; a region's keys of ten years are some hundred KB


class PublicKey(msgspec.Struct, frozen=True):
    """A key as it was kept: its fingerprint, its DER bytes, its region, from when to when it was valid (naive UTC).

    A region of `ANY_REGION` is one that nobody named. `note` tells where it came from, unless CloudTrail itself gave it to
    this archive; `kept_in` is the file, by its name alone, and `sha256` is of the key as kept (`hash_of_key`).
    """

    fingerprint: str
    der: bytes
    region: str
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    note: str = ""
    kept_in: str = ""
    sha256: str = ""

    def is_of(self, region: str | None) -> bool:
        """Whether it counts for digests of a region."""
        return region is None or self.region in {region, ANY_REGION}

    def is_valid_in(self, times: "Times | None") -> bool:
        """Whether it was valid at some time of these; a key or a digest without times excludes nothing."""
        if times is None:
            return True
        first, last = times
        return (self.valid_from is None or self.valid_from <= last) and (self.valid_until is None or self.valid_until >= first)


Times = tuple[datetime, datetime]
"""From when to when, naive UTC, both inclusive."""


class KeyFlaw(msgspec.Struct, frozen=True):
    """A file of keys, or one of its keys, that cannot be used; `file` is its name alone."""

    file: str
    reason: str


class KeptKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key as a file of an archive's folder `keys` holds it: `value` is its DER bytes in base64, times are ISO 8601."""

    fingerprint: str
    value: str
    valid_from: str | None = None
    valid_until: str | None = None


class BadKey(ValueError):
    """No key that is held under a fingerprint is the one it says."""


class NoKey(ValueError):
    """No key is held under a fingerprint for a region; `is_known` says that CloudTrail was asked for it, or limits it."""

    def __init__(self, message: str, is_known: bool = False) -> None:
        super().__init__(message)
        self.is_known = is_known


class KeyRing:
    """The keys that are held, by fingerprint. `asked` tells whether CloudTrail was asked for one, and has it not."""

    def __init__(self, keys: Iterable[PublicKey], asked: "Callable[[str, str, Times], bool] | None" = None) -> None:
        self._keys: dict[str, list[PublicKey]] = {}
        self._loaded: dict[tuple[str, bytes], RSAPublicKey] = {}
        self._asked = asked
        for key in keys:
            self._keys.setdefault(key.fingerprint, []).append(key)

    def verifier(self, fingerprint: str, region: str | None, times: Times | None) -> tuple[Callable[[bytes, str], bool], str]:
        """What tells whether a text has a hex signature of that key, and the key's note. Raises NoKey, BadKey."""
        key = self.key(fingerprint, region, times)
        ready = self._load(key)
        return lambda text, signature: is_signed(text, signature, ready), key.note

    def key(self, fingerprint: str, region: str | None, times: Times | None = None) -> PublicKey:
        """The key of a fingerprint that counts for a region and was valid in that time. Raises NoKey, BadKey.

        A key counts as for `aws cloudtrail validate-logs`, which asks one region for the keys of one span of time. One that
        came from elsewhere does not count where CloudTrail was asked for its keys and did not name it.
        """
        named = f"public key not found in region {region or '?'} for fingerprint {fingerprint[:64]}"
        held = self._keys.get(fingerprint, [])
        of_region = [key for key in held if key.is_of(region)]
        was_asked = bool(region and times and self._asked and self._asked(region, fingerprint, times))
        if not of_region:
            raise NoKey(named + _why_none(held, was_asked), was_asked)
        in_time = [key for key in of_region if key.is_valid_in(times)]
        if not in_time:
            key = of_region[0]
            raise NoKey(f"{named}: the one that is held was valid {_span(key)}, not when this was signed", True)
        key = self._sound(in_time)
        if key.note and was_asked:
            raise NoKey(f"{named}{_why_none(held, was_asked)}, and {key.note}", True)
        return key

    def _sound(self, keys: Sequence[PublicKey]) -> PublicKey:
        """The first that can be loaded, those that CloudTrail gave before others."""
        flaws: list[BadKey] = []
        for key in sorted(keys, key=lambda key: (bool(key.note), key.region)):
            try:
                self._load(key)
            except BadKey as error:
                flaws.append(error)
            else:
                return key
        raise flaws[0]

    def _load(self, key: PublicKey) -> RSAPublicKey:
        name = key.fingerprint, key.der
        if name not in self._loaded:
            self._loaded[name] = load_key(key)
        return self._loaded[name]


def _why_none(held: Sequence[PublicKey], was_asked: bool) -> str:
    if was_asked:
        return ": CloudTrail was asked for its keys of that time, and this is none of them"
    if held:
        return f": it is held for {', '.join(sorted({key.region for key in held}))} only"
    return ""


def _span(key: PublicKey) -> str:
    return f"from {key.valid_from or 'the beginning'} to {key.valid_until or 'the end'}, UTC"


def fingerprint_of(der: bytes) -> str:
    """What CloudTrail calls a key: the MD5 of its DER bytes, hex."""
    return hashlib.md5(der, usedforsecurity=False).hexdigest()


def load_key(key: PublicKey) -> RSAPublicKey:
    """A kept key made ready, from PKCS#1 or SubjectPublicKeyInfo. Raises BadKey where it is not the one it says."""
    actual = fingerprint_of(key.der)
    if actual != key.fingerprint:
        raise BadKey(f"the key kept as {key.fingerprint[:64]} has the fingerprint {actual}: it was altered")
    try:
        loaded = load_der_public_key(key.der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey(f"Unable to load PKCS #1 key with fingerprint {key.fingerprint}") from error
    if not isinstance(loaded, RSAPublicKey):
        raise BadKey(f"the key with fingerprint {key.fingerprint} is not an RSA key")
    return loaded


def is_signed(text: bytes, signature: str, key: RSAPublicKey) -> bool:
    """Whether a hex signature is the key's over this text; False for what is no hex."""
    try:
        key.verify(bytes.fromhex(signature), text, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def read_keys(folder: str) -> tuple[list[PublicKey], list[KeyFlaw]]:
    """All keys of an archive's folder of keys, `<region>.json` each, and what cannot be used among them."""
    keys: list[PublicKey] = []
    flaws: list[KeyFlaw] = []
    for name in _files(folder):
        try:
            found = _read(os.path.join(folder, name), name.removesuffix(".json"))
        except OSError as error:
            flaws.append(KeyFlaw(name, f"it cannot be read: {error.strerror}"))
        except (ValueError, RecursionError) as error:
            flaws.append(KeyFlaw(name, f"it does not hold public keys as they were saved: {error}"))
        else:
            keys += found
            flaws += _flaws(name, found)
    return keys, flaws


def _files(folder: str) -> Sequence[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.name.endswith(".json"))
    except FileNotFoundError:
        return []


def _read(path: str, region: str) -> list[PublicKey]:
    with open(path, "rb") as file:
        text = file.read(_LARGEST_FILE + 1)
    if len(text) > _LARGEST_FILE:
        raise ValueError(f"it has more than {_LARGEST_FILE:,} bytes")
    kept = msgspec.json.decode(text, type=list[KeptKey])
    return [key_of(key, region, os.path.basename(path)) for key in kept]


def key_of(kept: KeptKey, region: str, kept_in: str) -> PublicKey:
    """A kept key taken apart. Raises ValueError where its value is no base64."""
    der = base64.b64decode(kept.value, validate=True)
    valid = moment_of(kept.valid_from), moment_of(kept.valid_until)
    return PublicKey(kept.fingerprint, der, region, *valid, kept_in=kept_in, sha256=hash_of_key(kept))


def hash_of_key(kept: KeptKey) -> str:
    """The SHA-256 of a kept key with all that is said of it, hex: what custody holds of each key that was kept."""
    return hashlib.sha256(msgspec.json.encode([kept.fingerprint, kept.value, kept.valid_from, kept.valid_until])).hexdigest()


def _flaws(name: str, keys: list[PublicKey]) -> list[KeyFlaw]:
    flaws = []
    for key in keys:
        try:
            load_key(key)
        except BadKey as error:
            flaws.append(KeyFlaw(name, str(error)))
    return flaws
