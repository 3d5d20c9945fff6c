"""What the lines of a manifest come to: each version of each object once, with all that its lines say of it.

A line may complete an earlier one of the same version, or say that a file was moved. Whatever later lines say, the SHA-256
that was recorded first stays: nothing replaces it.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from trailscan.archive.origin import Origin, name_of, state_of
from trailscan.fingerprints import fingerprint

Lines = Callable[[], Iterable[Origin]]


class _Kept(msgspec.Struct):
    """A version of which more than one line speaks; `last` is the number of the last of them."""

    origin: Origin
    last: int


def versions(lines: Lines) -> Iterator[Origin]:
    """Each version once, in the order of their first lines; `lines` gives the manifest's from the start, as often as asked."""
    several, gone = _spoken_of_again(lines)
    merged = _merged(lines, several) if several else {}
    told: set[int] = set()
    for number, origin in enumerate(lines()):
        mark = mark_of(origin)
        kept = merged.get(mark) or _Kept(origin, number)
        if mark not in told and gone.get((fingerprint(name_of(origin)), kept.origin.sha256), -1) <= kept.last:
            yield kept.origin
        if mark in merged:
            told.add(mark)


def completed(first: Origin, later: Origin) -> Origin:
    """What two lines say of one version: the later one counts, but for the hashes that the first one has."""
    if first.sha256 is None:
        return later
    raw = first.sha256_raw or (later.sha256_raw if later.sha256 == first.sha256 else None)
    marks: dict[str, object] = {
        "changed": first.changed or later.changed,
        "stray": first.stray and later.stray,
        "hashed_at": first.hashed_at,
    }
    marks["repaired"] = first.repaired  # it counts in the run that found it
    return msgspec.structs.replace(later, sha256=first.sha256, sha256_raw=raw, **marks)


def mark_of(origin: Origin) -> int:
    """64 bits for one version of one object; another process has others."""
    return fingerprint(f"{name_of(origin)}\0{state_of(origin)}")


def _spoken_of_again(lines: Lines) -> tuple[set[int], dict[tuple[int, str | None], int]]:
    """The versions that have more than one line; and by old name and hash, the line that stands for such a file now."""
    seen: set[int] = set()
    strays: set[int] = set()
    several: set[int] = set()
    gone: dict[tuple[int, str | None], int] = {}
    for number, origin in enumerate(lines()):
        mark = mark_of(origin)
        (several if mark in seen else seen).add(mark)
        name = fingerprint(name_of(origin))
        if origin.stray:
            strays.add(name)
        elif name in strays:  # what was found there has come again, this time from its source
            gone[name, origin.sha256] = number
        if origin.moved_from is not None:
            before = msgspec.structs.replace(origin, path=origin.moved_from)
            gone[fingerprint(name_of(before)), origin.sha256] = number
    return several, gone


def _merged(lines: Lines, several: set[int]) -> dict[int, _Kept]:
    merged: dict[int, _Kept] = {}
    for number, origin in enumerate(lines()):
        mark = mark_of(origin)
        if mark in several:
            before = merged.get(mark)
            merged[mark] = _Kept(origin if before is None else completed(before.origin, origin), number)
    return merged
