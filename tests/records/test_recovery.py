import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records.shapes_of_records import WRAPPERS, minified, native, record
from trailscan.records.formats import Unwrapped, unwrap

THREE = [record(1), record(2, userAgent="ü"), record(3)]


def seconds_of(found: Unwrapped) -> list[str]:
    return [json.loads(bytes(one))["eventTime"][-3:-1] for one in found.records]


def test_a_native_file_cut_at_any_byte_keeps_the_records_before_the_cut():
    raw = native(THREE)
    ends = [raw.index(minified(one)) + len(minified(one)) for one in THREE]
    for cut in range(1, len(raw)):
        found = unwrap(raw[:cut])
        assert [bytes(one) for one in found.records] == [minified(r) for r, end in zip(THREE, ends, strict=True) if end <= cut]
        assert list(found.indexes) == list(range(len(found.records)))
        assert found.damage


@pytest.mark.parametrize("name", WRAPPERS)
def test_any_wrapper_cut_at_any_byte_gives_a_prefix_of_its_records(name):
    raw = WRAPPERS[name][1](THREE)
    whole = [json.loads(bytes(one)) for one in unwrap(raw).records]
    for cut in range(0, len(raw), 7):
        found = [json.loads(bytes(one)) for one in unwrap(raw[:cut]).records]
        assert found == whole[: len(found)]


@pytest.mark.parametrize(
    "hurt",
    [
        lambda one: one[:40] + bytes(30) + one[70:],
        lambda one: one.replace(b"}", b"", 1),
        lambda one: one.replace(b'"', b"", 1),
        lambda one: re.sub(rb'": ?"', b'":', one, count=1),
        lambda one: one[1:],
        lambda one: one[:90],
        lambda _: b"\xff\x00garbage",
    ],
)
@pytest.mark.parametrize("name", ["native", "pretty printed", "bare array", "lines", "log export"])
def test_neighbours_on_both_sides_of_a_broken_record_survive(name, hurt):
    raw = WRAPPERS[name][1](THREE)
    middle = next(text for text in _spellings(THREE[1]) if text in raw)
    found = unwrap(raw.replace(middle, hurt(middle)))
    assert [second for second in seconds_of(found) if second != "02"][:2] == ["01", "03"]
    assert found.indexes[0] == 0
    assert found.damage
    assert found.damage[0].where_bytes is not None


def _spellings(one):
    yield minified(one)
    yield json.dumps({"Records": [one]}, indent=2).encode()[len('{\n  "Records": [\n    ') : -len("\n  ]\n}")]


def whats(found: Unwrapped) -> list[tuple[str, int | None]]:
    return [(damage.what, damage.record_index) for damage in found.damage]


@pytest.mark.parametrize("cut", [b"", b",", b", \n", b"]"])
@pytest.mark.parametrize("head", [b"[", b'{"Records":[', b'{"a":1,"Records": ['])
def test_one_cut_is_one_damage(head, cut):
    if head + cut == b"[]":
        return
    found = unwrap(head + minified(record(1)) + cut)
    if head == b"[" and cut == b"]":
        assert found.damage == []
    else:
        assert (seconds_of(found), whats(found)) == (["01"], [("truncated", None)])


def test_a_list_that_a_broken_record_closes_over_cannot_pass_for_records():
    forged = record(2, requestParameters={"items": [record(58), record(59)]})
    raw = native([record(1), forged, record(3)]).replace(b'"userName":"ana"}', b'"userName":"ana"', 2)
    raw = raw.replace(b'"userName":"ana"', b'"userName":"ana"}', 1)
    found = unwrap(raw)
    assert seconds_of(found) == ["01", "03"]
    assert found.damage


OOPS = b'{"eventVersion":"1.11",oops}'
A, B, C = (minified(record(number)) for number in (1, 2, 3))


@pytest.mark.parametrize(
    "raw",
    [
        b'{"Records":[' + A + b"," + OOPS + b"," + B + b"," + C + b'],"x":1}',
        b'{"Records":[' + A + b"," + OOPS + b"," + B + b'],"Records":[' + C + b"]}",
        b'{"Records":[' + A + b"," + OOPS + b"," + B + b'],"x":[' + OOPS + b"," + C + b"]}",
        b'{"Records":[' + A + b',{"eventVersion":"1.11",oops,"x":[' + B + b"]}," + C + b"]}",
        b'{"Records":[' + A + b',{"eventVersion":"1.11",oops,"x":[' + B + b"," + C + b"]}]}",
        b"[" + A + b"," + OOPS + b"," + B + b"," + C,
        A + b'\n{"eventVersion":"1.11",oops,"x":[' + B + b"]}\n" + C,
    ],
)
def test_records_behind_damage_are_kept_and_their_doubt_is_named(raw):
    found = unwrap(raw)
    assert seconds_of(found) == ["01", "02", "03"]
    assert whats(found)[0] == ("not-json", 1)
    assert whats(found)[-1] == ("uncertain", None)
    assert "from index 2 on" in found.damage[-1].reason
    assert found.damage[-1].where_bytes == raw.index(B)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"Records":[' + A + b"," + OOPS + b"," + B + b"," + C + b"]}\n",
        b'{"Records":[' + A + b"," + OOPS + b'],"x":1}\n{"Records":[' + B + b"," + C + b"]}\n",
        A + b"\n" + OOPS + b"\n" + B + b"\n" + C + b"\n",
        A + OOPS + B + C,
    ],
)
def test_records_behind_damage_are_certain_where_the_text_shows_that_none_holds_them(raw):
    found = unwrap(raw)
    assert seconds_of(found) == ["01", "02", "03"]
    assert whats(found) == [("not-json", 1)]


