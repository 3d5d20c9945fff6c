"""Windows of Event history: whatever CloudTrail answers, they tile the time asked for and hold each event once."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailscan.archive.origin import Naming, naming_of
from trailscan.cloudtrail import history_windows as windows
from trailscan.cloudtrail.history_windows import Window, can_be_asked, cut, gaps, key_of_window, parse_window, settled_until

utc = datetime.fromisoformat
DAY = utc("2026-03-02")
SPAN = (utc("2026-03-01T09:15:02"), utc("2026-03-04T18:00:00"))
SECONDS = int((SPAN[1] - SPAN[0]).total_seconds())

moments = st.datetimes(utc("2013-01-01"), utc("2099-01-01")).map(lambda at: at.replace(microsecond=0))
names = st.none() | st.from_regex(r"[A-Za-z0-9_.-]{1,128}", fullmatch=True)
accounts = st.from_regex(r"[0-9]{12}", fullmatch=True) | st.just("unknown")
regions = st.sampled_from(["eu-west-1", "us-gov-west-1", "eusc-de-east-1"])
happened = st.lists(st.integers(0, SECONDS - 1)).map(
    lambda ages: [SPAN[1] - timedelta(seconds=1 + age) for age in sorted(ages)]
)


@given(st.builds(Window, accounts, regions, names, moments, moments))
def test_a_key_tells_the_window(window):
    assert parse_window(key_of_window(window)) == window
    assert naming_of(key_of_window(window)) == Naming("event-history", window.account_id, window.region, window.since)


@pytest.mark.parametrize(
    "key",
    [
        "event-history/111122223333/eu-west-1/all/20261301T000000Z-20260302T000000Z.json.gz",
        "event-history/111122223333/nowhere/all/20260301T000000Z-20260302T000000Z.json.gz",
        "event-history/1111/eu-west-1/all/20260301T000000Z-20260302T000000Z.json.gz",
        "event-history/111122223333/eu-west-1/EventName=a/b/20260301T000000Z-20260302T000000Z.json.gz",
        "other/event-history/111122223333/eu-west-1/all/20260301T000000Z-20260302T000000Z.json.gz",
        "event-history/111122223333/eu-west-1/all/20260301T000000Z-20260302T000000Z.json.gz\n",
    ],
)
def test_other_keys_are_no_windows(key):
    assert parse_window(key) is None


def _pages(times, size):
    events = [(at, f"{number}".encode()) for number, at in enumerate(times)]
    return [events[start : start + size] for start in range(0, len(events), size)]


@given(happened, st.integers(1, 7), st.integers(1, 9))
def test_windows_tile_the_span_and_hold_each_event_once_in_its_time(times, size, full):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "FULL", full)
        found = list(cut(_pages(times, size), SPAN))
    assert [since for (since, _), _ in found] == [until for (_, until), _ in found[1:]] + [SPAN[0]]
    assert found[0][0][1] == SPAN[1]
    held = [(int(text), span) for span, events in found for text in events]
    assert [number for number, _ in held] == list(range(len(times)))
    for number, (since, until) in held:
        assert since <= times[number] < until
        assert times[number].date() == since.date()


def test_a_window_is_given_as_soon_as_an_older_event_shows_that_it_is_whole():
    yesterday, today = DAY - timedelta(hours=1), DAY + timedelta(hours=1)

    def pages():
        yield [(today, b"a")]
        yield [(today, b"b"), (yesterday, b"c")]
        raise ConnectionError

    found = cut(pages(), SPAN)
    assert next(found) == ((DAY, SPAN[1]), [b"a", b"b"])
    with pytest.raises(ConnectionError):
        next(found)


def test_events_of_one_second_are_never_parted(monkeypatch):
    monkeypatch.setattr(windows, "FULL", 2)
    times = [DAY + timedelta(seconds=9)] * 5 + [DAY + timedelta(seconds=8)]
    first, *_ = cut(_pages(times, 2), SPAN)
    assert first[1] == [b"0", b"1", b"2", b"3", b"4"]


def test_an_event_without_a_time_or_out_of_order_is_kept_with_the_one_before_it():
    noon = DAY + timedelta(hours=12)
    found = list(cut([[(noon, b"a"), (None, b"b"), (noon + timedelta(days=1), b"c")], [(utc("1970-01-01"), b"d")]], SPAN))
    assert [events for _, events in found] == [[b"a", b"b", b"c"], [b"d"]]
    assert found[-1][0][0] == SPAN[0]


def test_where_nothing_happened_there_is_one_empty_window():
    assert list(cut([[]], SPAN)) == [(SPAN, [])]


small = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda ends: (min(ends), max(ends)))


@given(small, st.lists(small))
def test_gaps_are_the_seconds_that_nothing_covers(asked, held):
    def span(ends):
        return tuple(DAY + timedelta(seconds=end) for end in ends)

    found = gaps(span(asked), map(span, held))
    covered = {second for since, until in held for second in range(since, until)}
    missing = {DAY + timedelta(seconds=second) for second in set(range(*asked)) - covered}
    assert {since + timedelta(seconds=n) for since, until in found for n in range(int((until - since).seconds))} == missing
    assert found == sorted(found, reverse=True)


def test_the_last_two_to_three_hours_are_never_settled():
    assert settled_until(utc("2026-03-02T13:59:59")) == utc("2026-03-02T11:00")
    assert settled_until(utc("2026-03-02T14:00:00")) == utc("2026-03-02T12:00")


@pytest.mark.parametrize("name", ["Start*", "a/b", "", "ü", "a b", "x" * 129])
def test_what_event_history_cannot_be_asked_for_is_filtered_here(name):
    assert not can_be_asked(name)
    assert can_be_asked("CreateDistribution2020_05_31")
