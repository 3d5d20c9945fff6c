import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records.shapes_of_records import WRAPPERS, minified, native, record
from trailscan.records.shapes import Unwrapped, unwrap

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


def test_a_list_inside_a_broken_record_cannot_pass_for_records():
    forged = record(2, requestParameters={"items": [record(58), record(59)]})
    raw = native([record(1), forged, record(3)]).replace(b'"userName":"ana"}', b'"userName":"ana"', 2)
    raw = raw.replace(b'"userName":"ana"', b'"userName":"ana"}', 1)
    found = unwrap(raw)
    assert seconds_of(found) == ["01", "03"]
    assert found.damage


@pytest.mark.parametrize("position", [0, 1, 3, 11])
def test_a_flip_in_the_wrapper_is_never_silent(position):
    raw = bytearray(native(THREE))
    raw[position] ^= 1
    assert unwrap(bytes(raw)).damage


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(WRAPPERS)), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6))
def test_flipped_bytes_never_raise(name, flips):
    raw = bytearray(WRAPPERS[name][1](THREE))
    for position, byte in flips:
        raw[position % len(raw)] = byte
    unwrap(bytes(raw))


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
