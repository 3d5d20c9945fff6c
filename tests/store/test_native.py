"""Records written as CloudTrail writes them take a shorter way into their row: it must lead to the same row as the long one."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.parsing import parsed
from tests.store.test_roundtrip import agree, texts, values
from tests.support.world import ORDER, World, log_bytes
from trailscan.store.database import run, scratch, sql
from trailscan.store.record_rebuild import record_of

WHEN = datetime(2026, 3, 1, 9, 15, tzinfo=UTC)
RECORDS = [World(5).record(WHEN, "111122223333", "eu-west-1") for _ in range(400)]
NATIVE = [json.dumps(record, separators=(",", ":"), ensure_ascii=False) for record in json.loads(log_bytes(RECORDS))["Records"]]
changes = st.lists(st.tuples(st.sampled_from([*ORDER, "strange"]), texts | values), max_size=3)


def dumped(record):
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False)


def in_order(record):
    return {key: record[key] for key in ORDER if key in record} | record


def without_provenance(row):
    return {name: value for name, value in row.items() if name not in {"row_id", "record_index"}}


def native_share(records):
    connection = scratch()
    up_to_compared = sql("parse.sql").partition("looked AS (")[0].rstrip().rstrip(",")
    run(connection, "CREATE TABLE batch AS SELECT 1 AS object_id, 1 AS record_index, unnest(?::VARCHAR[]) AS record", [records])
    counted = run(connection, up_to_compared + " SELECT count(*) FILTER (native), count(*) FROM compared")[0]
    return counted[0] / counted[1]


def test_most_delivered_records_take_the_short_way():
    assert native_share(NATIVE) > 0.9


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(NATIVE), changes), min_size=1, max_size=8))
def test_the_order_of_the_fields_makes_no_difference_to_the_row(changed):
    records = [in_order(json.loads(text) | dict(new)) for text, new in changed]
    native = parsed([dumped(record) for record in records])
    turned = parsed([dumped(dict(reversed(record.items()))) for record in records])
    for record, one, other in zip(records, native, turned, strict=True):
        assert agree(record_of(one), record)
        assert json.loads(one.pop("other_fields") or "{}") == json.loads(other.pop("other_fields") or "{}")
        assert without_provenance(one) == without_provenance(other)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"requestParameters":', '"strange":1,"requestParameters":'),
        ('"eventVersion":"', '"eventVersion":"1.08","eventVersion":"'),
        ('"eventVersion":"', '"eventVersion": "'),
        ('"eventName":"', '"eventName":"x\\",\\"eventName\\":\\"'),
        ('"userAgent":"', '"userAgent":"\\u0041'),
        ('"userAgent":"', '"userAgent":"\\"'),
        ('"userAgent":"', '"userAgent":"\\\\'),
        ('"readOnly":', '"readOnly":1,"readOnly":'),
        ('"eventID":"', '"eventID":7,"x":"'),
        ('"responseElements":', '"responseElements":{"n":1e3},"x":'),
    ],
)
def test_what_is_not_quite_native_loses_nothing(before, after):
    text = NATIVE[0].replace(before, after, 1)
    assert text != NATIVE[0]
    (row,) = parsed([text])
    assert agree(record_of(row), json.loads(text))
    pairs = [key for key, _ in json.loads(text, object_pairs_hook=list)]
    assert ("duplicate-key" in (row["flags"] or "")) == (len(set(pairs)) < len(pairs))


def test_a_text_that_spells_other_fields_is_not_taken_for_them():
    """The second userAgent, without its escapes, would make the very text of the record of which it is a part."""
    inner = 'x","errorCode":"AccessDenied","strange":"'
    text = NATIVE[0].replace('"userAgent":"', '"userAgent":"' + inner + '","userAgent":' + json.dumps(inner) + ',"y":"', 1)
    (row,) = parsed([text])
    assert "duplicate-key" in row["flags"]
    assert agree(record_of(row), json.loads(text))
