"""Whether an event matches a pattern; pure, and bounded in time and memory whatever the event.

An array's level vanishes from the path, and all that a match takes from one array must come from one of its elements.
Source: Amazon EventBridge User Guide, "Arrays in event patterns"; aws/event-ruler 2.0.1, as it was seen to behave.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import count

from trailscan.detect.eventbridge.criteria import Absent, Scalar
from trailscan.detect.eventbridge.parsing import Branch, Condition, Pattern

MOST_CHOICES = 50_000  # of elements to take from the event's arrays, at one time

Choice = tuple[int, int]  # an array of the event, by its number, and one of its elements
Place = tuple[Choice, ...]  # the elements of arrays that a value lies in, the outermost first
Leaves = Mapping[str, list[tuple[Scalar, Place]]]


class Entangled(Exception):
    """An event whose arrays allow for more choices than can be looked at; nobody sends such events without intent."""


def matches(pattern: Pattern, event: Mapping[str, object]) -> bool:
    """Whether the event, JSON values by field, matches. Raises Entangled when that cannot be told within bounds."""
    leaves = leaves_of(event, pattern.steps)
    return any(_holds(branch, leaves) for branch in pattern.branches)


def leaves_of(event: Mapping[str, object], steps: frozenset[str]) -> Leaves:
    """The values below the paths in `steps`, by path, each with the array elements that it lies in.

    A value that stands directly in an array lies in none of its elements: any of them will do.
    """
    leaves: dict[str, list[tuple[Scalar, Place]]] = defaultdict(list)
    arrays = count()
    todo: list[tuple[str, object, Place]] = [(name, value, ()) for name, value in event.items() if name in steps]
    while todo:
        path, value, place = todo.pop()
        if isinstance(value, Mapping):
            named = ((f"{path}.{name}", inner) for name, inner in value.items())
            todo += [(longer, inner, place) for longer, inner in named if longer in steps]
        elif isinstance(value, list):
            array = next(arrays)
            todo += [(path, inner, _within(place, array, at, inner)) for at, inner in enumerate(value)]
        else:
            leaves[path].append((value, place))  # type: ignore[arg-type] # nothing else is left in JSON
    return leaves


def _within(place: Place, array: int, at: int, value: object) -> Place:
    return (*place, (array, at)) if isinstance(value, (Mapping, list)) else place


def _holds(branch: Branch, leaves: Leaves) -> bool:
    if any(place for condition in branch for _, place in leaves.get(condition.path, ())):
        return _holds_in_arrays(branch, leaves)
    return all(_is_absent(condition, leaves) or any(_passing(condition, leaves)) for condition in branch)


def _is_absent(condition: Condition, leaves: Leaves) -> bool:
    return Absent() in condition.criteria and condition.path not in leaves


def _passing(condition: Condition, leaves: Leaves) -> Iterator[tuple[Place]]:
    """The places of the values that pass; each wrapped, so that even the empty place is true."""
    for value, place in leaves.get(condition.path, ()):
        if any(criterion.passes(value) for criterion in condition.criteria):
            yield (place,)


# ---- arrays: choose elements, path by path ----


def _holds_in_arrays(branch: Branch, leaves: Leaves) -> bool:
    """Path by path, in their order, with all choices of elements that still can lead to a match."""
    choices: set[frozenset[Choice]] = {frozenset()}
    for number, condition in enumerate(branch):
        later = _arrays_of(branch[number + 1 :], leaves)
        passing = _Tree(place for (place,) in _passing(condition, leaves))
        present = _Tree(place for _, place in leaves.get(condition.path, ())) if Absent() in condition.criteria else None
        choices = _advanced(choices, passing, present, later)
        if not choices:
            return False
    return True


def _arrays_of(conditions: Iterable[Condition], leaves: Leaves) -> set[int]:
    return {array for condition in conditions for _, place in leaves.get(condition.path, ()) for array, _ in place}


def _advanced(
    choices: set[frozenset[Choice]], passing: "_Tree", present: "_Tree | None", later: set[int]
) -> set[frozenset[Choice]]:
    """The choices after one more path; what no later path has to do with is forgotten, so that few stay apart."""
    advanced: set[frozenset[Choice]] = set()
    for choice in choices:
        chosen = dict(choice)
        if present is not None and next(present.agreeing(chosen), None) is None:
            advanced.add(_kept(choice, later))
        for place in passing.agreeing(chosen):
            advanced.add(_kept(choice.union(place), later))
            if len(advanced) > MOST_CHOICES:
                raise Entangled(f"its arrays allow for more than {MOST_CHOICES:,} choices of elements")
            if not later:
                break
    return advanced


def _kept(choice: frozenset[Choice], later: set[int]) -> frozenset[Choice]:
    return frozenset(each for each in choice if each[0] in later)


class _Tree:
    """Places by their first choice, then their second ...: those that agree with a choice are found without the others."""

    def __init__(self, places: Iterable[Place]) -> None:
        self.is_end = False
        self.below: dict[int, dict[int, _Tree]] = {}
        for place in set(places):
            self._add(place)

    def _add(self, place: Place) -> None:
        node = self
        for array, at in place:
            node = node.below.setdefault(array, {}).setdefault(at, _Tree(()))
        node.is_end = True

    def agreeing(self, chosen: Mapping[int, int]) -> Iterator[Place]:
        """The places that take no other element of an array than `chosen` does."""
        todo: list[tuple[_Tree, Place]] = [(self, ())]
        while todo:
            node, place = todo.pop()
            if node.is_end:
                yield place
            for array, elements in node.below.items():
                wanted = [chosen[array]] if array in chosen else elements
                todo += [(elements[at], (*place, (array, at))) for at in wanted if at in elements]
