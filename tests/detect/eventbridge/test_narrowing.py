"""The SQL before the matcher lets every matching record through, however its JSON is written; and few others."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.detect.eventbridge.asking import pattern
from tests.query.conftest import escaped
from tests.store.parsing import parsed
from tests.support.world import World
from trailscan.detect.eventbridge.detail_types import respelled
from trailscan.detect.eventbridge.envelope import envelope, only_reads
from trailscan.detect.eventbridge.matching import leaves_of, matches
from trailscan.detect.eventbridge.narrowing import narrowed
from trailscan.store.database import lock_down, run, scratch
from trailscan.store.record_rebuild import record_of

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
ADDRESSES = ["198.51.100.7", "198.051.100.07", "2001:DB8:0:0::7", "c633:6407::1", "::ffff:c633:6407", "AWS Internal", "", None]
ODD = [
    '{"eventName":["StartSession","x"],"eventSource":"ssm.amazonaws.com"}',
    '{"eventName":{"a":"StartSession"},"awsRegion":7,"eventID":true}',
    '{"eventName":"Harmless","eventName":"StartSession"}',
    '{"requestParameters":{"target":"i-0aaa","target":"i-0bbb"},"eventName":"GetObject"}',
    '{"requestParameters":null,"requestParameters":{"target":"i-0bbb"},"eventName":"GetObject"}',
    '{"requestParameters.target":"i-0bbb","eventName":"GetObject","resources":"x"}',
    '{"requestParameters":{"a.target":"i-0bbb","b":[[{"target":"i-0ccc"}]]},"userIdentity.type":["Root"]}',
    '{"requestParameters":{"\\u0074arget":"\\u0069-0bbb","slash":"a\\/b","quote":"\\"","tab":"\\t"},"x":{"y.z":"\\u001b"}}',
    '{"requestParameters":"i-0bbb","responseElements":false,"apiVersion":"2015-03-31","errorCode":null,"errorMessage":""}',
    '{"readOnly":"true","managementEvent":null,"eventTime":"2026-03-02 10:00","eventType":"AwsConsoleSignIn"}',
    '{"userIdentity":{"type":"Root","type":"IAMUser"},"eventSource":".amazonaws.com","recipientAccountId":""}',
    '{"userIdentity":{"type":"Gr\\u00f6\\u00dfe"},"eventSource":"a.amazonaws.com.b","additionalEventData":{"n":300.0,"t":true}}',
    '{"eventSource":null,"eventID":null,"tlsDetails":{"tlsVersion":null},"addendum":{"reason":["UPDATED_DATA",{"a":1}]}}',
    '{"eventName":"Größe","errorCode":"a\\u0000b","userAgent":"\\ud83d\\udd12%_*\\\\"}',
]  # fmt: skip


def world_texts():
    """A hundred lifelike records: spelt as delivered, with every character escaped, and laid out."""
    world = World(31)
    for number in range(100):
        make = world.start_session if number % 3 == 0 else world.record
        record = make(START + timedelta(seconds=number), "111122223333", "eu-west-1")
        if number % 4 == 0:
            record["sourceIPAddress"] = ADDRESSES[number // 4 % len(ADDRESSES)]
        yield (json.dumps, escaped, lambda value: json.dumps(value, indent=1, ensure_ascii=False))[number % 3](record)


TEXTS = [*ODD, *world_texts()]


class Held:
    """An open database, and by row id each record with its event; too large to be shown."""

    def __init__(self, connection, events):
        self.connection, self.events = connection, events

    def __repr__(self):
        return "held"


@pytest.fixture(scope="module")
def held():
    connection = scratch()
    rows = parsed(TEXTS, connection)
    lock_down(connection)
    records = {row["row_id"]: record_of(row) for row in rows}
    yield Held(connection, {row_id: (record, envelope(record)) for row_id, record in records.items()})
    connection.close()


EVENTS = [envelope(json.loads(text)) for text in TEXTS]


class Everything(frozenset):
    """All steps of any path."""

    def __contains__(self, _):
        return True


PATHS = [{path: [value for value, _ in found] for path, found in leaves_of(event, Everything()).items()} for event in EVENTS]


def like(value):
    """Alternatives that have to do with a value: itself, parts of it, its case, and what is not it."""
    if not isinstance(value, str):
        return st.sampled_from([value, {"exists": True}, {"anything-but": "x"}, {"numeric": [">", 0]}, "true"])
    at = st.integers(0, len(value))
    star = st.builds(lambda one, two: plain(value[: min(one, two)]) + "*" + plain(value[max(one, two) :]), at, at)
    return st.one_of(
        st.just(value),
        st.just({"equals-ignore-case": value.swapcase()}),
        at.map(lambda end: {"prefix": value[:end]}),
        at.map(lambda start: {"suffix": value[start:]}),
        at.map(lambda end: {"prefix": {"equals-ignore-case": value[:end].swapcase()}}),
        at.map(lambda start: {"suffix": {"equals-ignore-case": value[start:].swapcase()}}),
        star.map(lambda text: {"wildcard": text}),
        st.sampled_from([{"exists": True}, {"exists": False}, {"anything-but": value}, {"anything-but": {"prefix": "zz"}}]),
        st.sampled_from([{"cidr": "198.51.100.0/28"}, {"cidr": "2001:db8::/30"}, "198.51.100.7", "2001:db8::7", None]),
    )


def plain(text):
    return text.replace("\\", "\\\\").replace("*", "\\*")


def nested(path, alternatives):
    """A field under its path, as objects or, now and then, with dots."""
    first, dot, rest = path.partition(".")
    return {first: nested(rest, alternatives)} if dot and len(path) % 3 else {path: alternatives}


@st.composite
def branches(draw):
    """Up to three fields that one event has, asked about so that it often matches."""
    paths = draw(st.sampled_from(PATHS))
    chosen = draw(st.lists(st.sampled_from(sorted(paths)), min_size=1, max_size=3, unique=True))
    fields = {path: [draw(like(draw(st.sampled_from(paths[path])))) for _ in range(draw(st.integers(1, 2)))] for path in chosen}
    return json.dumps([nested(path, alternatives) for path, alternatives in fields.items()])


def combined(drawn):
    """One pattern of all fields: twins of a top-level key are one object after the other, as JSON allows."""
    fields = [json.dumps(field)[1:-1] for branch in drawn for field in json.loads(branch)]
    return "{" + ",".join(fields) + "}"


either = st.lists(branches(), min_size=2, max_size=3).map(
    lambda drawn: '{"$or":[' + ",".join(combined([b]) for b in drawn) + "]}"
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(branches().map(lambda drawn: combined([drawn])) | either, st.booleans())
def test_no_match_is_lost(held, written, reads):
    connection, events = held.connection, held.events
    asked = respelled(pattern(written))
    where = narrowed(asked, reads)
    through = {row_id for (row_id,) in run(connection, f"SELECT rowid FROM events WHERE {where.sql}", where.parameters)}
    sought = {
        row_id for row_id, (record, event) in events.items() if (reads or not only_reads(record)) and matches(asked, event)
    }
    assert sought <= through, [events[row_id][0] for row_id in sought - through]


NETWORKS = [
    "198.51.100.0/28",
    "198.51.100.6/31",
    "198.51.0.0/17",
    "198.0.0.0/7",
    "0.0.0.0/0",
    "2001:db8::/32",
    "c600::/8",
    "::/0",
]


@pytest.mark.parametrize("asked", [{"cidr": network} for network in NETWORKS] + [text for text in ADDRESSES if text])
def test_no_spelling_of_an_address_is_lost(held, asked):
    wanted = pattern({"detail": {"sourceIPAddress": [asked]}})
    where = narrowed(wanted, True)
    through = {row_id for (row_id,) in run(held.connection, f"SELECT rowid FROM events WHERE {where.sql}", where.parameters)}
    sought = {row_id for row_id, (_, event) in held.events.items() if matches(wanted, event)}
    assert sought
    assert sought <= through


FEW = [
    {"detail": {"eventName": ["StartSession"]}},
    {"source": ["aws.ssm"]},
    {"detail-type": ["AWS Console Sign In via CloudTrail"]},
    {"detail": {"userIdentity": {"type": ["Root"]}}},
    {"detail": {"userIdentity": {"type": [{"equals-ignore-case": "root"}]}}},
    {"detail": {"requestParameters": {"target": [{"prefix": "i-0"}]}}},
    {"detail": {"sourceIPAddress": [{"cidr": "198.51.100.0/28"}]}},
    {"detail": {"errorCode": [{"wildcard": "*Denied*"}]}},
    {"detail": {"errorCode": [{"exists": True}]}},
    {"detail": {"readOnly": [False], "eventName": [{"anything-but": "StartSession"}]}},
    {"detail": {"$or": [{"eventName": ["ConsoleLogin"]}, {"userIdentity": {"type": ["Root"]}}]}},
]


@pytest.mark.parametrize("written", FEW)
def test_few_others_pass(held, written):
    connection, events = held.connection, held.events
    asked = respelled(pattern(written))
    where = narrowed(asked, True)
    ((through,),) = run(connection, f"SELECT count(*) FROM events WHERE {where.sql} AND flags IS NULL", where.parameters)
    sought = sum(matches(asked, event) for _, event in events.values())
    escaped_texts = len(TEXTS) // 3  # columns that hold JSON with escapes pass
    assert through <= sought + escaped_texts


def test_nothing_of_a_pattern_becomes_sql():
    hostile = "x') OR true; DROP TABLE events; --"
    asked = pattern(
        {"detail": {"eventName": [hostile], "requestParameters": {hostile: [{"prefix": hostile}]}}, hostile: [hostile]}
    )
    where = narrowed(asked, False)
    assert "DROP" not in where.sql
    assert where.sql.count("?") == len(where.parameters)


def test_the_largest_patterns_can_be_asked(held):
    connection = held.connection
    many = [{"wildcard": f"*a{number}*b*"} for number in range(2_500)]
    options = [{"eventName": [{"prefix": f"a{number}"}], "eventSource": [f"b{number}"]} for number in range(1_000)]
    for written in ({"detail": {"eventName": many, "requestParameters": {"a": many}}}, {"detail": {"$or": options}}):
        where = narrowed(pattern(written), False)
        assert run(connection, f"SELECT count(*) FROM events WHERE flags IS NULL AND {where.sql}", where.parameters) == [(0,)]
