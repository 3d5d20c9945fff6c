"""A prefilter on bytes: can this object, or this record, hold a wanted value at all?

It may say yes where the answer is no, never no where it is yes: what it lets through is judged by the real filter. A JSON
string can spell any character as \\uXXXX, so bytes that hold an escaped character of a needle are always let through.
"""

import ctypes
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import cast

import msgspec

SHORTEST = 3  # characters; a shorter needle would be found everywhere
_PLAIN_RUN = re.compile(r"[A-Za-z0-9_.:@ +=,-]+")  # characters that JSON writes one way only, or as \u00XX
_MAYBE_NO_STRING = re.compile(r"[-+0-9.eE]+|true|false|null")
_SPELLING = b"\\u0123456789abcdefABCDEF"  # an escape within JSON within a string can itself be escaped
_ESCAPE = b"\\u00"
Find = Callable[[bytes], Iterator[int]]
_HEAD = len(b'{"Records":[')


def needle_of(value: str, whole: bool) -> bytes | None:
    """What any record that holds a wanted value must hold as bytes, None if that cannot be said.

    `whole`: the value is a JSON string of its own, so its quotes are part of the needle; else it may be a part of one.
    """
    longest = max(_PLAIN_RUN.findall(value), key=len, default="")
    if len(longest) < SHORTEST or _MAYBE_NO_STRING.fullmatch(value):
        return None
    return f'"{value}"'.encode() if whole and longest == value else longest.encode()


class Needles(msgspec.Struct, frozen=True):
    """Groups of needles: bytes are let through when they hold at least one needle of every group."""

    groups: tuple[tuple[bytes, ...], ...]

    @classmethod
    def of(cls, wholes: Iterable[Sequence[str]], parts: Iterable[Sequence[str]] = ()) -> "Needles":
        """From lists of values, one list a filter, of whole strings and of parts of strings.

        A filter with a value that has no needle cannot sift and is left out.
        """
        wanted = [(values, True) for values in wholes] + [(values, False) for values in parts]
        groups = []
        for values, whole in wanted:
            needles = [needle_of(value, whole) for value in values]
            if needles and None not in needles:
                groups.append(tuple(needle for needle in needles if needle is not None))
        return cls(tuple(groups))

    def __bool__(self) -> bool:
        return bool(self.groups)


class Prefilter:
    """Needles made ready to search with; made once in each process."""

    def __init__(self, needles: Needles) -> None:
        self.groups = needles.groups
        characters = b"".join(needle for group in needles.groups for needle in group) + _SPELLING
        self._codes = {f"{code:02x}".encode() for code in characters}

    def lets_through(self, raw: bytes, find: Find | None = None) -> bool:
        """Whether these bytes can hold what is wanted; `find` is their finder, where there is one already."""
        find = find or finder(raw)
        wanted = all(any(_some(find(needle)) for needle in group) for group in self.groups)
        return wanted or self._may_be_escaped(raw, find)

    def hits(self, records: Sequence[msgspec.Raw | bytes]) -> list[int]:
        """The positions in `records` of those that can hold what is wanted, looking at each."""
        return [position for position, record in enumerate(records) if self.lets_through(bytes(record))]

    def hits_of_native(self, raw: bytes, lengths: Sequence[int]) -> list[int]:
        """The same for the records, by their lengths, of a `{"Records":[...]}` that holds them and commas and no more."""
        starts = list(accumulate((length + 1 for length in lengths[:-1]), initial=_HEAD))
        find = finder(raw)
        if len(self.groups) == 1 and not self._may_be_escaped(raw, find):
            found = (at for needle in self.groups[0] for at in find(needle))
            return sorted({bisect_right(starts, at) - 1 for at in found if at >= _HEAD})
        return self.hits([raw[start : start + length] for start, length in zip(starts, lengths, strict=False)])

    def _may_be_escaped(self, raw: bytes, find: Find) -> bool:
        start = len(_ESCAPE)
        return any(raw[at + start : at + start + 2].lower() in self._codes for at in find(_ESCAPE))


def finder(raw: bytes) -> Find:
    """What tells where a needle stands in these bytes, one place after the other.

    C's strstr does it, measured seven times as fast as Python's own search on CloudTrail's JSON. It stops at a NUL, which
    JSON may not hold, and where there is no C library to ask, Python does it.
    """
    strstr = _strstr
    if strstr is None or b"\0" in raw:
        return lambda needle: _find_slowly(raw, needle)
    base = ctypes.cast(ctypes.c_char_p(raw), ctypes.c_void_p).value or 0

    def find(needle: bytes) -> Iterator[int]:
        at = strstr(base, needle)
        while at is not None:
            yield at - base
            at = strstr(at + len(needle), needle)

    return find


def _some(found: Iterator[int]) -> bool:
    return next(found, None) is not None


def _find_slowly(raw: bytes, needle: bytes) -> Iterator[int]:
    at = raw.find(needle)
    while at >= 0:
        yield at
        at = raw.find(needle, at + len(needle))


def _c_library() -> Callable[[int, bytes], int | None] | None:
    try:
        strstr = ctypes.CDLL("msvcrt" if hasattr(ctypes, "windll") else None).strstr
    except (OSError, AttributeError, TypeError):  # pragma: no cover
        return None
    strstr.restype = ctypes.c_void_p
    strstr.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return cast("Callable[[int, bytes], int | None]", strstr)


_strstr = _c_library()
