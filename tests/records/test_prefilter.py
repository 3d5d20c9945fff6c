import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.records.shapes_of_records import WRAPPERS, minified, native, record
from tests.records.spellings import spelled, texts
from trailscan.records.formats import unwrap_sifted
from trailscan.records.object_reader import read_object
from trailscan.records.prefilter import Needles, Prefilter, finder, needle_of

WORDS = ("StartSession", "ana", "203.0.113.9", "AKIAEXAMPLE", "i-0aaaabbbbccccdddd", "a/b/StartSession", "Zürich")
wanted_values = st.sampled_from(WORDS) | texts.filter(lambda text: needle_of(text, whole=False) is not None)
spaces = st.text(" \t\r\n", max_size=3).map(str.encode)


def sieve_for(*values: str) -> Prefilter:
    """For values that may be parts of longer strings."""
    return Prefilter(Needles.of([], parts=[list(values)]))


def slow(sieve: Prefilter, records: list[bytes]) -> list[int]:
    return [position for position, one in enumerate(records) if sieve.lets_through(one)]


def native_of(records: list[bytes]) -> bytes:
    return b'{"Records":[' + b",".join(records) + b"]}"


@st.composite
def holding(draw: st.DrawFn, value: str) -> bytes:
    """A record, somewhat pretty printed, that holds the value in some spelling, perhaps within a longer text."""
    text = draw(texts) + value + draw(texts)
    space, before = draw(spaces), minified(draw(texts))
    return b'{"eventVersion":' + space + b'"1.11",' + space + b'"x":' + before + b',"y":' + draw(spelled(text)) + space + b"}"


@pytest.mark.parametrize(
    ("value", "needle"),
    [
        ("StartSession", b"StartSession"),
        ("arn:aws:iam::111122223333:user/ana", b"arn:aws:iam::111122223333:user"),
        ("ben.o-hara@example.com", b"ben.o-hara@example.com"),
        ("Zürich", b"rich"),
        ('a"b', None),
        ("ab", None),
        ("", None),
        ("東京", None),
    ],
)
def test_a_needle_is_the_longest_part_that_is_written_one_way(value, needle):
    assert needle_of(value, whole=False) == needle


@pytest.mark.parametrize(
    ("value", "needle"),
    [
        ("StartSession", b'"StartSession"'),
        ("ssm.amazonaws.com", b'"ssm.amazonaws.com"'),
        ("arn:aws:iam::111122223333:user/ana", b"arn:aws:iam::111122223333:user"),  # JSON may write the slash as \\/
        ("Zürich", b"rich"),
        ("111122223333", None),  # a number where text should be is written without quotes
        ("1.11", None),
        ("true", None),
    ],
)
def test_the_needle_of_a_whole_string_has_its_quotes(value, needle):
    assert needle_of(value, whole=True) == needle


@given(st.data(), st.sampled_from(WORDS) | texts.filter(lambda text: needle_of(text, whole=True) is not None), texts)
def test_a_whole_string_is_found_however_it_is_spelled(data, value, before):
    raw = b'{"x":' + minified(before) + b', "eventName": ' + data.draw(spelled(value)) + b"}"
    assert Prefilter(Needles.of([[value]])).lets_through(raw)


def test_a_part_of_a_string_is_not_taken_for_the_whole():
    assert not Prefilter(Needles.of([["StartSession"]])).lets_through(b'{"eventName":"StartSessionX","x":"ssm:StartSession"}')


def test_a_filter_with_a_value_that_has_no_needle_sifts_nothing():
    assert Needles.of([["StartSession", "ab"], ["ana"]]) == Needles.of([["ana"]])
    assert not Needles.of([["StartSession", "ab"], []])
    assert Prefilter(Needles.of([])).lets_through(b"anything")


@given(st.data(), wanted_values)
def test_a_record_with_a_wanted_value_is_let_through_however_it_is_spelled(data, value):
    raw = data.draw(holding(value))
    assert value in json.loads(raw)["y"]
    assert sieve_for(value).lets_through(raw)


@given(st.data(), wanted_values, st.integers(0, 3), st.integers(0, 3))
def test_a_wanted_record_among_others_is_hit(data, value, before, after):
    others = [minified(record(number)) for number in range(before + after)]
    records = [*others[:before], data.draw(holding(value)), *others[before:]]
    assert before in sieve_for(value).hits_of_native(native_of(records), list(map(len, records)))


@given(st.data(), st.lists(wanted_values, min_size=1, max_size=3), st.lists(wanted_values, max_size=2))
def test_each_group_needs_one_of_its_values(data, some, others):
    sieve = Prefilter(Needles.of([], parts=[some, others]))
    raw = data.draw(holding(" ".join([data.draw(st.sampled_from(some)), *others[:1]])))
    assert sieve.lets_through(raw)


@given(st.data(), wanted_values)
def test_raw_nul_bytes_hide_nothing(data, value):
    raw = b"\0{\0" + data.draw(holding(value)) + b"\0"
    assert sieve_for(value).lets_through(raw)


def test_what_is_not_wanted_is_not_let_through():
    sieve = Prefilter(Needles.of([], parts=[["StartSession"], ["ana", "ben"]]))
    assert sieve.lets_through(b"StartSession by ben")
    assert not sieve.lets_through(b"StartSession by carol")
    assert not sieve.lets_through(b"\0EndSession by ben\0")
    assert not sieve.lets_through(rb'{"eventName":"EndSession","userName":"ben","html":"\u003cb\u003e"}')


