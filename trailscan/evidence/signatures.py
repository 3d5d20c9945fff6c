"""CloudTrail's public keys and what they verify: RSA over SHA-256, offline, with the keys that a sync saved.

The only module that uses cryptography. It never fetches a key, and trusts a kept one only as far as its fingerprint goes.
Source: AWS CloudTrail API Reference, "PublicKey"; User Guide, "CloudTrail digest file structure".
"""

import base64
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

ALGORITHM = "SHA256withRSA"
_LARGEST_FILE = 16 << 20  # bytes; a region's keys of ten years are some hundred KB


class PublicKey(msgspec.Struct, frozen=True):
    """A key as it was kept: under which fingerprint, its DER bytes, and for which region."""

    fingerprint: str
    der: bytes
    region: str


class KeyFlaw(msgspec.Struct, frozen=True):
    """A file of keys, or one of its keys, that cannot be used; `file` is its name alone."""

    file: str
    reason: str


class _Kept(msgspec.Struct):
    fingerprint: str
    value: str


class BadKey(ValueError):
    """No key that is held under a fingerprint is the one it says."""


class NoKey(ValueError):
    """No key is held under a fingerprint."""


class KeyRing:
    """The keys that are held, by fingerprint."""

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        self._keys: dict[str, list[PublicKey]] = {}
        self._loaded: dict[str, RSAPublicKey] = {}
        for key in keys:
            self._keys.setdefault(key.fingerprint, []).append(key)

    def verifier(self, fingerprint: str, home_region: str | None) -> Callable[[bytes, str], bool]:
        """What tells whether a text has a hex signature of that key. Raises NoKey, BadKey."""
        key = self.key(fingerprint, home_region)
        return lambda text, signature: is_signed(text, signature, key)

    def key(self, fingerprint: str, home_region: str | None) -> RSAPublicKey:
        """The key of a fingerprint, whichever region it was kept for, the trail's home first. Raises NoKey, BadKey."""
        if fingerprint in self._loaded:
            return self._loaded[fingerprint]
        held = sorted(self._keys.get(fingerprint, ()), key=lambda key: (key.region != home_region, key.region))
        flaws: list[ValueError] = []
        for key in held:
            try:
                self._loaded[fingerprint] = load_key(key)
            except BadKey as error:
                flaws.append(error)
            else:
                return self._loaded[fingerprint]
        raise flaws[0] if flaws else NoKey(f"public key not found for fingerprint {fingerprint[:64]}")


def load_key(key: PublicKey) -> RSAPublicKey:
    """A kept key made ready, from PKCS#1 or SubjectPublicKeyInfo. Raises BadKey where it is not the one it says."""
    actual = hashlib.md5(key.der, usedforsecurity=False).hexdigest()
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
    kept = msgspec.json.decode(text, type=list[_Kept])
    return [PublicKey(key.fingerprint, base64.b64decode(key.value, validate=True), region) for key in kept]


def _flaws(name: str, keys: list[PublicKey]) -> list[KeyFlaw]:
    flaws = []
    for key in keys:
        try:
            load_key(key)
        except BadKey as error:
            flaws.append(KeyFlaw(name, str(error)))
    return flaws
