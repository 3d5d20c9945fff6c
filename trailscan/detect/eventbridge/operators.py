"""One item of a pattern's leaf, such as `{"prefix": "x"}`, to the criterion it means, or an error that names its place.

Sources: Amazon EventBridge User Guide, "Comparison operators for use in event patterns"; aws/event-ruler 2.0.1, as it was
seen to behave.
"""

from collections.abc import Callable, Sequence

from trailscan.detect.eventbridge.addresses import digits_of, network_digits
from trailscan.detect.eventbridge.criteria import (
    Absent,
    Addresses,
    AnythingBut,
    Criterion,
    Exists,
    Folded,
    Just,
    Number,
    Prefix,
    Range,
    Suffix,
    Texts,
    Wildcard,
)
from trailscan.detect.eventbridge.numbers import comparable
from trailscan.detect.eventbridge.places import Digits, Malformed, Members, inside

_MOST_DIGITS = 400  # of a number that is compared digit by digit
_LOWER, _UPPER = {">": True, ">=": False}, {"<": True, "<=": False}  # and whether the end is open


def criteria_of(items: Sequence[object], place: str) -> tuple[Criterion, ...]:
    """The alternatives of a leaf; plain texts become one criterion. Raises Malformed."""
    if not items:
        raise Malformed(place, "an empty list of alternatives can match nothing")
    texts: set[str] = set()
    criteria: list[Criterion] = []
    for number, item in enumerate(items):
        if isinstance(item, str) and digits_of(item) is None:
            texts.add(item)
        else:
            criteria.append(_criterion(item, f"{place}[{number}]"))
    return ((Texts(frozenset(texts)),) if texts else ()) + tuple(dict.fromkeys(criteria))


def _criterion(item: object, place: str) -> Criterion:
    if isinstance(item, Members):
        return _operator(item, place)
    if isinstance(item, str):
        digits = digits_of(item) or ""
        return Addresses(digits, digits)
    if isinstance(item, Digits):
        return _number(item)
    if isinstance(item, list):
        raise Malformed(place, "a list within the list of alternatives: write the alternatives side by side")
    return Just(item)  # type: ignore[arg-type] # nothing else is left in JSON


def _operator(item: Members, place: str) -> Criterion:
    name, value = _only_member(item, place)
    make = _OPERATORS.get(name)
    if make is None:
        raise Malformed(inside(place, name), f"there is no operator {name[:64]!r}; the operators are {', '.join(_OPERATORS)}")
    return make(value, inside(place, name))


def _only_member(item: Members, place: str) -> tuple[str, object]:
    if len(item.pairs) != 1:
        raise Malformed(place, "an operator is an object with one key" + (f", not {len(item.pairs)}" if item.pairs else ""))
    return item.pairs[0]


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise Malformed(place, "its value must be a text")
    return value


def _exactly(value: object, place: str) -> Criterion:
    return Texts(frozenset((_text(value, place),)))


def _prefix(value: object, place: str) -> Criterion:
    if isinstance(value, Members):
        return Folded(_ignoring_case(value, place), "start")
    return Prefix(_text(value, place))


def _suffix(value: object, place: str) -> Criterion:
    if isinstance(value, Members):
        return Folded(_ignoring_case(value, place), "end")
    return Suffix(_text(value, place))


def _ignoring_case(value: Members, place: str) -> str:
    name, text = _only_member(value, place)
    if name != "equals-ignore-case":
        raise Malformed(inside(place, name), "only equals-ignore-case can stand here")
    return _text(text, inside(place, name))


def _folded(value: object, place: str) -> Criterion:
    return Folded(_text(value, place))


def _wildcard(value: object, place: str) -> Criterion:
    parts, escaped, after_star = [""], False, False
    for at, char in enumerate(_text(value, place)):
        if escaped and char not in "*\\":
            raise Malformed(place, f"at {at}: after a backslash only * or another backslash can stand")
        if escaped or char not in "*\\":
            parts[-1] += char
        elif char == "*" and after_star:
            raise Malformed(place, f"at {at}: two wildcards side by side")
        elif char == "*":
            parts.append("")
        after_star = char == "*" and not escaped
        escaped = char == "\\" and not escaped
    if escaped:
        raise Malformed(place, "it ends in a backslash: after one only * or another backslash can stand")
    return Wildcard(tuple(parts))


def _cidr(value: object, place: str) -> Criterion:
    try:
        return Addresses(*network_digits(_text(value, place)))
    except Malformed:
        raise
    except ValueError as error:
        raise Malformed(place, str(error)) from error


def _exists(value: object, place: str) -> Criterion:
    if not isinstance(value, bool):
        raise Malformed(place, "its value must be true or false")
    return Exists() if value else Absent()


def _number(item: Digits) -> Number:
    whole = item.text.lstrip("-").isdecimal() and len(item.text) <= _MOST_DIGITS
    return Number(comparable(item.text), int(item.text) if whole else None)


def _numeric(value: object, place: str) -> Criterion:
    match value:
        case ["=", Digits() as number]:
            return Number(_value(number, f"{place}[1]"), None)
        case ["<" | "<=" as upper, Digits() as high]:
            return Range(None, _value(high, f"{place}[1]"), high_open=_UPPER[upper])
        case [">" | ">=" as lower, Digits() as low]:
            return Range(_value(low, f"{place}[1]"), None, low_open=_LOWER[lower])
        case [">" | ">=" as lower, Digits() as low, "<" | "<=" as upper, Digits() as high]:
            limits = _value(low, f"{place}[1]"), _value(high, f"{place}[3]")
            if limits[0] >= limits[1]:
                raise Malformed(place, "the lower limit must be less than the upper one")
            return Range(*limits, _LOWER[lower], _UPPER[upper])
        case _:
            raise Malformed(place, 'it must be like ["=", 5], [">", 5] or [">", 0, "<=", 5], the lower limit first')


def _value(number: Digits, place: str) -> float:
    value = comparable(number.text)
    if value is None:
        raise Malformed(place, f"{number.text[:40]} cannot be compared: a double does not hold it")
    return value


def _anything_but(value: object, place: str) -> Criterion:
    if isinstance(value, Members):
        return _anything_but_like(value, place)
    items = value if isinstance(value, list) else [value]
    texts = [item for item in items if isinstance(item, str)]
    numbers = [item for item in items if isinstance(item, Digits)]
    if texts and texts == items:
        return AnythingBut((Texts(frozenset(texts)),))
    if numbers and numbers == items:
        return AnythingBut(tuple(Number(_value(number, place), None) for number in numbers))
    raise Malformed(place, "its value must be a text, a number, or a list of only texts or only numbers")


def _anything_but_like(value: Members, place: str) -> Criterion:
    name, wanted = _only_member(value, place)
    place = inside(place, name)
    if name not in _NEGATED:
        raise Malformed(place, f"within anything-but only {', '.join(_NEGATED)} can stand")
    items = wanted if isinstance(wanted, list) else [wanted]
    if not items or not all(isinstance(item, str) for item in items):
        raise Malformed(place, "its value must be a text or a list of texts")
    if name in {"prefix", "suffix"} and "" in items:
        raise Malformed(place, "an empty text would exclude every text")
    return AnythingBut(tuple(_OPERATORS[name](item, place) for item in items))


_NEGATED = ("prefix", "suffix", "equals-ignore-case", "wildcard")
_OPERATORS: dict[str, Callable[[object, str], Criterion]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _folded,
    "wildcard": _wildcard,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "cidr": _cidr,
    "exists": _exists,
    "exactly": _exactly,
}
OPERATORS = frozenset(_OPERATORS)
