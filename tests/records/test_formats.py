import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records.shapes_of_records import REPEATS_ONE, WRAPPERS, minified, native, record, record_lists
from trailscan.records.formats import Unwrapped, unwrap


def parsed(found: Unwrapped) -> list[object]:
    return [json.loads(bytes(one)) for one in found.records]


def whats(found: Unwrapped) -> list[tuple[str, int | None]]:
    return [(damage.what, damage.record_index) for damage in found.damage]


@pytest.mark.parametrize("name", WRAPPERS)
@settings(max_examples=25, deadline=None)
@given(records=record_lists)
def test_every_wrapper_gives_back_the_records_in_order(name, records):
    shape, wrap = WRAPPERS[name]
    found = unwrap(wrap(records))
    assert found.damage == []
    assert found.shape == shape
    assert parsed(found) == records + (records[:1] if name in REPEATS_ONE else [])
    assert list(found.indexes) == list(range(len(found.records)))


@given(record_lists)
def test_records_of_a_native_file_are_slices_of_it(records):
    assert [bytes(one) for one in unwrap(native(records)).records] == [minified(one) for one in records]


@pytest.mark.parametrize("raw", [b'{"Records":[]}', b'{"Records":null}', b'{"records": [] }', b'{"Records":[]}\r\n'])
def test_no_records_is_no_damage(raw):
    found = unwrap(raw)
    assert (found.shape, list(found.records), found.damage) == ("records", [], [])


def test_elements_that_are_no_records_keep_their_indexes():
    found = unwrap(minified({"Records": [None, record(1), "x", 7, [record(2)], {}, record(3)]}))
    assert parsed(found) == [record(1), record(2), record(3)]
    assert list(found.indexes) == [1, 4, 6]
    assert whats(found) == [("not-a-record", index) for index in (0, 2, 3, 5)]


@pytest.mark.parametrize("second", [b'"Records"', b'"Rec\\u006frds"'])
def test_a_list_that_stands_twice_is_read_twice_and_told(second):
    found = unwrap(b'{"Records":[' + minified(record(1)) + b"]," + second + b":[" + minified(record(2)) + b"]}")
    assert parsed(found) == [record(1), record(2)]
    assert whats(found) == [("duplicate-key", None)]


def test_a_record_that_is_not_utf8_costs_only_itself():
    raw = native([record(0), record(1, userAgent="LATIN"), record(2)]).replace(b"LATIN", b"caf\xe9")
    found = unwrap(raw)
    assert list(found.indexes) == [0, 2]
    assert whats(found) == [("not-utf8", 1)]
    assert found.damage[0].where_bytes == raw.index(minified(record(1))[:60], 60)


@pytest.mark.parametrize("value", [b'"\\ud800"', b"NaN", b"-Infinity"])
def test_a_record_of_lax_json_costs_only_itself(value):
    raw = native([record(0), record(1, x="LAX"), record(2)]).replace(b'"LAX"', value)
    assert list(unwrap(raw).indexes) == [0, 2]
    assert whats(unwrap(raw)) == [("not-json", 1)]


@pytest.mark.parametrize("value", [b"1e400", b"9" * 5000, b'"\\u0000"', b'"\\ud83d\\ude00"'])
def test_odd_but_valid_values_are_kept(value):
    raw = native([record(0), record(1, x="ODD")]).replace(b'"ODD"', value)
    for spaced in (raw, raw + b"\n", raw.replace(b"[", b"[ ", 1)):
        assert len(unwrap(spaced).records) == 2
        assert unwrap(spaced).damage == []


def test_insights_and_aggregated_records_count_as_records():
    insight = {"insightDetails": {"state": "Start"}, "eventCategory": "Insight", "sharedEventID": "s"}
    aggregated = {"eventId": "a", "timeWindow": {"windowSize": "PT5M"}}
    assert parsed(unwrap(minified([insight, aggregated]))) == [insight, aggregated]


def test_an_error_page_is_named_by_its_code():
    found = unwrap(b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code><Message>no</Message></Error>')
    assert whats(found) == [("error-body", None)]
    assert "AccessDenied" in found.damage[0].reason


def test_a_digest_is_a_shape_without_records_or_damage():
    found = unwrap(minified({"awsAccountId": "111122223333", "digestS3Object": "k", "logFiles": [{"s3Object": "o"}]}))
    assert (found.shape, list(found.records), found.damage) == ("digest", [], [])


@pytest.mark.parametrize("raw", [b"{}", b"7", b'{"a":[1]}', b"plain words\nand more", b'"StartSession"'])
def test_what_is_not_cloudtrail_is_one_damage(raw):
    assert whats(unwrap(raw)) == [("not-cloudtrail", None)]


def test_insights_rows_without_the_message_are_not_taken_for_nothing():
    assert whats(unwrap(b'{"results":[[{"field":"eventName","value":"StartSession"}]]}')) == [("not-cloudtrail", None)]


@pytest.mark.parametrize("inner", ["", "not json", '{"eventVersion": "1', "7"])
def test_a_lookup_event_without_a_record_is_damage_with_its_index(inner):
    good = {"CloudTrailEvent": json.dumps(record(1))}
    found = unwrap(minified({"Events": [{"CloudTrailEvent": inner}, good]}))
    assert list(found.indexes) == [1]
    assert [damage.record_index for damage in found.damage] == [0]


def test_other_events_of_the_bus_are_not_records():
    found = unwrap(minified({"detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2", "detail": {"a": 1}}))
    assert not found.records
    assert found.damage


@settings(max_examples=300)
@given(st.binary(max_size=200) | st.text('{}[]":,\\ \nRecordsevtV1', max_size=80).map(str.encode))
def test_random_bytes_never_raise(raw):
    found = unwrap(raw)
    assert found.records or found.damage or found.shape != "unknown"
