"""What a pattern may ask of one value of an event: one class for each of EventBridge's comparison operators.

Pure and linear in the value's length: both a rule and an event may have been written by an attacker. Sources: Amazon
EventBridge User Guide, "Comparison operators for use in event patterns"; aws/event-ruler 2.0.1, as it was seen to behave.
"""

from typing import Literal

import msgspec

from trailscan.detect.eventbridge.addresses import digits_of, within
from trailscan.detect.eventbridge.numbers import value_of

Scalar = str | int | float | bool | None
Forms = tuple[frozenset[str], ...]


class Texts(msgspec.Struct, frozen=True):
    """One of these texts, exactly."""

    values: frozenset[str]

    def passes(self, value: Scalar) -> bool:
        """Whether the value is as asked for."""
        return isinstance(value, str) and value in self.values


class Just(msgspec.Struct, frozen=True):
    """true, false or null: never a text that spells it, never a field that is not there."""

    value: bool | None

    def passes(self, value: Scalar) -> bool:
        """Whether the value is as asked for."""
        return value is self.value


class Number(msgspec.Struct, frozen=True):
    """A number by its value, or, where a double cannot hold it, a whole number by its digits."""

    value: float | None
    whole: int | None

    def passes(self, value: Scalar) -> bool:
        """Whether the value is as asked for."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return (self.whole is not None and isinstance(value, int) and value == self.whole) or (
            self.value is not None and value_of(value) == self.value
        )


class Range(msgspec.Struct, frozen=True):
    """A number between two others; None is no limit, and an open end is not itself in the range."""

    low: float | None
    high: float | None
    low_open: bool = False
    high_open: bool = False

    def passes(self, value: Scalar) -> bool:
        """Whether the value is as asked for."""
        number = value_of(value)
        if number is None:
            return False
        above = self.low is None or number > self.low or (number == self.low and not self.low_open)
        below = self.high is None or number < self.high or (number == self.high and not self.high_open)
        return above and below


class Addresses(msgspec.Struct, frozen=True):
    """A text that is an IP address between two others, which are given as digits (see `addresses`)."""

    low: str
    high: str

    def passes(self, value: Scalar) -> bool:
        """Whether the value is as asked for."""
        digits = digits_of(value) if isinstance(value, str) else None
        return digits is not None and within(digits, self.low, self.high)


class Prefix(msgspec.Struct, frozen=True):
    """A text that begins with this one."""

    text: str

    def passes(self, value: Scalar) -> bool:
        """Whether the value is as asked for."""
        return isinstance(value, str) and value.startswith(self.text)


class Suffix(msgspec.Struct, frozen=True):
    """A text that ends with this one."""

    text: str

    def passes(self, value: Scalar) -> bool:
        """Whether the value is as asked for."""
        return isinstance(value, str) and value.endswith(self.text)


class Wildcard(msgspec.Struct, frozen=True):
    """A text made of these parts, in order, with anything between them; one part alone is the whole text."""

    parts: tuple[str, ...]

    def passes(self, value: Scalar) -> bool:
        """Whether the value is as asked for."""
        if not isinstance(value, str):
            return False
        first, last = self.parts[0], self.parts[-1]
        if len(self.parts) == 1:
            return value == first
        at, end = len(first), len(value) - len(last)
        if at > end or not value.startswith(first) or not value.endswith(last):
            return False
        for part in self.parts[1:-1]:
            found = value.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True


class Folded(msgspec.Struct, frozen=True):
    """A text that is, begins or ends with this one, each character in its lower or upper case.

    Case is a matter of single characters: `ß` also matches `SS`, which is its upper case, but `SS` does not match `ß`.
    """

    text: str
    where: Literal["whole", "start", "end"] = "whole"

    def passes(self, value: Scalar) -> bool:
        """Whether the value is as asked for."""
        if not isinstance(value, str):
            return False
        forms: Forms = tuple(frozenset((char.lower(), char.upper())) for char in self.text)
        if self.where == "end":
            forms = tuple(frozenset(form[::-1] for form in either) for either in reversed(forms))
            return bool(_ends(forms, value[::-1]))
        ends = _ends(forms, value)
        return bool(ends) if self.where == "start" else len(value) in ends


class AnythingBut(msgspec.Struct, frozen=True):
    """A value, of whatever type, that is none of these. A field that is not there has no value, so it never matches."""

    excluded: "tuple[Criterion, ...]"

    def passes(self, value: Scalar) -> bool:
        """Whether the value is as asked for."""
        return not any(criterion.passes(value) for criterion in self.excluded)


class Exists(msgspec.Struct, frozen=True):
    """Any value, also null."""

    def passes(self, _: Scalar) -> bool:
        """Whether the value is as asked for."""
        return True


class Absent(msgspec.Struct, frozen=True):
    """No value at all: `matching` looks for it, since no value can pass."""

    def passes(self, _: Scalar) -> bool:
        """Whether the value is as asked for."""
        return False


Criterion = Texts | Just | Number | Range | Addresses | Prefix | Suffix | Wildcard | Folded | AnythingBut | Exists | Absent


def _ends(forms: Forms, value: str) -> set[int]:
    """Where in the value the forms can end when they begin at its start; some have more characters than others."""
    ends = {0}
    for either in forms:
        ends = {end + len(form) for end in ends for form in either if value.startswith(form, end)}
        if not ends:
            break
    return ends
