"""What a Sigma rule asks of an event or a session, as values; SQL is made of them in `rendering`. Pure.

A field may have several values, since arrays are descended: it passes a test when any of them does.
"""

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

import msgspec

Network = IPv4Network | IPv6Network
Match = Literal["equal", "startswith", "endswith", "contains"]


class Column(msgspec.Struct, frozen=True):
    """One value: an expression that is text or NULL."""

    sql: str


class Texts(msgspec.Struct, frozen=True):
    """Several values: an expression that is a list of texts or NULL."""

    sql: str


class Path(msgspec.Struct, frozen=True):
    """What stands at `keys` in a column of JSON, arrays on the way descended; of an object or array, all that is in it."""

    column: str
    keys: tuple[str, ...] = ()


class Field(msgspec.Struct, frozen=True):
    """A field of a rule: its name there, where its values are found, and a condition of SQL for its being there at all."""

    name: str
    values: Column | Texts | Path
    exists: str


class Test(msgspec.Struct, frozen=True):
    """A test of one value: SQL of ours with `{v}` for the value and `{0}`, `{1}` for the parameters.

    `holds` is a text that every value which passes holds, in whatever case.
    """

    sql: str
    parameters: tuple[str | int | float, ...] = ()
    holds: str | None = None


class Passes(msgspec.Struct, frozen=True):
    """Some value of the field passes one of the tests."""

    field: Field
    tests: tuple[Test, ...]


class Within(msgspec.Struct, frozen=True):
    """Some value of the field is an address in the network."""

    field: Field
    network: Network


class Same(msgspec.Struct, frozen=True):
    """Some value of the field matches some value of the other, in whatever case."""

    field: Field
    other: Field
    match: Match


class Exists(msgspec.Struct, frozen=True):
    """The field is there, be it null."""

    field: Field


class Valueless(msgspec.Struct, frozen=True):
    """The field is missing, null, or an array or object with nothing in it."""

    field: Field


class Anywhere(msgspec.Struct, frozen=True):
    """Some value anywhere in the record passes one of the tests; names of fields are not values."""

    tests: tuple[Test, ...]


class All(msgspec.Struct, frozen=True):
    """Every part holds."""

    parts: tuple["Condition", ...]


class Any(msgspec.Struct, frozen=True):
    """Some part holds."""

    parts: tuple["Condition", ...]


class Not(msgspec.Struct, frozen=True):
    """The part does not hold; nothing is neither: a field that is missing passes no test."""

    part: "Condition"


Condition = Passes | Within | Same | Exists | Valueless | Anywhere | All | Any | Not


def any_of(parts: list[Condition]) -> Condition:
    """Some of the parts; tests of the same field become one part, so that its values are taken out once."""
    tests: dict[Field | None, list[Test]] = {}
    others: list[Condition] = []
    for part in parts:
        if isinstance(part, Passes):
            tests.setdefault(part.field, []).extend(part.tests)
        elif isinstance(part, Anywhere):
            tests.setdefault(None, []).extend(part.tests)
        else:
            others.append(part)
    merged = [Passes(field, tuple(of_it)) if field else Anywhere(tuple(of_it)) for field, of_it in tests.items()]
    return merged[0] if len(merged) == 1 and not others else Any((*merged, *others))


def literal(text: str) -> str:
    """A regular expression for just this text; escaped without letters, so that it may be folded to lower case."""
    return re.sub(r"[\x00-/:-@\[-`{-\x7f]", lambda found: "\\" + (found[0] if found[0] != "\0" else "x00"), text)


def networks_in(condition: Condition) -> set[Within]:
    """The networks of a condition: DuckDB knows no addresses, so they are resolved before it is asked."""
    match condition:
        case Within():
            return {condition}
        case All(parts) | Any(parts):
            return set().union(*map(networks_in, parts))
        case Not(part):
            return networks_in(part)
        case _:
            return set()
