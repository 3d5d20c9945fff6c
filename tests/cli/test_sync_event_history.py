"""`trailscan sync event-history:` as a user runs it, against a local CloudTrail that keeps AWS's limits."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from tests.cli.conftest import ENVIRONMENT, TOP, killed, run
from tests.fixtures.invented import call, denied, start
from tests.support.lookup import EventHistory, answered

DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0)
SESSION = "ana-0123456789abcdef0"
IDENTITY = "SELECT event_id, event_name, event_time, request_parameters FROM events ORDER BY ALL"


def at(days):
    """Noon, so many days ago."""
    return f"{(MIDNIGHT - days * DAY + DAY / 2).isoformat()}Z"


def shell(days):
    return start(f"shell {days}", SESSION, at=at(days))


def other(days):
    return call(f"other {days}", "ListBuckets", at=at(days))


class Account:
    """An account's Event history, and an archive for it."""

    def __init__(self, server, archive):
        self.server, self.archive = server, archive

    def put(self, *records, region="eu-west-1"):
        self.server.put(map(answered, records), region)

    def arguments(self, *more):
        given = [] if "--region" in more else ["--region", "eu-west-1"]
        endpoint = ["--endpoint-url", self.server.url, "--archive", str(self.archive), "--jobs", "1"]
        return ["sync", "event-history:", *endpoint, *given, *more]

    def sync(self, *more):
        return run(*self.arguments(*more))

    def start(self, *more):
        return subprocess.Popen(
            [sys.executable, "-m", "trailscan", *self.arguments(*more)],
            cwd=TOP,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for_requests(self, number):
        deadline = time.monotonic() + 30
        while len(self.server.asked()) < number:
            assert time.monotonic() < deadline, "it asked for less"
            time.sleep(0.02)

    def ask(self, command, *more):
        return run(command, "--archive", str(self.archive), *more)

    def sql(self, statement):
        with duckdb.connect(str(self.archive / "trailscan.duckdb"), read_only=True) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture
def account(tmp_path):
    with EventHistory(per_second=2) as server:
        yield Account(server, tmp_path / "case")


def test_who_got_a_shell_is_answered_with_no_trail_at_all(account):
    account.put(shell(2), other(1), denied("refused", "i-0aaaabbbbccccdddd", at=at(3)))
    ended = account.sync()
    assert ended.code == 0, ended.err
    assert ended.out == ""
    assert "event history of 111122223333 in eu-west-1, from " in ended.err
    assert "events: 3 answered = 3 kept" in ended.err
    assert "records: 3 read = 3 loaded" in ended.err
    rows = [
        json.loads(line)
        for line in account.ask(
            "query", "--event", "StartSession", "--format", "jsonl", "--columns", "result,source,bucket,key,sha256,session_id"
        ).out.splitlines()
    ]
    assert [row["result"] for row in rows] == ["denied", "ok"]
    assert rows[1]["session_id"] == SESSION
    assert {row["source"] for row in rows} == {"event-history"}
    assert all(row["key"].startswith("event-history/111122223333/eu-west-1/all/") and row["bucket"] is None for row in rows)
    sessions = account.ask("sessions", "--format", "json")
    assert [row["outcome"] for row in json.loads(sessions.out)] == ["denied", "opened"]


def test_a_second_run_asks_for_the_last_hours_only_and_says_why(account):
    account.put(shell(2), other(1))
    assert account.sync().code == 0
    before = len(account.server.asked())
    account.put(call("late", "DescribeInstances", at=f"{(NOW - timedelta(minutes=90)).isoformat()}Z"))
    ended = account.sync()
    assert ended.code == 0
    assert len(account.server.asked()) - before == 2  # whose it is, and the last hours
    assert "not asked for again: 89 d 2" in ended.err
    assert "the last two to three hours always are, since events arrive late" in ended.err
    assert "records: 1 read = 1 loaded" in ended.err
    assert "1 unchanged" in account.sync().err
    assert account.sql("SELECT count(*) FROM events") == [(3,)]


def test_an_event_that_also_came_by_a_trail_is_shown_once(account, tmp_path):
    record = shell(2)
    account.put(record)
    trail = tmp_path / "111122223333_CloudTrail_eu-west-1_20261101T0915Z_a1B2c3D4e5F6g7H8.json.gz"
    trail.write_bytes(gzip.compress(json.dumps({"Records": [record]}, indent=1).encode()))
    assert account.ask("load", str(trail)).code == 0
    assert "records: 1 read = 1 copies" in account.sync().err
    asked = account.ask("query", "--count")
    assert asked.out == "1\n"
    assert "1 copy hidden" in asked.err
    assert "beware" not in asked.err
    assert account.ask("sessions", "--count").out == "1\n"


def test_only_asks_for_each_name_alone_and_says_so_for_ever(account):
    account.put(shell(2), other(1), call("resumed", "ResumeSession", at=at(1)))
    ended = account.sync("--only", "StartSession", "--only", "ResumeSession")
    assert ended.code == 0
    assert "only StartSession, ResumeSession" in ended.err
    names = [each["AttributeValue"] for request in account.server.asked() for each in request.get("LookupAttributes", [])]
    assert set(names) == {"StartSession", "ResumeSession"}
    assert account.sql("SELECT event_name FROM events ORDER BY ALL") == [("ResumeSession",), ("StartSession",)]
    assert account.ask("rebuild").code == 0
    said = account.ask("query", "--event", "ListBuckets", "--count")
    assert (said.out, "with --only" in said.err) == ("0\n", True)


def test_a_glob_is_looked_up_without_a_name_and_filtered_here(account):
    account.put(shell(2), other(1))
    ended = account.sync("--only", "Start*")
    assert ended.code == 0
    assert "records: 2 read = 1 loaded + 1 filtered out" in ended.err
    assert not any("LookupAttributes" in request for request in account.server.asked())


def test_regions_are_asked_at_the_same_time_each_at_its_own_pace(account):
    regions = ("eu-west-1", "us-east-1", "ap-south-1")
    for region in regions:
        account.put(call(f"in {region}", "ListBuckets", at=at(1), awsRegion=region), region=region)
    ended = account.sync(*(text for region in regions for text in ("--region", region)))
    assert ended.code == 0
    assert account.sql("SELECT region FROM objects WHERE records = 1 ORDER BY ALL") == [(region,) for region in sorted(regions)]
    assert account.server.throttled == 0


def test_hostile_events_are_rows_of_damage_and_the_rest_is_loaded(account):
    texts = ["not JSON", "{", "null", "[]", '{"eventVersion":', "\u001b[31m", '"' * 99, "[" * 5000, ""]
    hostile = [answered(other(1), CloudTrailEvent=text, EventId=f"{number}") for number, text in enumerate(texts)]
    account.server.put([*hostile, answered(other(1), CloudTrailEvent=None)])
    account.put(shell(2))
    ended = account.sync()
    assert ended.code == 3, ended.err
    assert "\u001b" not in ended.err
    [(damaged, records)] = account.sql(
        "SELECT (SELECT count(DISTINCT (object_id, record_index)) FROM damage), (SELECT sum(records)::INTEGER FROM objects)"
    )
    assert records == 11
    assert damaged == 10
    assert account.ask("query", "--count").out == "1\n"
    assert "10 damaged" in ended.err


def test_times_in_any_notation_are_understood(account):
    numbers = [datetime.fromisoformat(at(day)).timestamp() for day in (1, 2)]
    account.server.put([answered(other(1), EventTime=numbers[0] + 0.5), answered(other(2), EventTime=int(numbers[1]))])
    local = datetime.fromisoformat(at(3)).astimezone(UTC).isoformat().replace("+00:00", "Z")
    account.server.put([answered(other(3), EventTime=local)])
    assert account.sync().code == 0
    assert [row[0] for row in account.sql("SELECT event_time FROM events ORDER BY ALL")] == [
        datetime.fromisoformat(at(day)).replace(tzinfo=None) for day in (3, 2, 1)
    ]


def test_throttling_is_waited_out(account):
    account.put(shell(2))
    account.server.fail("ThrottlingException", 1, after=1)
    ended = account.sync()
    assert ended.code == 0
    assert "1 more throttled by CloudTrail" in ended.err
    assert account.sql("SELECT count(*) FROM events") == [(1,)]


def test_a_run_that_is_killed_loses_a_window_at_most_and_the_next_ends_the_work(account):
    account.server.page = 1
    account.put(*map(shell, range(1, 7)))
    account.server.stall(60, after=5)
    process = account.start()
    account.wait_for_requests(6)
    killed(process)
    account.server.recover()
    manifest = account.archive / "manifest.jsonl"
    before = len(account.server.asked())
    kept = [json.loads(line)["key"] for line in manifest.read_text().splitlines()]
    assert len(kept) == 3  # the last hours, and two days
    ended = account.sync()
    assert ended.code == 0, ended.err
    assert len(account.server.asked()) - before == 6  # whose it is, the last hours, and four days
    assert account.sql("SELECT count(DISTINCT event_id), count(*) FROM events") == [(6, 6)]


def test_ctrl_c_ends_it_at_once_and_keeps_what_is_whole(account):
    account.server.page = 1
    account.put(*map(shell, range(1, 5)))
    account.server.stall(60, after=4)
    process = account.start()
    account.wait_for_requests(5)
    started = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - started < 10
    assert process.returncode == 1
    assert "stopped: whole windows are kept" in said
    account.server.recover()
    assert account.sync().code == 0
    assert account.sql("SELECT count(DISTINCT event_id), count(*) FROM events") == [(4, 4)]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("AccessDeniedException", "cloudtrail:LookupEvents"),
        ("ExpiredTokenException", "renew them"),
        ("InvalidTimeRangeException", "InvalidTimeRangeException"),
    ],
)
def test_what_aws_refuses_is_said_and_makes_no_archive(account, code, said):
    account.server.fail(code, 9)
    ended = account.sync()
    assert ended.code == 1
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert not account.archive.exists()


