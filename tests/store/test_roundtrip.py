"""record -> row -> record: whatever a record holds, its row gives it back, and says what is odd about it."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.parsing import parsed, row_of
from trailscan.store.record_rebuild import DOCUMENTS, TEXTS, record_of

FLAGS = {"readOnly", "managementEvent"}
KNOWN = [*TEXTS.values(), *DOCUMENTS.values(), "eventTime"]
TIMES = ["2026-03-01T09:15:02Z", "2026-03-01T09:15:02.5Z", "20260301T091502Z", "2026-03-01 09:15", "0000-03-01T09:15:02Z"]
HOSTILE = [
    "",
    "\0",
    "a\0b",
    '"',
    "\\",
    "\x1b[2J",
    "\u202egpj",
    "'; DROP TABLE events; --",
    "$.eventName",
    "null",
    "true",
    "É🔒",
]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(HOSTILE)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
sound = {
    **dict.fromkeys(TEXTS.values(), texts),
    **{key: st.booleans() for key in FLAGS},
    **{key: st.dictionaries(texts, values, max_size=3) for key in DOCUMENTS.values()},
    "eventTime": st.sampled_from(TIMES),
    "requestParameters": st.none() | st.dictionaries(texts, values, max_size=3),
    "responseElements": st.none() | st.dictionaries(texts, values, max_size=3),
}
fields = st.sampled_from(KNOWN).flatmap(lambda key: st.tuples(st.just(key), sound[key] | values))
strangers = st.tuples(texts | st.sampled_from(["eventname", "EventTime", "apiVersion", "event.time"]), values)
records = st.lists(fields | strangers, min_size=1, max_size=12).map(dict)
spelling = st.tuples(st.booleans(), st.sampled_from([None, 0, 2]))


def agree(one, other):
    """Whether two JSON values are the same; numbers as doubles, for that is all that JSON promises of them."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(agree(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(agree, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return type(one) in {int, float} and type(other) in {int, float} and float(one) == float(other)
    return type(one) is type(other) and one == other


def mistyped(record):
    """Whether a field with a column has a value that is neither null nor of the column's type."""
    kinds = {key: bool if key in FLAGS else str for key in [*TEXTS.values(), "eventTime"]}
    return any(not isinstance(record.get(key), (kind, type(None))) for key, kind in kinds.items())


@settings(max_examples=60)
@given(st.lists(st.tuples(records, spelling), min_size=1, max_size=12))
def test_every_record_comes_back_from_its_row(spelt):
    texts = [json.dumps(record, ensure_ascii=escaped, indent=indent) for record, (escaped, indent) in spelt]
    for text, row in zip(texts, parsed(texts), strict=True):
        record, back = json.loads(text), record_of(row)
        assert agree(back, record), (back, record)
        flags = (row["flags"] or "").split(",")
        assert ("type-mismatch" in flags) == mistyped(record)
        assert "duplicate-key" not in flags


@pytest.mark.parametrize("key", KNOWN)
def test_a_field_of_any_type_comes_back(key):
    odd = [{key: value} for value in (None, "", "x", 0, -1, 1.5, 10**18, True, False, [], {}, [1], {"a": None})]
    assert [record_of(row) for row in parsed([json.dumps(record) for record in odd])] == odd


def test_a_plain_record_has_no_flags_and_nothing_beside_its_columns():
    row = row_of({"eventTime": "2026-03-01T09:15:02Z", "eventName": "StartSession", "readOnly": False, "resources": []})
    assert row["flags"] is None
    assert row["other_fields"] is None


@pytest.mark.parametrize("nulls", [["requestParameters"], ["responseElements"], ["requestParameters", "responseElements"]])
def test_the_usual_nulls_are_told_from_absence(nulls):
    row = row_of(dict.fromkeys(nulls) | {"eventTime": "2026-03-01T09:15:02Z"})
    assert json.loads(row["other_fields"]) == dict.fromkeys(nulls)
    assert row["flags"] is None


@pytest.mark.parametrize("depth", [130, 900])
def test_deep_nesting_comes_back(depth):
    text = '{"requestParameters":' + "[" * depth + "]" * depth + ',"other":' + "[" * depth + "]" * depth + "}"
    assert record_of(row_of(text)) == json.loads(text)


@pytest.mark.parametrize("number", ["12345678901234567890123", "1e400", "-1e400", "7" * 400, "0.1000000000000000055511151231"])
@pytest.mark.parametrize("field", ["requestParameters", "other"])
def test_no_digit_of_a_number_is_lost_in_the_columns(number, field):
    row = row_of(f'{{"{field}":{{"n":{number}}}}}')
    kept = row["other_fields"] if field == "other" else row["request_parameters"]
    assert number in kept or math.isclose(json.loads(number), float(number))


def test_an_integer_that_python_refuses_comes_back_as_its_digits():
    digits = "7" * 5000
    assert record_of(row_of(f'{{"requestParameters":{{"n":{digits}}}}}')) == {"requestParameters": {"n": digits}}


@pytest.mark.parametrize("number", ["12345678901234567890123", "1e400"])
def test_numbers_beyond_64_bits_come_back(number):
    text = f'{{"requestParameters":{{"n":{number}}}}}'
    assert record_of(row_of(text)) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"eventName":"DescribeSessions","eventName":"StartSession"}',
        '{"eventName":"StartSession","x":1,"\\u0065ventName":"StartSession"}',
        '{"x":1,"eventID":"e","x":1}',
    ],
)
def test_a_key_that_stands_twice_is_flagged_and_the_whole_record_kept(text):
    row = row_of(text)
    assert row["flags"] == "duplicate-key"
    assert json.loads(row["other_fields"], object_pairs_hook=list) == json.loads(text, object_pairs_hook=list)
    assert record_of(row) == json.loads(text)


def test_keys_that_differ_in_case_are_two_keys():
    row = row_of('{"eventname":"DescribeSessions","eventName":"StartSession"}')
    assert (row["event_name"], row["other_fields"], row["flags"]) == ("StartSession", '{"eventname":"DescribeSessions"}', None)


@pytest.mark.parametrize("where", ["requestParameters", "responseElements", "userIdentity"])
def test_a_key_that_stands_twice_inside_a_field_of_a_call_that_opens_shells_is_flagged(where):
    twice = f'"{where}":{{"target":"i-0aaa","target":"i-0bbb"}}'
    assert row_of(f'{{"eventSource":"ssm.amazonaws.com",{twice}}}')["flags"] == "duplicate-key"
