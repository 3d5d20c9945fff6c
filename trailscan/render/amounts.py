"""Numbers as a person says them: counts, sizes, rates, durations. Pure wording; never rounds a count."""

_KILO = 1000
_FINE = 10  # below this one decimal is said
_UNITS = ("KB", "MB", "GB", "TB", "PB")
_SPANS = (
    ("d", 24, "h", 3600),
    ("h", 60, "min", 60),
    ("min", 60, "s", 1),
)  # unit, its parts, a part, the part's seconds


def count(n: int, noun: str, plural: str = "") -> str:
    """`1 object`, `7,883 objects`; `plural` where an s will not do: `count(2, "copy", "copies")`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {plural or noun + 's'}"


def size(n: int) -> str:
    """`n` bytes in powers of 1000: `1 byte`, `1.5 KB`, `254 MB`."""
    if n < _KILO:
        return count(n, "byte")
    power = 1
    while power < len(_UNITS) and round(n / _KILO**power) >= _KILO:
        power += 1
    return f"{_short(n / _KILO**power)} {_UNITS[power - 1]}"


def rate(n: float, seconds: float) -> str:
    """`1,642/s`, `0.4/s`; `-` when no time has passed, for then there is no rate."""
    return f"{_short(n / seconds)}/s" if seconds > 0 else "-"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 12 s`, `2 h 5 min`, `1 d 3 h`: the two greatest units; a negative one has a `-`."""
    if seconds < 0:
        return "-" + duration(-seconds)
    for unit, parts, part, length in _SPANS:
        whole, rest = divmod(round(seconds / length), parts)
        if whole:
            return f"{whole:,} {unit} {rest} {part}" if rest else f"{whole:,} {unit}"
    return f"{_short(seconds)} s"


def _short(amount: float) -> str:
    """One decimal below ten, none above, and none that is zero."""
    return f"{amount:.1f}".removesuffix(".0") if round(amount, 1) < _FINE else f"{amount:,.0f}"
