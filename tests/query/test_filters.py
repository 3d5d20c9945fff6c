"""Every filter, alone and with others, lets through what a plain Python filter lets through: in SQL and over files."""

import json
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.query import plain
from tests.query.conftest import ADDRESSES, NAMES, START
from tests.query.running import trailscan
from tests.support.world import World
from trailscan.errors import UsageError
from trailscan.query.events import Answer, alone
from trailscan.query.filter_registry import FILTERS, Filters
from trailscan.query.filters import needles_of, networks_of
from trailscan.query.networks import lies_in
from trailscan.records.prefilter import Prefilter

NETWORKS = [
    "198.51.100.0/24", "198.51.100.7", "198.51.100.77/26", "0.0.0.0/0", "::/0", "2001:db8::/32", "2001:db8::7",
    "203.0.113.255/32", "::ffff:198.51.100.7", "2001:db8:1::/128",
]  # fmt: skip
SINCE = START.replace(tzinfo=None)


def values_of(name):
    """Values that occur in the records for a filter, found as anybody would find them: by making such records."""
    world = World(11)
    made = [world.start_session(START, account, "eu-west-1") for account in ("111122223333", "444455556666") for _ in range(40)]
    made += [world.record(START, "111122223333", "us-east-1") for _ in range(80)]
    found = {
        "event": lambda record: [record.get("eventName")],
        "event_source": lambda record: [record.get("eventSource")],
        "user": plain.people_of,
        "arn": lambda record: [plain.identity(record, "arn")],
        "account": lambda record: [record.get("recipientAccountId")],
        "region": lambda record: [record.get("awsRegion")],
        "target": lambda record: [plain.target_of(record)],
        "session": lambda record: [plain.session_of(record)],
        "access_key": lambda record: [plain.identity(record, "accessKeyId")],
        "error": lambda record: [record.get("errorCode")],
    }[name]
    return sorted(
        {text for record in made for text in found(record) if text} | ({*filter(None, NAMES)} if name == "event" else set())
    )


@st.composite
def texts(draw, name):
    """A value, a glob made of one, or one spelt in another case."""
    text = draw(st.sampled_from(VALUES[name]))
    cut, end = sorted([draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))])
    return draw(st.sampled_from([text, text[:cut] + "*", "*" + text[cut:], text[:cut] + "*" + text[end:], text.swapcase()]))


VALUES = {name: values_of(name) for name, entry in FILTERS.items() if entry.events}
moments = st.integers(-1, 181).map(lambda number: SINCE + timedelta(seconds=20 * number))
options = {
    **{name: st.lists(texts(name), min_size=1, max_size=3).map(tuple) for name, entry in FILTERS.items() if entry.events},
    "source_ip": st.lists(st.sampled_from(NETWORKS), min_size=1, max_size=2).map(tuple),
    "failed": st.booleans(),
    "since": moments,
    "until": moments,
}
chosen = st.lists(st.sampled_from([*options]), max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: options[name] for name in names}).map(lambda given: Filters(**given))
)


def found_in(database, filters):
    (names,) = Answer(database, filters).table(["event_id"]).names
    assert names == "event_id"
    return {row[0] for chunk in Answer(database, filters).table(["event_id"]).chunks for row in chunk}


def expected(records, filters):
    return {record["eventID"] for record in records if plain.matches(record, filters)}


@pytest.mark.parametrize("name", options)
def test_each_filter_alone_agrees_with_plain_python(name, records, database):
    @settings(max_examples=12)
    @given(options[name])
    def agrees(value):
        filters = Filters(**{name: value})
        assert found_in(database, filters) == expected(records, filters)
        assert alone(database, filters) == [(name, len(expected(records, filters)))]

    agrees()


def test_filters_together_agree_with_plain_python(records, database):
    @settings(max_examples=60)
    @given(chosen)
    def agrees(filters):
        assert found_in(database, filters) == expected(records, filters)

    agrees()