def test_credentials_that_expire_on_the_way_keep_what_came_before(account):
    account.server.page = 1
    account.put(*map(shell, range(1, 4)))
    account.server.fail("ExpiredTokenException", after=4)
    ended = account.sync()
    assert ended.code == 1
    assert "ExpiredTokenException" in ended.err
    assert "events: 2 answered = 1 kept + 1 of windows cut off, not kept" in ended.err
    assert account.sql("SELECT count(*) FROM events") == [(1,)]
    assert account.sync().code == 0
    assert account.sql("SELECT count(*) FROM events") == [(3,)]


def test_one_region_that_fails_does_not_keep_the_others(account):
    account.put(shell(1))
    account.server.fail("AccessDeniedException", 9, region="us-east-1")
    ended = account.sync("--region", "us-east-1", "--region", "eu-west-1")
    assert ended.code == 1
    assert "no permission for Event history of us-east-1" in ended.err
    assert account.sql("SELECT count(*) FROM events") == [(1,)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--account", "111122223333"], "--account means nothing"),
        (["--no-sign-request"], "--no-sign-request means nothing"),
        (["--request-payer"], "--request-payer means nothing"),
        (["--keys", "-"], "--keys means nothing"),
        (["--region", "../.."], "is not a region"),
        (["--until", "100d"], "holds nothing of that time"),
    ],
)
def test_what_event_history_cannot_do_is_wrong_usage(account, arguments, said):
    ended = account.sync(*arguments)
    assert ended.code == 2
    assert said in ended.err


