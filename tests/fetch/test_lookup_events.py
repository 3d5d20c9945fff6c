"""Event history, asked over HTTP: its paces and limits, its errors, and what is kept of an answer, whole or not at all."""

import gzip
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.fixtures.invented import call
from tests.support.lookup import EventHistory, answered
from trailscan.archive.folder import ArchiveFolder
from trailscan.aws.session import Access
from trailscan.cloudtrail import history_windows as windows
from trailscan.cloudtrail.history_windows import key_of_window, parse_window
from trailscan.errors import CredentialsError, NotReachable, SourceError, UsageError
from trailscan.fetch import lookup_events as event_history
from trailscan.fetch.history_download import HeldWindows, Lookups, account_of, span_within_reach
from trailscan.fetch.lookup_events import Pace, Stopped, open_histories

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0)
SPAN = (NOW - timedelta(days=10), NOW)


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAINVENTEDKEY00001",
        "AWS_SECRET_ACCESS_KEY": "invented",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(event_history, "PER_SECOND", 1000)
    monkeypatch.setattr(event_history, "WAIT", 0.01)
    monkeypatch.setattr(event_history, "THROTTLED_TRIES", 5)


@pytest.fixture
def server():
    with EventHistory() as running:
        yield running


@pytest.fixture
def stop():
    return threading.Event()


@pytest.fixture
def ask(server, stop):
    def of(*regions):
        return open_histories(Access(endpoint_url=server.url), regions or ("eu-west-1",), stop.is_set)

    return of


def event(label, ago, name="StartSession", **more):
    return answered(call(label, name, at=f"{(NOW - ago).isoformat()}Z"), **more)


def daily(number):
    """An event a day, at noon: the newest was yesterday."""
    return [event(f"day {n}", NOW - MIDNIGHT + timedelta(hours=12 + 24 * n)) for n in range(number)]


def ids(events):
    return [json.loads(text)["EventId"] for _, text in events]


def everything(history, span=SPAN, name=None):
    return [found for page in history.pages(span, name) for found in page]


# The client


def test_all_pages_are_asked_for_newest_first(server, ask):
    events = [event(f"{n}", HOUR * n) for n in range(1, 121)]
    server.put(reversed(events))
    assert ids(everything(ask()[0])) == [each["EventId"] for each in events]
    assert [request.get("MaxResults") for request in server.asked()] == [50] * 3


def test_a_span_has_its_beginning_and_not_its_end(server, ask):
    server.put([event("end", 1 * HOUR), event("inside", 2 * HOUR), event("beginning", 3 * HOUR), event("before", 4 * HOUR)])
    found = everything(ask()[0], (NOW - 3 * HOUR, NOW - HOUR))
    assert ids(found) == [event("inside", HOUR)["EventId"], event("beginning", HOUR)["EventId"]]


def test_an_event_name_is_the_one_attribute_asked_for(server, ask):
    server.put([event("a", HOUR), event("b", HOUR, "ListBuckets")])
    assert len(everything(ask()[0], SPAN, "ListBuckets")) == 1
    assert server.asked()[0]["LookupAttributes"] == [{"AttributeKey": "EventName", "AttributeValue": "ListBuckets"}]


def test_an_event_is_kept_byte_for_byte_also_what_boto3_does_not_know(server, ask):
    server.put([event("a", HOUR, Novelty={"of": "2027"}, AccessKeyId=None)])
    text = everything(ask()[0])[0][1]
    assert text == json.dumps(event("a", HOUR, Novelty={"of": "2027"}, AccessKeyId=None)).encode()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (1772356502, "2026-03-01T09:15:02"),
        (1772356502.75, "2026-03-01T09:15:02"),
        ("2026-03-01T18:15:02+09:00", "2026-03-01T09:15:02"),
        ("2026-03-01T09:15:02Z", "2026-03-01T09:15:02"),
        ("2026-03-01T09:15:02", "2026-03-01T09:15:02"),
        ("yesterday", None),
        (1e300, None),
        (None, None),
        ([], None),
    ],
)
def test_the_time_of_an_event_is_read_in_every_notation(written, meant):
    found = event_history._time_of(json.dumps({"EventTime": written, "CloudTrailEvent": "{}"}).encode())
    assert found == (meant and datetime.fromisoformat(meant))


