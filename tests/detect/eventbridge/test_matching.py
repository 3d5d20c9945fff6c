"""What a whole pattern matches: fields together, dots, $or, arrays; and against an evaluation made another way."""

import fnmatch
import time
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.detect.eventbridge.asking import matched, pattern
from trailscan.detect.eventbridge.matching import Entangled, matches

MISSING, THERE = {"exists": False}, {"exists": True}
A_OR_B = {"$or": [{"a": ["1"]}, {"b": ["1"]}]}
ONE_AND_TWO = {"i": {"a": ["1"], "b": ["2"]}}

MATCHING = [
    ({"a": ["x"]}, {"a": "x", "b": "more"}),
    ({"a": ["x"], "b": ["y"]}, {"a": "x", "b": "y"}),
    ({"a.b": ["x"]}, {"a": {"b": "x"}}),
    ({"a": {"b": ["x"]}}, {"a.b": "x"}),
    ({"a": {"b.c": ["x"]}}, {"a.b": {"c": "x"}}),
    ('{"a":["x"],"a":["y"]}', {"a": "y"}),
    ('{"a":{"b":["x"]},"a":{"c":["y"]}}', {"a": {"b": "x", "c": "y"}}),
    ('{"a":{"b":["x"]},"a.b":["y"]}', {"a": {"b": "y"}}),
    (A_OR_B, {"a": "1"}),
    (A_OR_B, {"b": "1"}),
    ({"x": ["1"], **A_OR_B}, {"x": "1", "b": "1"}),
    ({**A_OR_B, "x": A_OR_B}, {"b": "1", "x": {"a": "1"}}),
    ({"$or": [{"a": ["1"]}, {"$or": [{"b": ["1"]}, {"c": ["1"]}]}]}, {"c": "1"}),
    ({"a": ["x"], "$or": [{"a": ["y"]}, {"b": ["z"]}]}, {"a": "y"}),
    ({"a": ["x", "y"]}, {"a": ["z", "y"]}),
    ({"a": [{"anything-but": "x"}]}, {"a": ["x", "y"]}),
    ({"a": [{"anything-but": "x"}]}, {"a": ["x", None]}),
    ({"i": ["x"]}, {"i": [["x"]]}),
    (ONE_AND_TWO, {"i": [{"a": "0"}, {"a": "1", "b": "2"}]}),
    (ONE_AND_TWO, {"i": [{"a": ["0", "1"], "b": ["2"]}]}),
    (ONE_AND_TWO, {"i": [[{"a": "1", "b": "2"}]]}),
    ({"i": ["x"], "i.a": ["1"]}, {"i": ["x", {"a": "1"}]}),
    ({"i": {"a": [MISSING]}}, {"i": [{"b": 1}]}),
    ({"i": {"a": ["x"], "b": [MISSING]}}, {"i": [{"a": "x"}, {"a": "y", "b": 1}]}),
    ({"i": {"a": ["1"], "b": ["x", MISSING]}}, {"i": [{"b": "y", "a": "2"}, {"a": "1"}]}),
    ({"a": [THERE]}, {"a": [None]}),
]
OTHERS = [
    ({"a": ["x"], "b": ["y"]}, {"a": "x"}),
    ('{"a":["x"],"a":["y"]}', {"a": "x"}),
    ('{"a":{"b":["x"]},"a":{"c":["y"]}}', {"a": {"c": "y"}}),
    (A_OR_B, {"a": "0", "b": "0"}),
    ({"x": ["1"], **A_OR_B}, {"a": "1"}),
    ({"$or": [{"a": ["y"]}, {"b": ["z"]}], "a": ["x"]}, {"a": "y"}),
    ({"a": ["x"]}, {"a": []}),
    ({"a": [{"anything-but": "x"}]}, {"a": ["x"]}),
    ({"a": [{"anything-but": "x"}]}, {"a": []}),
    (ONE_AND_TWO, {"i": [{"a": "1"}, {"b": "2"}]}),
    (ONE_AND_TWO, {"i": [[{"a": "1"}, {"b": "2"}]]}),
    (ONE_AND_TWO, {"i": [[{"a": "1"}], [{"b": "2"}]]}),
    ({"i": {"a": [MISSING]}}, {"i": [{"a": "x"}, {"b": 1}]}),
    ({"i": {"a": ["x", MISSING], "b": ["1"]}}, {"i": [{"a": "y", "b": "2"}, {"b": "1"}]}),
]


@pytest.mark.parametrize(("written", "event"), MATCHING)
def test_an_event_matches(written, event):
    assert matched(written, event)


