"""What an archive holds already, small enough for millions of objects: sixteen bytes each."""

import hashlib
import os
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable

# So that nobody can make a key that passes for one that is held.
_SECRET = os.urandom(16)
_BITS = 64
_HASH = sys.hash_info
_IS_KEYED = (
    _HASH.width == _BITS and _HASH.algorithm.startswith("siphash") and os.environ.get("PYTHONHASHSEED", "random") == "random"
)
_MASK = (1 << _BITS) - 1


class FingerprintIndex:
    """Objects held, each by its name (a key, a path) and its state (an ETag, a size and time)."""

    def __init__(self, objects: Iterable[tuple[str, str]]) -> None:
        names, states = [], []
        for name, state in objects:
            names.append(fingerprint(name))
            states.append(fingerprint(f"{name}\0{state}"))
        self._names = array("Q", sorted(names))
        self._states = array("Q", sorted(states))

    def __len__(self) -> int:
        return len(self._states)

    def has(self, name: str, state: str) -> bool:
        """Whether this very object is held."""
        return len(self._states) > 0 and _contains(self._states, fingerprint(f"{name}\0{state}"))

    def has_other(self, name: str, state: str) -> bool:
        """Whether an object of this name is held, but not this one."""
        return len(self._names) > 0 and _contains(self._names, fingerprint(name)) and not self.has(name, state)


def fingerprint(text: str) -> int:
    """64 bits that nobody can aim at: Python's SipHash, whose key is random, but where somebody has set it."""
    if not _IS_KEYED:
        text_bytes = text.encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(text_bytes, digest_size=8, key=_SECRET).digest(), "big")
    return hash(text) & _MASK


def _contains(numbers: "array[int]", number: int) -> bool:
    at = bisect_left(numbers, number)
    return at < len(numbers) and numbers[at] == number
