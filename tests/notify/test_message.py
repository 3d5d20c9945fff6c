"""The words of a finding: what a person and a program read, whatever the log holds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.invented import BEN, call, event_id, start
from tests.notify.making import SHELL, notice
from tests.support.world import World
from trailscan.notify.message import SUBJECT, body, encoded, line, subject, text

HOSTILE = "ana\r\nBcc: all@example.com\x1b[2J\u202e\x00<b>"


def test_the_line_says_who_when_from_where_what_on_which_target_and_how_it_ended():
    assert line(notice(start("s", "ben-1", who=BEN), note="2 targets within 1h")) == (
        "Session started: ben.o-hara@example.com (AWSReservedSSO_Operators_0123456789abcdef), 2026-03-01 09:15:02 UTC, "
        "from 198.51.100.7, StartSession on i-0aaaabbbbccccdddd: ok (account 111122223333, eu-west-1); 2 targets within 1h"
    )


def test_the_line_of_a_record_that_tells_nothing_says_so():
    told = line(notice(None, event_time=None))
    assert told == "Session started: unknown caller, at an unknown time, from an unknown address, a call"


@given(st.text(), st.sampled_from(["high", "informational"]))
def test_a_subject_is_ascii_on_one_line_and_short_whatever_the_title(title, level):
    made = subject(notice(title=title, level=level))
    assert made.isascii()
    assert made.isprintable()
    assert made.startswith(f"[{level}] ")
    assert len(made) <= SUBJECT


@pytest.mark.parametrize("field", ["sourceIPAddress", "userAgent", "eventName", "awsRegion", "eventID"])
def test_no_control_character_of_a_log_reaches_the_text_or_makes_a_line(field):
    told = text(notice(call("h", "StopLogging", who={"type": "IAMUser", "userName": HOSTILE}) | {field: HOSTILE}))
    assert all(found.isprintable() for found in told.split("\n"))
    assert "\nBcc:" not in told


def test_the_text_names_the_rule_and_the_record_with_its_object():
    told = text(notice())
    assert "Session started (11111111-2222-4333-8444-555555555555), high, by a team" in told
    assert "s3://example-trail/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/01/a.json.gz, record 0" in told
    assert json.loads(told[told.index("{") :]) == SHELL


def test_a_text_that_is_too_long_is_cut_and_says_so():
    told = text(notice(), 600)
    assert len(told) == 600
    assert told.endswith("... cut here: the archive has the whole record")


def test_the_body_is_the_event_of_eventbridge_with_the_line_before_it():
    made = body(notice())
    assert next(iter(made)) == "message"
    assert {
        name: made[name] for name in ("version", "id", "detail-type", "source", "account", "time", "region", "resources")
    } == {
        "version": "0",
        "id": event_id("shell"),
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ssm",
        "account": "111122223333",
        "time": "2026-03-01T09:15:02Z",
        "region": "eu-west-1",
        "resources": [],
    }
    assert made["detail"] == SHELL
    assert made["rule"]["level"] == "high"
    assert made["finding_id"] == "f" * 64


def test_json_within_the_limit_is_whole():
    made = json.loads(encoded(notice(), 4096))
    assert made["detail"] == SHELL
    assert "truncated" not in made


def test_the_largest_parts_give_way_first_and_are_named():
    record = SHELL | {"requestParameters": {"target": "i-1", "parameters": {"x": ["y" * 3000]}}, "userAgent": "z" * 2000}
    made = json.loads(encoded(notice(record), 3000))
    assert made["truncated"] == ["detail.requestParameters", "detail.userAgent"]
    assert made["detail"]["requestParameters"] is None
    assert made["detail"]["userAgent"] == "z" * 397 + "..."
    assert made["detail"]["responseElements"] == SHELL["responseElements"]


@pytest.mark.parametrize(
    "more",
    [
        {f"field{number}": "x" * 20 for number in range(2000)},
        {"eventID": "e" * 9000, "awsRegion": "r" * 9000, "recipientAccountId": "a" * 9000},
        {"errorMessage": "\U0001f600" * 9000},
    ],
    ids=["many", "envelope", "emoji"],
)
def test_no_record_is_too_large_for_the_limit(more):
    made = encoded(notice(SHELL | more, title="t" * 9000, tags="g" * 9000), 8192)
    assert len(made) <= 8192
    assert made.isascii()
    assert json.loads(made)["truncated"]


def test_a_record_too_deep_to_be_shown_is_told_of_without_it():
    deep = "[" * 100_000 + "]" * 100_000
    told = notice(SHELL)
    told.event["request_parameters"] = f'{{"a":{deep}}}'
    assert json.loads(encoded(told))["truncated"] == ["detail"]
    assert "it is too deep" in text(told)


def test_any_record_of_the_world_can_be_told():
    world = World(5)
    when = notice().finding.event_time
    for _ in range(100):
        told = notice(world.record(when, "111122223333", "eu-west-1"))
        assert line(told).isprintable()
        assert json.loads(encoded(told, 256 << 10))["detail"]
