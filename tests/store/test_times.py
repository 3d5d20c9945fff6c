"""eventTime in all its notations becomes UTC or nothing, and never a moment that other tools cannot hold."""

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.parsing import parsed, row_of
from trailscan.store.database import scratch
from trailscan.store.record_rebuild import record_of

WHEN = datetime(2026, 3, 1, 9, 15, 2)  # noqa: DTZ001 - cells are naive UTC


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-03-01T09:15:02.123Z", WHEN.replace(microsecond=123000)),
        ("2026-03-01T11:15:02+02:00", WHEN),
        ("2026-03-01T03:45:02-05:30", WHEN),
        ("2026-03-01 09:15:02", WHEN),
        ("2026-03-01 09:15:02Z", WHEN),
        ("20260301T091502Z", WHEN),
        ("1772356502", WHEN),
        ("1772356502123", WHEN.replace(microsecond=123000)),
        (1772356502, WHEN),
        (1772356502123, WHEN.replace(microsecond=123000)),
        (1772356502.5, WHEN.replace(microsecond=500000)),
        ("2026-03-01 09:15:02.000000000", WHEN),
        ("2026-03-01T09:15:02.123456789Z", WHEN.replace(microsecond=123456)),
        ("2026-03-01", WHEN.replace(hour=0, minute=0, second=0)),
    ],
)
def test_other_notations_are_read_flagged_and_kept(written, moment):
    row = row_of({"eventTime": written})
    assert row["event_time"] == moment
    assert "odd-time" in row["flags"]
    assert record_of(row) == {"eventTime": written}


@pytest.mark.parametrize(
    "written",
    [
        "garbage", "", "2026-13-01T09:15:02Z", "2026-02-30T09:15:02Z", "99999-01-01T00:00:00Z", "99999-1-01T00:00:00Z",
        "0000-03-01T09:15:02Z", "00000301T091502Z", "0044-03-15 (BC)    Z", "-001-03-01T09:15:02Z", "infinity",
        "infinity           Z", "-infinity          Z", "now", "99999999999999", True, {"seconds": 1}, [],
    ],
)  # fmt: skip
def test_what_is_no_time_is_no_time_flagged_and_kept(written):
    row = row_of({"eventTime": written})
    assert row["event_time"] is None
    assert "odd-time" in row["flags"]
    assert record_of(row) == {"eventTime": written}


@pytest.mark.parametrize("record", [{"eventTime": None}, {"eventName": "x"}])
def test_a_time_that_is_not_there_is_no_odd_time(record):
    row = row_of(record)
    assert (row["event_time"], row["flags"]) == (None, None)


@given(st.datetimes(datetime.min, datetime.max))  # noqa: DTZ901
@settings(max_examples=50)
def test_cloudtrails_own_notation_is_exact_and_plain(when):
    written = when.replace(microsecond=0).isoformat() + "Z"
    row = row_of({"eventTime": written})
    assert (row["event_time"], row["flags"], row["other_fields"]) == (when.replace(microsecond=0), None, None)
    assert record_of(row) == {"eventTime": written}


@given(
    st.lists(st.text("0123456789-:.TZ+ (BC)infty", min_size=18, max_size=22) | st.text(max_size=30), min_size=1, max_size=50)
)
@settings(max_examples=40)
def test_whatever_stands_there_the_moment_is_one_that_python_holds(written):
    texts = [f'{{"eventTime":"{text}"}}' for text in written if text.isprintable() and not set(text) & {'"', "\\"}] or ["{}"]
    for row in parsed(texts):
        assert row["event_time"] is None or isinstance(row["event_time"], datetime)


def test_who_asks_may_live_in_any_zone(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    rows = parsed([f'{{"eventTime":"{text}"}}' for text in ("2026-03-01T11:15:02+02:00", "2026-03-01 09:15:02")], scratch())
    assert [row["event_time"] for row in rows] == [WHEN, WHEN]