def test_no_more_than_two_requests_are_made_in_any_second(monkeypatch, ask):
    monkeypatch.setattr(event_history, "PER_SECOND", 2)
    with EventHistory(per_second=2) as strict:
        strict.page = 1
        strict.put([event(f"{n}", HOUR * n) for n in range(1, 6)])
        history = open_histories(Access(endpoint_url=strict.url), ["eu-west-1"], lambda: False)[0]
        assert len(everything(history)) == 5
        assert (strict.throttled, history.throttled) == (0, 0)
        times = [at for _, _, at in strict.requests]
    assert all(third - first > 0.9 for first, third in zip(times, times[2:], strict=False))


def test_the_pace_waits_for_the_last_but_one():
    pace = Pace(2)
    assert [pace.due(0.0), pace.due(0.25), pace.due(0.5), pace.due(1.0), pace.due(9.0)] == [0, 0, 0.5, 0.25, 0]


@pytest.mark.parametrize(("code", "status"), [("ThrottlingException", 400), ("InternalFailure", 500), ("Unavailable", 503)])
def test_what_fails_for_a_while_is_asked_again(server, ask, code, status):
    server.put(daily(3))
    server.fail(code, 3, status)
    history = ask()[0]
    assert len(everything(history)) == 3
    assert history.throttled == (3 if status == 400 else 0)


@pytest.mark.parametrize(
    ("code", "status", "kind", "said"),
    [
        ("AccessDeniedException", 400, CredentialsError, "no permission for Event history of eu-west-1"),
        ("ExpiredTokenException", 400, CredentialsError, "ExpiredTokenException"),
        ("ThrottlingException", 400, SourceError, "ThrottlingException"),
        ("InternalFailure", 500, SourceError, "InternalFailure"),
        ("InvalidTimeRangeException", 400, SourceError, "InvalidTimeRangeException"),
    ],
)
def test_what_fails_for_good_is_an_error_of_ours(server, ask, code, status, kind, said):
    server.fail(code, 99, status)
    with pytest.raises(kind, match=said):
        everything(ask()[0])


def test_a_missing_permission_is_named(server, ask):
    server.fail("AccessDeniedException")
    with pytest.raises(CredentialsError) as caught:
        everything(ask()[0])
    assert "cloudtrail:LookupEvents" in caught.value.hint


def test_an_endpoint_where_nobody_answers_is_not_reachable(stop):
    history = open_histories(Access(endpoint_url="http://127.0.0.1:9"), ["eu-west-1"], stop.is_set)[0]
    with pytest.raises(NotReachable, match="Event history of eu-west-1"):
        account_of([history], NOW)


def test_who_names_no_region_or_none_that_can_be_is_told(stop):
    with pytest.raises(UsageError, match="region by region"):
        open_histories(Access(), [], stop.is_set)
    with pytest.raises(UsageError, match="not a region"):
        open_histories(Access(), ["../../etc"], stop.is_set)


def test_the_sessions_own_region_is_the_default(monkeypatch, stop):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert [history.region for history in open_histories(Access(), [], stop.is_set)] == ["eu-central-1"]


def test_waiting_ends_when_asked_to_stop(server, ask, stop, monkeypatch):
    monkeypatch.setattr(event_history, "WAIT", 60)
    server.fail("ThrottlingException", 9)
    threading.Timer(0.3, stop.set).start()
    started = time.monotonic()
    with pytest.raises(Stopped):
        everything(ask()[0])
    assert time.monotonic() - started < 5


# Whose history it is


def test_the_account_is_the_one_that_received_the_events(server, ask):
    server.put([event("bad", HOUR, CloudTrailEvent="not JSON"), event("none", HOUR, CloudTrailEvent=None), *daily(1)])
    assert account_of(ask("us-east-1", "eu-west-1"), NOW) == "111122223333"