@pytest.mark.parametrize(("written", "event"), OTHERS)
def test_an_event_does_not_match(written, event):
    assert not matched(written, event)


# ---- against another way of telling: take one element of each array, then compare field by field ----

NAMES, VALUES = ["a", "b", "c"], ["x", "y", "xy", "X", "", 1, 2.5, True, None]
scalars = st.sampled_from(VALUES)
lists_of_scalars = st.lists(scalars, max_size=3)


def objects(inner):
    return st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=3)


events = objects(
    st.recursive(scalars | lists_of_scalars, lambda inner: objects(inner) | st.lists(objects(inner), max_size=3), max_leaves=6)
)
OPERATORS = {
    "prefix": lambda asked, value: isinstance(value, str) and value[: len(asked)] == asked,
    "suffix": lambda asked, value: isinstance(value, str) and asked in {value[at:] for at in range(len(value) + 1)},
    "equals-ignore-case": lambda asked, value: isinstance(value, str) and value.upper() == asked.upper(),
    "wildcard": lambda asked, value: isinstance(value, str) and fnmatch.fnmatchcase(value, asked),
    "anything-but": lambda asked, value: value != asked,
    "exists": lambda asked, _: asked,
}
texts = st.sampled_from(["x", "y", "xy", "X"])
items = scalars | st.one_of(
    st.fixed_dictionaries({"exists": st.just(True)}),
    st.fixed_dictionaries({"wildcard": st.sampled_from(["x*", "*y", "*", "x"])}),
    *(st.fixed_dictionaries({name: texts}) for name in ("prefix", "suffix", "equals-ignore-case", "anything-but")),
)
fields = st.lists(items, min_size=1, max_size=2)
patterns = st.recursive(objects(fields), lambda inner: objects(inner | fields), max_leaves=5)
choices = st.lists(patterns, min_size=2, max_size=3).map(lambda options: {"$or": options}) | patterns


def chosen(value):
    """The value with one element in place of each array, in every way; in place of an empty array, nothing."""
    if isinstance(value, list):
        return [each for element in value for each in chosen(element)] or [{}]
    if isinstance(value, dict):
        ways = product(*map(chosen, value.values()))
        return [dict(zip(value, way, strict=True)) for way in ways]
    return [value]


def holds(asked, value):
    if isinstance(asked, list):
        return not isinstance(value, dict) and any(passes(item, value) for item in asked)
    if "$or" in asked:
        return any(holds(option, value) for option in asked["$or"])
    return isinstance(value, dict) and all(name in value and holds(inner, value[name]) for name, inner in asked.items())


def passes(item, value):
    if not isinstance(item, dict):
        return type(item) is type(value) and item == value
    ((name, asked),) = item.items()
    return OPERATORS[name](asked, value)


@given(choices, events)
def test_matching_agrees_with_trying_every_choice_of_elements(written, event):
    assert matched(written, event) == any(holds(written, flat) for flat in chosen(event))


# ---- events made to be hard ----


def test_large_arrays_take_no_long_time():
    asked = pattern({"i": {"a": ["1"], "b": ["2"], "c": [MISSING], "j": {"x": ["1"], "y": ["2"]}}})
    elements = [{"a": "1", "b": "2", "j": [{"x": "1"}, {"y": "2"}]} for _ in range(5_000)]
    start = time.process_time()
    assert not matches(asked, {"i": elements})
    assert time.process_time() - start < 3


def test_many_arrays_side_by_side_take_no_long_time():
    names = [f"f{number:02}" for number in range(30)]
    asked = pattern({name: {"a": ["1"]} for name in names} | {"last": {"a": ["1"], "b": ["1"]}})
    event = {name: [{"a": "1"}] * 50 for name in names} | {"last": [{"a": "1"}, {"b": "1"}]}
    assert not matches(asked, event)
    assert matches(asked, event | {"last": [{"a": "1", "b": "1"}]})


def test_too_many_choices_are_an_error_and_not_an_answer():
    asked = pattern({"a": {"b": {f"f{number}": ["1"] for number in range(9)}}})
    elements = [{f"f{number}": "1"} for number in range(9)] * 40
    with pytest.raises(Entangled, match="more than 50,000 choices"):
        matches(asked, {"a": {"b": elements}, "a.b": [{f"f{number}": "1" for number in range(8)}] * 400})


def test_arrays_in_arrays_can_be_deep():
    value = "x"
    for _ in range(900):
        value = [value]
    assert matched({"a": ["x"]}, {"a": value})
