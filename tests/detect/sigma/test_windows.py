"""Windows over events of one group: against every window there could be, for small groups."""

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from trailscan.detect.sigma.windows import Occurrence, in_order, windows

START = datetime.fromisoformat("2026-03-01")
SPAN = timedelta(seconds=10)


def occurrences(found):
    """From (second, rule, counted) in any order."""
    made = [
        Occurrence(START + timedelta(seconds=second), str(number), (number,), rule, counted)
        for number, (second, rule, counted) in enumerate(found)
    ]
    return sorted(made, key=lambda one: (one.time, one.identity))


def seconds(window):
    return [int((one.time - START).total_seconds()) for one in window]


def counted_windows(times, least, slides=True, compare=None):
    found = occurrences([(time, "r", (index,)) for index, time in enumerate(times)])
    compare = compare or (lambda counts: len(counts) >= least)
    return [(seconds(window), number) for window, number in windows(found, SPAN, compare, slides)]


def test_a_window_begins_with_an_event_and_holds_both_its_ends():
    assert counted_windows([0, 10], 2) == [([0, 10], 2)]
    assert counted_windows([0, 11], 2) == []


def test_windows_slide_until_one_is_full_and_never_share_an_event():
    assert counted_windows([0, 9, 17, 18, 19], 3) == [([9, 17, 18, 19], 4)]
    assert counted_windows([0, 1, 2, 11, 12, 13], 3) == [([0, 1, 2], 3), ([11, 12, 13], 3)]


def test_fewer_than_is_judged_once_for_each_stretch():
    assert counted_windows([0, 1, 2, 20], 0, slides=False, compare=lambda counts: len(counts) < 3) == [([20], 1)]
    assert counted_windows([0, 1, 2, 3], 0, slides=False, compare=lambda counts: len(counts) == 3) == []


def test_what_is_counted_twice_counts_once():
    found = occurrences([(0, "r", ("a",)), (1, "r", ("a", "b")), (2, "r", ("b",)), (30, "r", ("c",))])
    assert [number for _, number in windows(found, SPAN, lambda counts: len(counts) >= 2, True)] == [2]
    assert list(windows(found, SPAN, lambda counts: len(counts) >= 3, True)) == []


def test_an_order_is_kept_within_the_span():
    found = occurrences([(0, "b", ()), (1, "a", ()), (5, "b", ()), (6, "a", ()), (17, "b", ()), (18, "a", ()), (18, "b", ())])
    assert [seconds(chain) for chain in in_order(found, SPAN, ["a", "b"])] == [[1, 5], [18, 18]]
    assert [seconds(chain) for chain in in_order(found, SPAN, ["b", "b"])] == [[0, 5], [17, 18]]


def test_one_event_is_in_one_chain_and_never_follows_itself():
    same = [Occurrence(START, "x", (1,), rule, ()) for rule in "ab"]
    assert list(in_order(same, SPAN, ["a", "b"])) == []


TIMES = st.lists(st.integers(0, 40), min_size=1, max_size=12)


@given(TIMES, st.integers(1, 4))
def test_every_event_of_a_full_window_is_in_one_that_is_told(times, least):
    told = counted_windows(times, least)
    full = any(sum(first <= other <= first + 10 for other in times) >= least for first in times)
    assert bool(told) == full
    assert all(len(window) == number >= least and window[-1] - window[0] <= 10 for window, number in told)
    assert sum(len(window) for window, _ in told) <= len(times)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), max_size=8))
def test_an_order_is_told_when_there_is_one(events):
    found = occurrences([(second, rule, ()) for second, rule in events])
    there = any(
        a.rule == "a" and b.rule == "b" and c.rule == "c" and a.time <= b.time <= c.time and c.time - a.time <= SPAN
        for a in found
        for b in found
        for c in found
    )
    chains = list(in_order(found, SPAN, ["a", "b", "c"]))
    assert bool(chains) == there
    used = [one.identity for chain in chains for one in chain]
    assert len(used) == len(set(used))