@pytest.mark.parametrize("text", ['{"recipientAccountId":"../../x"}', '{"recipientAccountId":7}', "[]", "", '"\\ud800"'])
def test_an_account_that_no_event_tells_is_unknown(server, ask, text):
    server.put([event("a", HOUR, CloudTrailEvent=text)])
    assert account_of(ask(), NOW) == "unknown"


# Into the archive


@pytest.fixture
def archive(tmp_path):
    made = ArchiveFolder(str(tmp_path / "case"))
    made.create()
    return made


def look_up(archive, histories, stop, names=(None,), span=SPAN, now=NOW):
    """One run; returns it and what it passed on."""
    held = HeldWindows(origin for origin, _ in archive.recorded())
    asked = [(each, [held.wanted("111122223333", each.region, name, span, now) for name in names]) for each in histories]
    lookups = Lookups(archive, held, stop.is_set)
    return lookups, [found for found in lookups.run(asked) if found is not None]


def kept_ids(archive):
    return [
        each["EventId"]
        for origin, _ in archive.recorded()
        for each in json.loads(gzip.decompress(Path(archive.place(origin.path)).read_bytes()))["Events"]
    ]


def test_a_run_keeps_every_event_in_windows_and_the_next_asks_for_the_last_hours_only(server, ask, stop, archive):
    server.put([*daily(5), event("late", HOUR)])
    lookups, found = look_up(archive, ask(), stop)
    assert lookups.is_whole
    assert lookups.counts.answered == lookups.counts.kept == 6
    assert sorted(kept_ids(archive)) == sorted(each["EventId"] for each in [*daily(5), event("late", HOUR)])
    before = len(server.asked())
    again, found = look_up(archive, ask(), stop)
    assert found == []
    assert (again.counts.kept, again.counts.unchanged) == (0, 1)
    [request] = server.asked()[before:]
    assert NOW.timestamp() - 3 * 3600 - 1 < request["StartTime"] <= NOW.timestamp() - 2 * 3600


def test_an_event_that_arrives_late_is_found_by_the_next_run(server, ask, stop, archive):
    server.put([event("first", HOUR)])
    look_up(archive, ask(), stop)
    server.put([event("late", 2 * HOUR)])
    _, found = look_up(archive, ask(), stop)
    assert len(found) == 1
    assert event("late", HOUR)["EventId"] in kept_ids(archive)


def test_what_all_names_answered_is_not_asked_for_by_name_and_the_other_way_round_it_is(server, ask, stop, archive):
    server.put(daily(3))
    look_up(archive, ask(), stop, ["StartSession"])
    _, found = look_up(archive, ask(), stop)
    assert sum(parse_window(origin.key).event_name is None for origin in found) == len(found) > 0
    before = len(server.asked())
    look_up(archive, ask(), stop, ["ResumeSession"])
    assert len(server.asked()) - before == 1  # of the last hours


def test_a_window_of_the_last_hours_that_came_of_age_is_not_asked_for_a_third_time(server, ask, stop, archive):
    span = (MIDNIGHT - timedelta(days=3), MIDNIGHT - timedelta(days=1))
    server.put(daily(3))
    origin = look_up(archive, ask(), stop, span=span)[1][0]
    young = msgspec.structs.replace(origin, fetched_at=parse_window(origin.key).until)
    Path(archive.manifest).write_bytes(b"")
    archive.record([young])
    _, found = look_up(archive, ask(), stop, span=span)
    assert origin.key not in [each.key for each in found]  # nothing new to load
    before = len(server.asked())
    look_up(archive, ask(), stop, span=span)
    assert len(server.asked()) == before


def test_regions_are_asked_side_by_side_and_one_that_fails_ends_only_itself(server, ask, stop, archive):
    server.put(daily(2), "eu-west-1")
    server.put(daily(2), "us-east-1")
    server.fail("AccessDeniedException", 9, region="ap-south-1")
    lookups, found = look_up(archive, ask("ap-south-1", "eu-west-1", "us-east-1"), stop)
    assert {parse_window(origin.key).region for origin in found} == {"eu-west-1", "us-east-1"}
    assert [type(error) for error in lookups.errors] == [CredentialsError]
    assert not lookups.is_whole


