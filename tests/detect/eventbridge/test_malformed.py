"""What is wrong with a pattern is named, with its place."""

import json

import pytest

from tests.detect.eventbridge.asking import pattern
from trailscan.detect.eventbridge.places import Malformed

VALUES = [
    ({}, "$", "empty object"),
    ([], "$", "a JSON object"),
    ("text", "$", "not JSON"),
    ({"a": {}}, "$.a", "empty object"),
    ({"a": []}, "$.a", "empty list"),
    ({"a": "x"}, "$.a", "must be a list of alternatives"),
    ({"a": {"b": 1}}, "$.a.b", "must be a list of alternatives"),
    ({"a": {"odd name": None}}, '$.a["odd name"]', "must be a list"),
    ({"a": ["x", ["y"]]}, "$.a[1]", "list within the list"),
    ({"a": [{}]}, "$.a[0]", "one key"),
    ({"a": [{"prefix": "x", "suffix": "y"}]}, "$.a[0]", "one key, not 2"),
    ({"a": [{"regex": "x"}]}, "$.a[0].regex", "no operator 'regex'"),
    ({"a": [{"prefix": 1}]}, "$.a[0].prefix", "must be a text"),
    ({"a": [{"suffix": None}]}, "$.a[0].suffix", "must be a text"),
    ({"a": [{"prefix": {"suffix": "x"}}]}, "$.a[0].prefix.suffix", "only equals-ignore-case"),
    ({"a": [{"equals-ignore-case": ["x"]}]}, "$.a[0].equals-ignore-case", "must be a text"),
    ({"a": [{"wildcard": "a**b"}]}, "$.a[0].wildcard", "at 2: two wildcards"),
    ({"a": [{"wildcard": "a\\b"}]}, "$.a[0].wildcard", "at 2: after a backslash"),
    ({"a": [{"wildcard": "a\\"}]}, "$.a[0].wildcard", "ends in a backslash"),
    ({"a": [{"anything-but": None}]}, "$.a[0].anything-but", "must be a text, a number"),
    ({"a": [{"anything-but": True}]}, "$.a[0].anything-but", "must be a text, a number"),
    ({"a": [{"anything-but": []}]}, "$.a[0].anything-but", "must be a text, a number"),
    ({"a": [{"anything-but": ["x", 1]}]}, "$.a[0].anything-but", "only texts or only numbers"),
    ({"a": [{"anything-but": 9007199254740993}]}, "$.a[0].anything-but", "cannot be compared"),
    ({"a": [{"anything-but": {"cidr": "x"}}]}, "$.a[0].anything-but.cidr", "within anything-but only"),
    ({"a": [{"anything-but": {"prefix": ""}}]}, "$.a[0].anything-but.prefix", "empty text"),
    ({"a": [{"anything-but": {"suffix": ["x", ""]}}]}, "$.a[0].anything-but.suffix", "empty text"),
    ({"a": [{"anything-but": {"prefix": []}}]}, "$.a[0].anything-but.prefix", "a text or a list of texts"),
    ({"a": [{"anything-but": {"prefix": ["x", 1]}}]}, "$.a[0].anything-but.prefix", "a text or a list of texts"),
    ({"a": [{"anything-but": {"wildcard": "**"}}]}, "$.a[0].anything-but.wildcard", "two wildcards"),
    ({"a": [{"numeric": 5}]}, "$.a[0].numeric", "it must be like"),
    ({"a": [{"numeric": ["=", "5"]}]}, "$.a[0].numeric", "it must be like"),
    ({"a": [{"numeric": ["!=", 5]}]}, "$.a[0].numeric", "it must be like"),
    ({"a": [{"numeric": ["<", 5, ">", 0]}]}, "$.a[0].numeric", "lower limit first"),
    ({"a": [{"numeric": [">", 5, "<", 5]}]}, "$.a[0].numeric", "less than the upper"),
    ({"a": [{"numeric": [">", 12345678901234567890]}]}, "$.a[0].numeric[1]", "a double does not hold it"),
    ({"a": [{"cidr": "10.0.0.0"}]}, "$.a[0].cidr", "an address, a slash"),
    ({"a": [{"cidr": "10.0.0.0/32"}]}, "$.a[0].cidr", "at most 31"),
    ({"a": [{"cidr": "::/128"}]}, "$.a[0].cidr", "at most 127"),
    ({"a": [{"cidr": "10.0.0/8"}]}, "$.a[0].cidr", "not an IP address"),
    ({"a": [{"cidr": 1}]}, "$.a[0].cidr", "must be a text"),
    ({"a": [{"exists": "true"}]}, "$.a[0].exists", "true or false"),
    ({"a": [{"exactly": 1}]}, "$.a[0].exactly", "must be a text"),
    ({"$or": [{"a": ["x"]}]}, "$.$or", "at least two"),
    ({"$or": [{"a": ["x"]}, "y"]}, "$.$or[1]", "only objects"),
    ({"$or": [{"a": ["x"]}, {}]}, "$.$or[1]", "empty object"),
    ({"$or": [{"a": ["x"]}, {"prefix": ["y"]}]}, "$.$or[1].prefix", "no field can be called prefix"),
    ({"$or": [{"a": ["x"]}, {"b": {"regex": ["y"]}}]}, "$.$or[1].b.regex", "no field can be called regex"),
    ({"a": {"$or": [{"b": ["x"]}, {"c": "y"}]}}, "$.a.$or[1].c", "must be a list"),
]
TEXTS = [
    ("", "line 1, column 1"),
    ('{"a":[1,]}', "line 1, column 9"),
    ('{"a":[NaN]}', "NaN is not a JSON number"),
    ('{"a":[-Infinity]}', "-Infinity is not a JSON number"),
    ('{"a":[1]} x', "Extra data"),
    ("[" * 100_000, "nested too deeply"),
]


@pytest.mark.parametrize(("written", "place", "reason"), VALUES)
def test_a_malformed_pattern_is_refused_by_place_and_reason(written, place, reason):
    with pytest.raises(Malformed) as refused:
        pattern(written)
    assert (refused.value.place, reason in str(refused.value)) == (place, True), str(refused.value)


@pytest.mark.parametrize(("text", "reason"), TEXTS)
def test_what_is_no_json_is_refused_with_its_line(text, reason):
    with pytest.raises(Malformed, match=reason):
        pattern(text)


def test_nesting_has_its_limit():
    deep = ["x"]
    for _ in range(100):
        deep = {"a": deep}
    assert len(pattern(deep).steps) == 100
    with pytest.raises(Malformed, match="nested more than 100 deep"):
        pattern({"b": {"a": deep}})


def test_combinations_have_their_limit():
    choice = {"$or": [{"a": ["x"]}, {"b": ["x"]}]}
    nested = {f"f{number}": choice for number in range(9)}
    assert len(pattern(nested).branches) == 512
    with pytest.raises(Malformed, match="more than 1,000 combinations"):
        pattern(nested | {"g": choice})


@pytest.mark.parametrize("field", [["x"], [{"prefix": "x"}, {"exists": False}]])
def test_a_field_may_be_called_or(field):
    assert {condition.path for branch in pattern({"$or": field}).branches for condition in branch} == {"$or"}


def test_a_huge_malformed_name_is_cut_short():
    with pytest.raises(Malformed) as refused:
        pattern(json.dumps({"a" * 10_000: 1}))
    assert len(refused.value.place) < 100
