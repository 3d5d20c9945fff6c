"""An event pattern's JSON to the tree that `matching` walks, or an error that names the place; pure.

Sources: Amazon EventBridge User Guide, "Creating event patterns"; aws/event-ruler 2.0.1, as it was seen to behave.
"""

from collections.abc import Sequence

import msgspec

from trailscan.detect.eventbridge.criteria import Criterion
from trailscan.detect.eventbridge.operators import OPERATORS, criteria_of
from trailscan.detect.eventbridge.places import Malformed, Members, inside

MOST_BRANCHES = 1_000  # combinations of $or; EventBridge takes no more
DEEPEST = 100

# EventBridge keeps these from being the names of fields within $or, some for operators that do not exist yet.
_RESERVED = OPERATORS | {
    "=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case", "date-after", "date-on-or-after",
    "date-before", "date-on-or-before", "in-date-range", "ip-address-in-range", "ip-address-not-in-range",
}  # fmt: skip

_Draft = dict[str, tuple[Criterion, ...]]


class Condition(msgspec.Struct, frozen=True):
    """What is asked of the values at one path, its steps joined by dots: that one of the criteria passes."""

    path: str
    criteria: tuple[Criterion, ...]


Branch = tuple[Condition, ...]


class Pattern(msgspec.Struct, frozen=True):
    """A pattern matches where all conditions of one branch hold; there are several where it says $or.

    `steps` are the paths of its conditions and all that they begin with: nothing else of an event need be looked at.
    """

    branches: tuple[Branch, ...]
    steps: frozenset[str]


def pattern_of(document: object, place: str = "$") -> Pattern:
    """The pattern of a JSON document (see `places.parse_json`). Raises Malformed."""
    if not isinstance(document, Members):
        raise Malformed(place, "a pattern is a JSON object")
    drafts: list[_Draft] = [{}]
    _add_fields(document, None, place, drafts, 0)
    branches = dict.fromkeys(tuple(Condition(path, draft[path]) for path in sorted(draft)) for draft in drafts)
    paths = {condition.path for branch in branches for condition in branch}
    return Pattern(tuple(branches), frozenset(step for path in paths for step in _steps(path)))


def _add_fields(
    members: Members, path: str | None, place: str, drafts: list[_Draft], depth: int, within_or: bool = False
) -> None:
    """Put the fields of an object into every draft of a branch; $or makes more drafts of them. The last of twins wins."""
    if not members.pairs:
        raise Malformed(place, "an empty object can match nothing")
    if depth > DEEPEST:
        raise Malformed(place, f"nested more than {DEEPEST} deep")
    for name, value in members.pairs:
        here, field = inside(place, name), name if path is None else f"{path}.{name}"
        if within_or and name in _RESERVED:
            raise Malformed(here, f"within $or no field can be called {name}")
        if isinstance(value, Members):
            _add_fields(value, field, here, drafts, depth + 1, within_or)
        elif isinstance(value, list) and name == "$or" and _is_choice(value):
            _add_choice(value, path, here, drafts, depth)
        elif isinstance(value, list):
            criteria = criteria_of(value, here)
            for draft in drafts:
                draft[field] = criteria
        else:
            raise Malformed(here, "its value must be a list of alternatives, or an object")


def _is_choice(options: Sequence[object]) -> bool:
    """Whether a field called $or is the operator; with a list of texts or operators it is a field like any other."""
    return any(isinstance(option, Members) and any(name not in OPERATORS for name, _ in option.pairs) for option in options)


def _add_choice(options: Sequence[object], path: str | None, place: str, drafts: list[_Draft], depth: int) -> None:
    if len(options) < 2:  # noqa: PLR2004 - a choice
        raise Malformed(place, "$or needs at least two objects")
    before = [dict(draft) for draft in drafts]
    drafts.clear()
    for number, option in enumerate(options):
        here = f"{place}[{number}]"
        if not isinstance(option, Members):
            raise Malformed(here, "only objects can stand in the list of $or")
        fresh = [dict(draft) for draft in before]
        _add_fields(option, path, here, fresh, depth + 1, within_or=True)
        drafts += fresh
        if len(drafts) > MOST_BRANCHES:
            raise Malformed(place, f"more than {MOST_BRANCHES:,} combinations of $or")


def _steps(path: str) -> list[str]:
    return [path[:at] for at, char in enumerate(path) if char == "."] + [path]