@given(st.binary(max_size=40).filter(lambda raw: b"\0" not in raw), st.binary(min_size=1, max_size=3))
@example(b"", b"a")
def test_the_fast_search_finds_what_the_plain_one_finds(raw, needle):
    needle = needle.replace(b"\0", b"a")
    text = raw + needle + raw
    places = list(finder(text)(needle))
    assert places[0] == text.find(needle)
    assert len(places) == text.count(needle)
    assert list(finder(raw)(needle)) == [] or needle in raw


fields = st.dictionaries(st.sampled_from(["a", "eventName", "x"]), st.sampled_from(WORDS) | texts, max_size=3)
spelled_records = st.lists(fields.map(minified) | fields.map(lambda one: json.dumps(one, indent=1).encode()), max_size=6)


@given(spelled_records, st.lists(st.sampled_from(WORDS), min_size=1, max_size=3), st.sampled_from([b"", b"\n", b"\r\n", b" "]))
def test_hits_are_those_of_a_look_at_each_record(records, values, end):
    sieve = sieve_for(*values)
    raw = native_of(records) + end
    escaped = b"\\u00" in raw  # then all may pass
    hits, expected = sieve.hits_of_native(raw, list(map(len, records))), slow(sieve, records)
    assert set(hits) >= set(expected) if escaped else hits == expected


@pytest.mark.parametrize("place", [0, 1, 150, 299])
def test_a_hit_in_a_long_list_is_the_right_record(place):
    records = [minified({"a": "some other value"})] * 300
    records[place] = minified({"a": "StartSession"})
    assert sieve_for("StartSession").hits_of_native(native_of(records), list(map(len, records))) == [place]


@given(spelled_records, st.sampled_from(WORDS), st.lists(st.integers(0, 40), min_size=7, max_size=7))
def test_hits_do_not_trust_positions_in_other_layouts(records, value, gaps):
    sieve = sieve_for(value)
    raw = b"".join(b" " * gap + one for gap, one in zip(gaps, [*records, b""], strict=False))
    sifted = unwrap_sifted(raw, sieve)
    assert sifted is None or set(sifted[0].indexes) >= set(slow(sieve, records))


def test_hits_are_right_where_the_lengths_add_up_by_chance():
    records = [minified(record(number, eventName=name)) for number, name in enumerate(["StartSession", *["Other"] * 999])]
    for opening in (b"", b'{"Records":[]}'):
        raw = opening + b" " * (len(records) + 13 - len(opening)) + b"".join(records)
        assert list(read_object(raw, sieve=sieve_for("StartSession")).indexes) == [0]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_sieve_gives_the_wanted_records_of_every_shape_with_their_indexes(wrapper):
    wrapped = WRAPPERS[wrapper][1]([record(0), record(1, userAgent="the-wanted-agent"), record(2)])
    everything, sifted = read_object(wrapped), read_object(wrapped, sieve=sieve_for("the-wanted-agent"))
    (record_found,) = sifted.records
    (index,) = sifted.indexes
    assert sifted.read == everything.read
    assert bytes(everything.records[list(everything.indexes).index(index)]) == bytes(record_found)


@given(st.data())
def test_a_text_within_a_text_is_found_however_both_are_spelled(data):
    inner = data.draw(spelled("StartSession"))
    event = b'{"eventVersion":"1.11","eventTime":"t","eventSource":"s","eventName":' + inner + b"}"
    raw = b'{"Events":[{"CloudTrailEvent":' + data.draw(spelled(event.decode())) + b"}]}"
    assert len(read_object(raw).records) == 1
    assert len(read_object(raw, sieve=sieve_for("StartSession")).records) == 1


@pytest.mark.parametrize("escape", [rb"\u005cu0053", rb"\\\u00750053", rb"\\u\u0030053", rb"\\u00\u00353"])
def test_an_escape_that_is_itself_escaped_is_let_through(escape):
    head = rb"{\"eventVersion\":\"1.11\",\"eventTime\":\"t\",\"eventSource\":\"s\",\"eventName\":\""
    raw = rb'{"Events":[{"CloudTrailEvent":"' + head + escape + rb'tartSession\"}"}]}'
    (found,) = read_object(raw).records
    assert json.loads(bytes(found))["eventName"] == "StartSession"
    assert len(read_object(raw, sieve=sieve_for("StartSession")).records) == 1


def test_an_object_without_hits_is_spared_and_says_so():
    raw = native([record(1, eventName="Other")])
    reading = read_object(raw, sieve=sieve_for("StartSession"))
    assert (reading.shape, reading.status, reading.read, list(reading.records)) == ("sifted", "ok", None, [])
    assert reading.sha256
    assert read_object(raw, sieve=sieve_for("StartSession"), hash_all=False).sha256 is None


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b'{"Records":[' + minified(record(1, eventName="Other"))[:-9], "truncated"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "error-body"),
        (b"no log at all", "not-cloudtrail"),
    ],
)
def test_damage_is_told_also_where_nothing_wanted_is_seen(raw, what):
    reading = read_object(raw, sieve=sieve_for("StartSession"))
    assert [damage.what for damage in reading.damage] == [what]