def test_a_region_after_the_colon_is_wrong_usage(account):
    assert run("sync", "event-history:eu-west-1", "--archive", str(account.archive)).code == 2


def test_what_lies_further_back_than_90_days_is_not_promised(account):
    account.put(shell(2), shell(120))
    ended = account.sync("--since", "200d")
    assert ended.code == 0
    assert "Event history reaches back 90 days" in ended.err
    assert account.sql("SELECT count(*) FROM events") == [(1,)]


def test_a_span_that_is_given_is_the_span_that_is_asked_for(account):
    account.put(*map(shell, range(1, 6)))
    assert account.sync("--since", at(4), "--until", at(2)).code == 0
    assert account.sql("SELECT count(*) FROM events") == [(2,)]  # since is inclusive, until is not


def test_a_dry_run_shows_what_would_be_asked_for_and_makes_nothing(account):
    account.put(shell(1))
    ended = account.sync("--dry-run", "--only", "StartSession")
    assert ended.code == 0
    assert ended.out.splitlines()[0].split() == ["account_id", "region", "event_name", "since", "until"]
    assert ended.out.count("StartSession") == 2
    assert not account.archive.exists()


def test_what_was_not_loaded_is_loaded_by_the_next_run(account):
    account.put(shell(2))
    assert "not loaded, as --no-load asked" in account.sync("--no-load").err
    assert account.sql("SELECT count(*) FROM events") == [(0,)]
    assert account.sync().code == 0
    assert account.sql("SELECT count(*) FROM events") == [(1,)]


def test_the_archive_can_be_rebuilt_verified_packed_and_its_story_told(account, tmp_path):
    account.put(shell(2), other(1), shell(3))
    assert account.sync().code == 0
    before = account.sql(IDENTITY)
    assert account.ask("rebuild").code == 0
    assert account.sql(IDENTITY) == before
    verified = account.ask("verify")
    assert verified.code == 0, verified.out + verified.err
    entry = json.loads(account.ask("custody", "--format", "jsonl").out.splitlines()[0])
    assert entry["arguments"]["source"] == "event-history:"
    assert (entry["arguments"]["account"], entry["counts"]["kept"]) == (["111122223333"], 3)
    bundle, copy = tmp_path / "case.tar", tmp_path / "copy"
    assert account.ask("pack", str(bundle), "--since", at(2)).code == 0
    unpacked = run("unpack", str(bundle), "--archive", str(copy))
    assert unpacked.code == 0, unpacked.err
    assert run("query", "--archive", str(copy), "--event", "StartSession", "--count").out == "1\n"


def test_coverage_says_that_event_history_is_in_no_cell(account):
    account.put(shell(2))
    assert account.sync().code == 0
    assert "objects in no cell" in account.ask("coverage").err