def test_lines_cut_off_one_behind_the_other_hide_no_record():
    cut = b'{"Records":[' + A + b"," + OOPS + b"\n"
    assert seconds_of(unwrap(cut * 9 + b'{"Records":[' + B + b"]}\n")) == ["01"] * 9 + ["02"]


@pytest.mark.parametrize("end", [b":", b"[", b'"', b'"x":', b'"x":[', b'"x":"'])
def test_a_line_cut_off_swallows_no_line_behind_it(end):
    cut = b'{"eventVersion":"1.11","userAgent"' + end
    assert seconds_of(unwrap(A + b"\n" + cut + b"\n" + B + b"\n" + C + b"\n")) == ["01", "02", "03"]


def test_doubt_is_named_however_much_else_is_damaged():
    found = unwrap(b"[" + b"7," * 2_000 + OOPS + b"," + A + b'],"x":1}')
    assert {"more-damage", "uncertain"} <= {damage.what for damage in found.damage}


def test_brackets_that_nobody_closes_swallow_no_record():
    open_ended = b'{"eventVersion":' + b"[" * 1_100 + b"}"
    found = unwrap(b'{"Records":[' + A + b"," + open_ended + b"," + B + b"," + C + b"]}")
    assert (seconds_of(found), whats(found)) == (["01", "02", "03"], [("too-deep", 1)])


@pytest.mark.parametrize("head", [b"", b'"Records":[],"messageType":"CONTROL_MESSAGE",', b'"messageType":"CONTROL_MESSAGE",'])
def test_no_name_beside_the_list_hides_its_records(head):
    assert seconds_of(unwrap(b"{" + head + b'"Records":[' + A + b"]}")) == ["01"]


def test_a_record_that_holds_a_list_named_like_a_wrappers_is_still_a_record():
    assert seconds_of(unwrap(b"[" + A[:-1] + b',"events":[]},' + B + b"]")) == ["01", "02"]


@pytest.mark.parametrize("position", [0, 1, 11])
def test_a_flip_in_the_wrapper_is_never_silent(position):
    raw = bytearray(native(THREE))
    raw[position] ^= 1
    assert unwrap(bytes(raw)).damage


def test_the_name_of_the_list_is_not_what_makes_records():
    found = unwrap(native(THREE).replace(b"Records", b"Recrods", 1))
    assert (seconds_of(found), found.shape, found.damage) == (seconds_of(unwrap(native(THREE))), "wrapped", [])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(WRAPPERS)), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6))
def test_flipped_bytes_never_raise(name, flips):
    raw = bytearray(WRAPPERS[name][1](THREE))
    for position, byte in flips:
        raw[position % len(raw)] = byte
    unwrap(bytes(raw))


_edits = st.lists(
    st.tuples(
        st.integers(0, 10**6), st.integers(0, 40), st.sampled_from([b"", b",", b"{", b"}", b"[", b"]", b'"', b"\0", A, OOPS])
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(["native", "native", "pretty printed", "lines", "lines of native files", "lookup"]), _edits)
def test_an_index_is_given_once_however_the_text_is_hurt(name, edits):
    raw = WRAPPERS[name][1](THREE)
    for position, length, inserted in edits:
        start = position % (len(raw) + 1)
        raw = raw[:start] + inserted + raw[start + length :]
    found = unwrap(raw)
    indexes = [*found.indexes, *(bad.record_index for bad in found.damage if bad.record_index is not None)]
    assert len(set(indexes)) == len(indexes)
    assert set(indexes) <= set(range(len(indexes) + found.foreign))


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_deep_nesting_is_damage_and_costs_only_its_record(depth):
    deep = minified(record(2, x="DEEP")).replace(b'"DEEP"', b"[" * depth + b"]" * depth)
    found = unwrap(b'{"Records":[' + minified(record(1)) + b"," + deep + b"," + minified(record(3)) + b"]}")
    assert seconds_of(found) == ["01", "03"]
    assert list(found.indexes) == [0, 2]
    assert [(damage.what, damage.record_index) for damage in found.damage] == [("too-deep", 1)]


@pytest.mark.parametrize(
    "unit", [b"{", b"[", b'"', b"\\", b'{"a\n', b'{"Records":[', b'{"eventVersion":', b'2026-03-01T09:00:00Z {"a\n', b'\\"']
)
def test_hostile_text_takes_linear_time(unit):
    started = time.perf_counter()
    for prefix in (b"", b'{"Records":["', b'{"Records":['):
        unwrap(prefix + unit * (1_000_000 // len(unit)))
    assert time.perf_counter() - started < 20


def test_five_megabytes_of_one_character_are_read_at_once():
    for unit in (b"{", b'"', b"\\"):
        assert unwrap(unit * 5_000_000).damage


def test_damage_beyond_the_limit_is_counted():
    found = unwrap(b"[" + b"7," * 5_000 + b"7]")
    assert len(found.damage) == 1_001
    assert "4,001" in found.damage[-1].reason
