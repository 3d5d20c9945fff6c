"""Rule files of every kind people have, and what their rules find."""

import json

import pytest

from tests.detect.eventbridge.asking import pattern
from tests.fixtures.invented import ANA, call, denied, resume, start, terminate
from tests.store.parsing import parsed
from tests.test_real import REAL
from tests.test_real import records as real_records
from trailscan.detect.eventbridge.rule import WITH_READS, EventPattern, compile_pattern
from trailscan.detect.rule import Uncompiled
from trailscan.store.database import run, scratch
from trailscan.store.record_rebuild import record_of

SESSIONS = {
    "source": ["aws.ssm"],
    "detail-type": ["AWS API Call via CloudTrail"],
    "detail": {"eventSource": ["ssm.amazonaws.com"], "eventName": ["StartSession", "ResumeSession"]},
}
ARN = "arn:aws:events:eu-west-1:111122223333:rule/shells"
ID = "ana-0abc4defg5hijk6lmno7pqrst2"


def compiled(document, path="rules/shells.json"):
    return compile_pattern(document if isinstance(document, bytes) else json.dumps(document).encode(), path)


def only(document, path="rules/shells.json"):
    (rule,) = compiled(document, path)
    assert isinstance(rule, EventPattern), rule
    return rule


def hits(document, *records):
    connection = scratch()
    rows = parsed([record if isinstance(record, str) else json.dumps(record) for record in records], connection)
    found = list(only(document).hits(connection))
    connection.close()
    indexes = {row["row_id"]: row["record_index"] for row in rows}
    return [(indexes[hit.row_ids[0]], hit.note) for hit in found]


# ---- files ----

DESCRIBED = {"Name": "shells", "Arn": ARN, "EventPattern": json.dumps(SESSIONS), "State": "ENABLED", "Description": "Shells."}
TEMPLATE = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Resources": {
        "Topic": {"Type": "AWS::SNS::Topic"},
        "Shells": {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": SESSIONS}},
    },
}
TERRAFORM = {"resource": {"aws_cloudwatch_event_rule": {"shells": {"name": "shells", "event_pattern": json.dumps(SESSIONS)}}}}


@pytest.mark.parametrize(
    "document",
    [
        SESSIONS,
        [SESSIONS],
        DESCRIBED,
        [DESCRIBED],
        {"Rules": [DESCRIBED], "NextToken": "x"},
        {"Name": "shells", "EventPattern": SESSIONS},
        {"eventPattern": SESSIONS},
        TEMPLATE,
        TERRAFORM,
        json.dumps(SESSIONS, indent=2).encode("utf-8-sig"),
        json.dumps(SESSIONS).encode("utf-16"),
    ],
)
def test_every_kind_of_file_holds_the_same_rule(document):
    assert only(document).pattern == pattern(SESSIONS)


def test_a_rule_says_what_its_file_said():
    rule = only(DESCRIBED).rule
    assert (rule.id, rule.title, rule.level, rule.language) == (ARN, "shells", "medium", "event-pattern")
    assert (rule.path, rule.description) == ("rules/shells.json", "Shells.")


def test_a_bare_pattern_is_known_by_its_file_and_content():
    one, same, other = only(SESSIONS), only(json.dumps(SESSIONS, indent=4).encode()), only({"source": ["aws.ssm"]})
    assert one.rule.title == "shells"
    assert one.rule.id == same.rule.id != other.rule.id
    assert one.rule.id.startswith("shells:")


def test_a_disabled_rule_runs_and_says_so():
    rule = only(DESCRIBED | {"State": "DISABLED"})
    assert rule.rule.description == "Shells. It is disabled in AWS."
    assert not rule.reads


def test_a_pattern_beyond_the_quota_runs_and_says_so():
    rule = only({"source": [f"aws.{number:010}" for number in range(200)]}).rule
    assert rule.description == "Its pattern has 3,412 characters: more than AWS takes by default."


@pytest.mark.parametrize(
    ("document", "place", "reason"),
    [
        (b"{", "$", "not JSON"),
        (b"\xff\xfe\xfa", "$", "not text"),
        (b"[" * 200_000, "$", "nested too deeply"),
        (b'{"a":' * 900 + b"[1]" + b"}" * 900, "$" + ".a" * 101, "nested more than 100 deep"),
        ({"source": "aws.ssm"}, "$.source", "must be a list"),
        ({"source": ["x" * 65_536]}, "$", "more than 65,536 characters"),
        ({"Name": "a", "EventPattern": '{"source":[]}'}, "$.EventPattern.source", "empty list"),
        ({"Name": "a", "EventPattern": "{"}, "$.EventPattern", "not JSON"),
        ({"Name": "a", "EventPattern": 7}, "$.EventPattern", "a pattern is a JSON object"),
        ({"Rules": [{"Name": "a", "ScheduleExpression": "rate(1 day)"}]}, "$.Rules[0]", "no event pattern"),
        (["x"], "$[0]", "neither a pattern nor a rule"),
        ([[SESSIONS]], "$[0]", "neither a pattern nor a rule"),
        (7, "$", "neither a pattern nor a rule"),
        ({"Resources": {"R": {"Type": "AWS::Events::Rule", "Properties": {}}}}, "$.Resources.R.Properties", "no event pattern"),
    ],
)
def test_what_cannot_run_is_named_with_place_and_reason(document, place, reason):
    (refused,) = compiled(document)
    assert isinstance(refused, Uncompiled)
    assert (refused.path, refused.place) == ("rules/shells.json", place)
    assert reason in refused.reason


def test_the_other_rules_of_a_file_run():
    kinds = [type(each) for each in compiled({"Rules": [DESCRIBED, {"Name": "b"}, DESCRIBED | {"Name": "c"}]})]
    assert kinds == [EventPattern, Uncompiled, EventPattern]