def test_no_byte_sieve_loses_a_record_that_a_filter_wants(records):
    @settings(max_examples=60)
    @given(chosen, st.sampled_from([json.dumps, lambda record: json.dumps(record, ensure_ascii=False, indent=1)]))
    def agrees(filters, spelt):
        if needles := needles_of(filters):
            sieve = Prefilter(needles)
            wanted = [record for record in records if plain.matches(record, filters)]
            assert all(sieve.lets_through(spelt(record).encode()) for record in wanted)

    agrees()


def arguments_of(filters):
    for name in filters._fields:
        value = getattr(filters, name)
        flag = f"--{name.replace('_', '-')}"
        if name == "failed" and value is not None:
            yield "--failed" if value else "--succeeded"
        elif isinstance(value, datetime):
            yield from (flag, value.isoformat())
        else:
            yield from (part for text in value or () for part in (flag, text))


def ids_in(stdout):
    return sorted(json.loads(line)["event_id"] for line in stdout.splitlines())


FIXED = [
    Filters(),
    Filters(event=("StartSession",)),
    Filters(event=("*Session",), event_source=("ssm.amazonaws.com",)),
    Filters(event=("Größe", "a\nb", "100%_Sure", "a\\b", "x*y")),
    Filters(source_ip=("2001:db8::/32", "198.51.100.7")),
    Filters(error=("AccessDenied*",), account=("111122223333",)),
    Filters(failed=False, region=("us-east-1",), since=SINCE + timedelta(minutes=10), until=SINCE + timedelta(minutes=30)),
    Filters(target=("i-*",)),
    Filters(event=("NoSuchEvent",)),
]


@pytest.mark.parametrize("filters", FIXED, ids=lambda filters: " ".join(arguments_of(filters)))
def test_files_and_archive_give_the_same_events(filters, records, files, archive):
    asked = ["query", "--format", "jsonl", "--columns", "event_id", *arguments_of(filters)]
    over_files, over_archive = trailscan(*asked, files, "--jobs", 1), trailscan(*asked, "--archive", archive)
    assert ids_in(over_files.stdout) == ids_in(over_archive.stdout) == sorted(expected(records, filters))
    assert (over_files.code, over_archive.code) == (0, 0)
    assert over_files.stderr.splitlines()[0].endswith("of 7 objects")
    assert over_archive.stderr.splitlines()[0] == over_files.stderr.splitlines()[0]


def test_drawn_filters_give_the_same_events_over_files(records, files):
    @settings(max_examples=12)
    @given(chosen)
    def agrees(filters):
        ended = trailscan("query", "--format", "jsonl", "--columns", "event_id", *arguments_of(filters), files, "--jobs", 1)
        assert ids_in(ended.stdout) == sorted(expected(records, filters))

    agrees()


@pytest.mark.parametrize("address", [a for a in ADDRESSES if a is not None])
def test_an_odd_address_lies_nowhere_and_is_no_error(address, database):
    odd = address in {"255.090.254.5", "198.051.100.7", "AWS Internal", "ssm.amazonaws.com", ""}
    assert lies_in(address, networks_of(Filters(source_ip=("0.0.0.0/0", "::/0")))) is not odd


@pytest.mark.parametrize("text", ["198.51.100.0/33", "AWS Internal", "255.090.254.5", "", "2001:db8::/129", "198.51.100.*"])
def test_what_is_no_network_is_wrong_usage(text, database):
    with pytest.raises(UsageError, match="neither an address nor a network"):
        Answer(database, Filters(source_ip=(text,)))


def test_since_is_inclusive_and_until_exclusive(database, records):
    first, second = (datetime.fromisoformat(records[at]["eventTime"]).replace(tzinfo=None) for at in (4, 8))
    assert found_in(database, Filters(since=first, until=second)) == {records[at]["eventID"] for at in (4, 5, 6, 7)}