def test_a_run_that_ends_early_keeps_whole_windows_and_the_next_goes_on_from_there(server, ask, stop, archive):
    server.page = 2
    server.put(daily(9))
    server.fail("ExpiredTokenException", after=3)
    lookups, found = look_up(archive, ask(), stop)
    assert [type(error) for error in lookups.errors] == [CredentialsError]
    assert lookups.counts.answered == 4
    assert lookups.counts.kept == len(kept_ids(archive)) == 3  # the fourth day may not be whole
    oldest = min(parse_window(origin.key).since for origin in found)
    before = len(server.asked())
    look_up(archive, ask(), stop)
    assert server.asked()[before + 1]["EndTime"] == oldest.replace(tzinfo=UTC).timestamp() - 1
    assert sorted(kept_ids(archive)) == sorted(each["EventId"] for each in daily(9))


def test_an_answer_that_breaks_off_is_asked_for_anew_from_the_last_whole_window(server, ask, stop, archive):
    server.page = 2
    server.put(daily(9))
    server.fail("InvalidNextTokenException", after=4)
    lookups, _ = look_up(archive, ask(), stop)
    assert lookups.errors == []
    assert sorted(kept_ids(archive)) == sorted(each["EventId"] for each in daily(9))


def test_an_answer_that_breaks_off_for_ever_is_an_error(server, ask, stop, archive):
    server.put(daily(9))
    server.fail("InvalidNextTokenException", 9)
    lookups, found = look_up(archive, ask(), stop)
    assert "breaks off" in lookups.errors[0].message
    assert found == []


def test_a_run_that_is_stopped_waits_for_nobody(server, ask, stop, archive):
    server.put(daily(3))
    server.stall(30, after=1)
    threading.Timer(0.3, stop.set).start()
    started = time.monotonic()
    lookups, _ = look_up(archive, ask(), stop)
    assert time.monotonic() - started < 5
    assert not lookups.is_whole


def test_objects_that_a_killed_run_did_not_record_are_known_by_their_place(server, ask, stop, archive):
    server.put(daily(2))
    found = look_up(archive, ask(), stop)[1]
    Path(archive.manifest).write_bytes(b"")
    strays = list(archive.strays([]))
    assert {(each.source, each.key, each.path) for each in strays} == {(each.source, each.key, each.path) for each in found}


def test_the_same_events_make_the_same_bytes(server, ask, stop, archive, tmp_path):
    server.put(daily(4))
    other = ArchiveFolder(str(tmp_path / "other"))
    other.create()
    sums = [{each.key: each.sha256 for each in look_up(place, ask(), stop)[1]} for place in (archive, other)]
    assert sums[0] == sums[1]


def test_a_busy_day_is_kept_in_parts(server, ask, stop, archive, monkeypatch):
    monkeypatch.setattr(windows, "FULL", 10)
    server.page = 7
    server.put([event(f"{n}", 5 * HOUR + timedelta(seconds=n)) for n in range(35)])
    _, found = look_up(archive, ask(), stop)
    assert len(found) > 3
    assert len(kept_ids(archive)) == len(set(kept_ids(archive))) == 35
    assert all(key_of_window(parse_window(each.key)) == each.key for each in found)


# The time that can be asked for


def test_event_history_reaches_back_ninety_days():
    assert span_within_reach(None, None, NOW) == (NOW - timedelta(days=90), NOW)
    assert span_within_reach(NOW - timedelta(days=200), NOW + HOUR, NOW) == (NOW - timedelta(days=90), NOW)
    since, until = span_within_reach(NOW - timedelta(days=200), NOW - timedelta(days=100), NOW)
    assert since > until


def test_times_between_seconds_miss_no_event():
    half = timedelta(microseconds=500_000)
    since, until = NOW - 2 * HOUR, NOW - HOUR
    assert span_within_reach(since + half, until + half, NOW) == (since, until + timedelta(seconds=1))