# ---- hits ----


def test_a_rule_finds_what_it_would_have_sent():
    records = [start("s", ID), call("d", "DescribeSessions"), resume("r", ID), terminate("t", ID), denied("n", "*")]
    assert hits(SESSIONS, *records) == [(0, ""), (2, ""), (4, "")]


def test_copies_of_an_event_count_once_and_versions_of_it_each():
    record = start("s", ID)
    reordered = dict(reversed(record.items()))
    assert hits(SESSIONS, record, record, reordered, record | {"sourceIPAddress": "192.0.2.66"}) == [(0, ""), (3, "")]


def test_identities_tell_events_apart_and_stay_the_same():
    records = [json.dumps(start(label, ID)) for label in ("s", "t")]
    found = []
    for texts in (records, records[::-1]):
        connection = scratch()
        parsed(texts, connection)
        found.append({hit.identity for hit in only(SESSIONS).hits(connection)})
        connection.close()
    assert len(found[0]) == 2
    assert found[0] == found[1]


READS = {"detail": {"eventSource": ["ec2.amazonaws.com"]}}
READ = call("d", "DescribeInstances", eventSource="ec2.amazonaws.com", readOnly=True)
WRITE = call("w", "RunInstances", eventSource="ec2.amazonaws.com", readOnly=False)


@pytest.mark.parametrize(("state", "found"), [("ENABLED", [1]), ("DISABLED", [1]), (WITH_READS, [0, 1])])
def test_read_only_events_are_for_rules_whose_state_asks_for_them(state, found):
    rule = {"Name": "reads", "EventPattern": READS, "State": state}
    assert hits(rule, READ, WRITE) == [(index, "") for index in found]


def test_a_bare_pattern_finds_read_only_events_with_a_note():
    ((read, note), written) = hits(READS, READ, WRITE)
    assert (read, written) == (0, (1, ""))
    assert note.startswith("read-only: EventBridge sends it only to rules in the state ENABLED_WITH_ALL")


@pytest.mark.parametrize("spelling", ["AWS Console Signin via CloudTrail", "AWS Console Sign In via CloudTrail"])
def test_both_spellings_of_a_sign_in_mean_the_same(spelling):
    login = call("l", "ConsoleLogin", eventSource="signin.amazonaws.com", eventType="AwsConsoleSignIn", readOnly=False)
    other = call("o", "ConsoleLogin", readOnly=False)
    assert hits({"detail-type": [spelling]}, login, other) == [(0, "")]
    assert hits({"detail-type": [{"prefix": spelling[:20]}]}, login, other) == [(0, "")]
    assert hits({"detail-type": [{"anything-but": spelling}]}, login, other) == [(1, "")]


def test_an_event_that_was_too_large_to_be_sent_is_found_with_a_note():
    ((index, note),) = hits(SESSIONS, start("s", ID, additionalEventData={"padding": "x" * 262_144}))
    assert (index, note) == (0, "larger than 256 KB: EventBridge would not have sent it")


def test_a_number_too_long_for_python_keeps_no_record_from_being_judged():
    digits = "7" * 5_000
    text = json.dumps(start("s", ID))[:-1] + ',"requestParameters2":' + digits + "}"
    assert hits(SESSIONS, text) == [(0, "")]


def test_the_connection_is_free_while_hits_come():
    connection = scratch()
    parsed([json.dumps(start(str(number), ID)) for number in range(2_500)], connection)
    found = only(SESSIONS).hits(connection)
    next(found)
    assert run(connection, "SELECT count(*) FROM events") == [(2_500,)]
    assert sum(1 for _ in found) == 2_499
    connection.close()


def test_a_pattern_on_its_principal():
    by_ana = {"detail": {"userIdentity": {"userName": ["ana"], "type": ["IAMUser"]}, "errorCode": [{"exists": False}]}}
    assert hits(by_ana, start("s", ID, who=ANA), denied("n", "*", who=ANA)) == [(0, "")]


# ---- real records ----

REAL_RULES = [
    (SESSIONS, {"StartSession": 3}),
    ({"source": ["aws.ssm"], "detail": {"eventName": [{"wildcard": "*Session"}, {"prefix": "SendC"}]}}, None),
    ({"source": ["aws.cloudtrail"], "detail": {"eventName": ["StopLogging", "DeleteTrail", "PutEventSelectors"]}}, None),
    ({"detail": {"userIdentity": {"type": ["Root"]}}}, None),
    ({"detail": {"errorCode": [{"exists": True}], "sourceIPAddress": [{"anything-but": {"suffix": ".amazonaws.com"}}]}}, None),
    ({"detail": {"requestParameters": {"ipPermissions": {"items": {"ipRanges": {"items": {"cidrIp": ["0.0.0.0/0"]}}}}}}}, None),
    ({"detail": {"$or": [{"eventName": [{"suffix": "Password"}]}, {"responseElements": {"ConsoleLogin": ["Success"]}}]}}, None),
]


@pytest.mark.skipif(not (REAL / "README.md").is_file(), reason="no real records: see tests/test_real.py")
@pytest.mark.parametrize(("written", "counts"), REAL_RULES)
@pytest.mark.parametrize("folder", ["stratus-red-team", "invictus-aws_dataset"])
def test_real_records_are_found_as_they_are_matched(folder, written, counts):
    connection = scratch()
    rows = parsed([json.dumps(record) for record in real_records(folder)], connection)
    rule = only({"Name": "real", "EventPattern": written, "State": WITH_READS})
    found = {hit.row_ids[0] for hit in rule.hits(connection)}
    connection.close()
    assert found == {row["row_id"] for row in rows if rule.takes(record_of(row))}
    if counts and folder == "stratus-red-team":
        assert len(found) == sum(counts.values())
