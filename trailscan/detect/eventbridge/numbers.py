"""Numbers as EventBridge compares them: by value, if a double holds them without losing a digit; else only as they are written.

Source: the open-source library of EventBridge's rules, aws/event-ruler 2.0.1, as it was seen to behave.
"""

import math
from decimal import Decimal

_ALL_EXACT = 2**53  # up to here a double holds every integer


def comparable(text: str) -> float | None:
    """The value of a JSON number; None if the nearest double is another number: `9007199254740993`, `1e400`."""
    value = float(text)
    return value if math.isfinite(value) and Decimal(repr(value)) == Decimal(text) else None


def value_of(number: object) -> float | None:
    """The same for a value that JSON gave; None for what is no number."""
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return None
    if isinstance(number, float):
        return number if math.isfinite(number) else None
    if abs(number) <= _ALL_EXACT:
        return float(number)
    return _large(number)


def _large(number: int) -> float | None:
    try:
        value = float(number)
    except OverflowError:
        return None
    return value if Decimal(repr(value)) == number else None
