"""Sessions put together from their calls: what each row says, and that neither order nor place of the records changes it."""

import itertools
import json
import time
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.invented import (
    ANA,
    BEN,
    NODE,
    OTHER_ACCOUNT,
    assumed,
    call,
    denied,
    iam_user,
    resume,
    start,
    terminate,
    without,
)
from tests.test_real import REAL
from tests.test_real import records as real_records
from trailscan.store.arrow import rows_as_arrow
from trailscan.store.database import run, scratch, sql
from trailscan.store.rows import BATCH

ID = "ana-0abc4defg5hijk6lmno7pqrst2"
FORWARD, COMMAND = "AWS-StartPortForwardingSession", "AWS-StartInteractiveCommand"
MALLORY = iam_user("mallory")
ROOT = {"type": "Root", "principalId": "111122223333", "arn": "arn:aws:iam::111122223333:root", "accountId": "111122223333"}


@pytest.fixture(scope="module")
def ask():
    """Rows of a view, as dicts in the order of time, of records; a list of lists puts them into several objects."""
    connection = scratch()

    def rows(records, view="sessions"):
        objects = records if records and isinstance(records[0], list) else [records]
        cells = [
            (number, index, record if isinstance(record, str) else json.dumps(record))
            for number, content in enumerate(objects, 1)
            for index, record in enumerate(content)
        ]
        run(connection, "DELETE FROM events")
        connection.register("batch", rows_as_arrow(BATCH, cells))
        run(connection, "INSERT INTO events " + sql("parse.sql"))
        connection.unregister("batch")
        result = connection.execute(
            f"""SELECT * EXCLUDE (row_ids) FROM {view}
                ORDER BY coalesce(started_at, first_seen_at), session_id, event_ids::VARCHAR"""
        )
        names = [name for name, *_ in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    yield rows
    connection.close()


@pytest.fixture(scope="module")
def ask_one(ask):
    def row(*records):
        (only,) = ask(list(records))
        return only

    return row


def flags(row):
    return set((row["flags"] or "").split(",")) - {"first-time", ""}


def told(row, *names):
    return tuple(str(row[name]) if name.endswith("_at") else row[name] for name in names)


def test_a_session_is_one_row_from_start_to_end(ask_one):
    row = ask_one(
        start("s", ID, at="09:00:00", document={"reason": "INC-7"}),
        resume("r", ID, at="09:10:00"),
        terminate("t", ID, at="09:32:10"),
    )
    assert told(row, "session_id", "outcome", "started_at", "ended_at", "end_status", "duration_s") == (
        ID, "opened", "2026-03-01 09:00:00", "2026-03-01 09:32:10", "terminated by starter", 1930,
    )  # fmt: skip
    assert told(row, "resumes", "terminates") == (1, 1)
    assert told(row, "who", "starter", "user_arn", "target", "target_kind", "purpose", "reason", "door", "flags") == (
        "ana", "ana", ANA["arn"], NODE, "ec2", "shell", "INC-7", "StartSession", "first-time",
    )  # fmt: skip
    assert json.loads(row["event_ids"]) == [
        record["eventID"] for record in (start("s", ID), resume("r", ID), terminate("t", ID))
    ]
    assert json.loads(row["source_ip_addresses"]) == ["198.51.100.7"]


def test_the_columns_come_in_the_order_of_the_contract(ask_one):
    promised = [
        "session_id", "outcome", "started_at", "ended_at", "end_status", "duration_s", "resumes", "who", "user_name",
        "user_arn", "user_issuer_arn", "mfa_authenticated", "user_access_key_id", "source_ip_addresses", "user_agents",
        "target", "target_kind", "document", "purpose", "reason", "account_id", "region", "flags", "event_ids",
    ]  # fmt: skip
    assert list(ask_one(start("s", ID)))[: len(promised)] == promised


def test_a_session_without_an_end_is_never_called_open(ask_one):
    row = ask_one(start("s", ID))
    assert told(row, "outcome", "ended_at", "end_status", "duration_s") == ("opened", "None", "no end recorded", None)


def test_another_principal_who_resumes_and_ends_it_is_told_of(ask_one):
    row = ask_one(
        start("s", ID, at="09:00:00"),
        resume("r", ID, at="09:05:00", who=MALLORY, sourceIPAddress="203.0.113.66", userAgent="curl/8, with a comma"),
        terminate("t", ID, at="09:06:00", who=MALLORY, sourceIPAddress="203.0.113.66"),
    )
    assert told(row, "who", "end_status") == ("ana", "terminated by another principal")
    assert flags(row) == {"principal-changed", "address-changed"}
    assert json.loads(row["source_ip_addresses"]) == ["198.51.100.7", "203.0.113.66"]
    assert json.loads(row["user_agents"])[1] == "curl/8, with a comma"
    assert {"ana", "mallory"} <= set(json.loads(row["names"]))
    assert len(json.loads(row["access_keys"])) == 2


def test_addresses_come_in_the_order_of_first_use(ask_one):
    addresses = ["203.0.113.9", "192.0.2.1", "203.0.113.9", "198.51.100.7", "192.0.2.1", None]
    row = ask_one(
        start("s", ID, at="09:00:00", sourceIPAddress="203.0.113.9"),
        *(resume(f"r{n}", ID, at=f"09:0{n}:00", sourceIPAddress=address) for n, address in enumerate(addresses, 1)),
    )
    assert json.loads(row["source_ip_addresses"]) == ["203.0.113.9", "192.0.2.1", "198.51.100.7"]


def test_a_role_session_with_refreshed_keys_is_the_same_principal(ask_one):
    session_id = "ben.o-hara@example.com-0123456789abcdefghijklmnop"
    row = ask_one(
        start("s", session_id, at="09:00:00", who=BEN),
        terminate("t", session_id, at="10:00:00", who={**BEN, "accessKeyId": "ASIAEXAMPLEREFRESHED"}),
    )
    assert told(row, "starter", "end_status") == ("ben.o-hara@example.com", "terminated by starter")
    assert flags(row) == set()


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ({"errorCode": "AccessDenied", "errorMessage": "no"}, "denied"),
        ({"errorCode": "AccessDeniedException"}, "denied"),
        ({"errorCode": "VpceAccessDenied"}, "denied"),
        ({"errorCode": "TargetNotConnected", "errorMessage": "i-0aaaabbbbccccdddd is not connected."}, "failed"),
        ({"errorCode": "ThrottlingException"}, "failed"),
        ({"errorMessage": "no code at all"}, "failed"),
    ],
)
def test_a_start_that_did_not_succeed_is_a_row_without_a_session(ask_one, error, outcome):
    row = ask_one(call("s", "StartSession", requestParameters={"target": NODE}, **error))
    assert told(row, "session_id", "outcome", "end_status", "target", "started_at", "flags") == (
        None, outcome, None, NODE, "2026-03-01 09:15:02", None,
    )  # fmt: skip


def test_a_refused_start_has_its_target_from_the_message_unless_that_names_the_document(ask):
    rows = ask(
        [
            denied("one", f"arn:aws:ec2:eu-west-1:111122223333:instance/{NODE}", at="09:00:00"),
            denied("two", "arn:aws:ssm:eu-west-1:111122223333:managed-instance/mi-0123456789abcdef0", at="09:00:01"),
            denied("three", "arn:aws:ssm:eu-west-1:111122223333:document/SSM-SessionManagerRunShell", at="09:00:02"),
        ]
    )
    assert [told(row, "target", "target_kind", "purpose") for row in rows] == [
        (NODE, "ec2", None), ("mi-0123456789abcdef0", "hybrid", None), (None, None, None),
    ]  # fmt: skip


def test_each_refusal_is_a_row_of_its_own(ask):
    assert len(ask([denied(f"d{number}", NODE) for number in range(5)])) == 5


def test_a_refused_end_ends_nothing_and_is_told_of(ask_one):
    arn = f"arn:aws:ssm:eu-west-1:111122223333:session/{ID}"
    row = ask_one(
        start("s", ID, at="09:00:00"),
        denied("r", arn, name="ResumeSession", who=MALLORY, at="09:01:00"),
        denied("t", arn, name="TerminateSession", who=MALLORY, at="09:02:00"),
    )
    assert told(row, "outcome", "end_status", "resumes", "terminates") == ("opened", "no end recorded", 0, 0)
    assert flags(row) == {"resume-denied", "terminate-denied"}
    assert len(json.loads(row["event_ids"])) == 3


def test_a_refused_resume_of_an_unknown_session_opened_nothing(ask):
    known = denied("r", f"arn:aws:ssm:eu-west-1:111122223333:session/{ID}", name="ResumeSession", at="09:00:00")
    unknown = call("t", "TerminateSession", errorCode="ThrottlingException", at="09:00:01")
    rows = ask([known, unknown])
    assert [told(row, "session_id", "outcome", "started_at") for row in rows] == [
        (ID, "denied", "None"),
        (None, "failed", "None"),
    ]
    assert [flags(row) for row in rows] == [
        {"resume-denied", "no-start-in-archive"}, {"terminate-failed", "no-start-in-archive"},
    ]  # fmt: skip


def test_a_session_whose_start_is_not_held_names_its_starter_from_its_id(ask_one):
    row = ask_one(resume("r", ID, who=MALLORY, at="09:00:00"), terminate("t", ID, at="09:10:00"))
    assert told(row, "outcome", "started_at", "first_seen_at", "duration_s") == ("opened", "None", "2026-03-01 09:00:00", None)
    assert told(row, "starter", "who", "end_status") == ("ana", "mallory", "terminated by starter")
    assert told(row, "target", "purpose") == (None, None)
    assert flags(row) == {"no-start-in-archive", "principal-changed"}


def test_the_end_of_an_unseen_ecs_session_does_not_accuse_anybody(ask_one):
    row = ask_one(terminate("t", "ecs-execute-command-0123456789abcdef0"))
    assert told(row, "starter", "end_status") == (None, "terminated, starter unknown")
    assert flags(row) == {"no-start-in-archive"}


def test_the_first_end_counts_and_more_are_told_of(ask_one):
    row = ask_one(start("s", ID, at="09:00:00"), *(terminate(f"t{n}", ID, at=f"09:0{n}:00") for n in (3, 1, 2)))
    assert told(row, "ended_at", "duration_s", "terminates") == ("2026-03-01 09:01:00", 60, 3)
    assert flags(row) == {"several-terminates"}


def test_an_end_before_the_start_is_joined_and_has_no_duration(ask_one):
    row = ask_one(start("s", ID, at="09:00:10"), terminate("t", ID, at="09:00:00"))
    assert told(row, "ended_at", "duration_s", "end_status") == ("2026-03-01 09:00:00", None, "terminated by starter")
    assert flags(row) == {"clock-backwards"}


def test_calls_of_one_second_go_in_the_order_of_a_session(ask_one):
    row = ask_one(terminate("t", ID), resume("r", ID), start("s", ID))
    assert [row["duration_s"], flags(row)] == [0, set()]
    assert json.loads(row["event_ids"])[0] == start("s", ID)["eventID"]


def test_two_starts_under_one_id_are_one_row_and_told_of(ask_one):
    row = ask_one(start("s", ID, at="09:00:00"), start("x", ID, at="09:01:00", target="i-0ffff"))
    assert (row["target"], flags(row)) == (NODE, {"several-starts"})


def test_account_and_region_part_sessions_of_one_id(ask):
    rows = ask(
        [
            start("a", ID),
            start("b", ID, recipientAccountId=OTHER_ACCOUNT),
            start("c", ID, awsRegion="us-east-1"),
            terminate("d", ID, awsRegion="us-east-1"),
        ]
    )
    assert len(rows) == 3
    assert [row["region"] for row in rows if row["ended_at"]] == ["us-east-1"]


def test_sessions_of_athena_are_none_of_ours(ask_one):
    athena = {"eventSource": "athena.amazonaws.com", "at": "09:00:00"}
    row = ask_one(
        start("s", ID), call("a", "StartSession", responseElements={"sessionId": ID}, **athena), terminate("x", ID, **athena)
    )
    assert told(row, "end_status", "terminates") == ("no end recorded", 0)


def test_a_start_that_tells_no_session_is_not_lost(ask_one):
    row = ask_one(call("s", "StartSession", requestParameters={"omitted": True}, responseElements={"omitted": True}))
    assert told(row, "outcome", "session_id", "purpose") == ("opened", None, None)
    assert flags(row) == {"no-session-id"}


@pytest.mark.parametrize(
    ("request_of", "purpose", "silent"),
    [
        ({}, "shell", False),
        ({"documentName": "SSM-SessionManagerRunShell"}, "shell", False),
        ({"documentName": "arn:aws:ssm:eu-west-1:444455556666:document/Break-Glass"}, "document Break-Glass", False),
        ({"documentName": "arn:aws:ssm:eu-west-1::document/AWS-StartSSHSession"}, "ssh", True),
        ({"documentName": "AWS-StartSSHSession", "parameters": {"portNumber": ["22"]}}, "ssh", True),
        ({"documentName": "AWS-StartSSHSession", "parameters": {"portNumber": ["2222"]}}, "ssh to node:2222", True),
        ({"documentName": FORWARD, "parameters": {"portNumber": ["5432"]}}, "port forward to node:5432", True),
        ({"documentName": FORWARD}, "port forward to node:80", True),
        ({"documentName": FORWARD, "parameters": "REDACTED"}, "port forward to node", True),
        (
            {"documentName": f"{FORWARD}ToRemoteHost",
             "parameters": {"host": ["db.example.internal"], "portNumber": ["5432"], "localPortNumber": ["1"]}},
            "forward through node to db.example.internal:5432",
            True,
        ),
        ({"documentName": f"{FORWARD}ToRemoteHost", "parameters": {"host": "db"}}, "forward through node to db:80", True),
        ({"documentName": COMMAND, "parameters": {"command": ["sudo su", "-"]}}, "command: sudo su -", False),
        ({"documentName": COMMAND, "parameters": "REDACTED"}, "command: REDACTED", False),
        ({"documentName": COMMAND}, "command: ", False),
        ({"documentName": "AWS-PasswordReset", "parameters": {"username": [None, 1]}}, "document AWS-PasswordReset", False),
    ],
)  # fmt: skip
def test_what_a_session_was_for(ask_one, request_of, purpose, silent):
    row = ask_one(start("s", ID, document=request_of))
    assert row["purpose"] == purpose
    assert row["document"] == request_of.get("documentName")
    assert flags(row) == ({"no-transcript"} if silent else set())


DOCUMENTS = ["AWS-StartSSHSession", "AWS-StartPortForwardingSessionToRemoteHost", "AWS-StartInteractiveCommand", 7]
PARAMETERS = [
    None,
    [],
    {},
    "",
    5,
    True,
    ["x"],
    {"host": {}, "portNumber": 3, "command": {"a": 1}},
    {"host": [], "command": [[]]},
]
NOTHING = [None, "", "HIDDEN_DUE_TO_SECURITY_REASONS", [], {}, 0, {"sessionId": None}, {"sessionId": ""}]


def test_parameters_of_any_kind_are_borne(ask):
    requests = [{"documentName": name, "parameters": given} for name in DOCUMENTS for given in PARAMETERS]
    rows = ask([start(f"s{number}", f"ana-{number}", document=request) for number, request in enumerate(requests)])
    assert len(rows) == len(requests)
    assert all(row["purpose"] for row in rows)


def test_records_that_tell_nothing_are_rows_of_their_own(ask):
    names = ("StartSession", "ResumeSession", "TerminateSession")
    records = [
        call(f"{name} {number}", name, requestParameters=nothing, responseElements=nothing, who=nothing)
        for name in names
        for number, nothing in enumerate(NOTHING)
    ]
    rows = ask(records)
    assert [row["session_id"] for row in rows] == [None] * len(records)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (NODE, "ec2"), ("mi-0123456789abcdef0", "hybrid"), ("ecs:prod_a_0123_0123-1", "ecs"), ("tag:x", "other"),
    ],
)  # fmt: skip
def test_the_kind_of_target(ask_one, target, kind):
    assert ask_one(start("s", ID, target))["target_kind"] == kind


def with_mfa(who, value):
    context = {**who.get("sessionContext", {}), "attributes": {"mfaAuthenticated": value}}
    return {**who, "sessionContext": context}


@pytest.mark.parametrize(
    ("who", "flagged"),
    [
        (with_mfa(ANA, "false"), {"no-mfa"}),
        (with_mfa(ANA, "true"), set()),
        (ANA, set()),
        (ROOT, {"root"}),
        (with_mfa(ROOT, "false"), {"root", "no-mfa"}),
        (assumed("Ops", "ana"), {"no-mfa"}),
        (assumed("web", "i-0aaaabbbbccccdddd"), set()),
        (BEN, set()),
        ({"type": "AWSService", "invokedBy": "ssm-guiconnect.amazonaws.com"}, set()),
    ],
)
def test_who_needs_a_second_look(ask_one, who, flagged):
    assert flags(ask_one(start("s", "x-1", who=who))) == flagged


def test_sessions_of_one_principal_that_overlap_are_told_of(ask):
    def session(number, begins, ends, who=ANA):
        opened = start(f"s{number}", f"ana-{number}", at=begins, who=who)
        return [opened, terminate(f"t{number}", f"ana-{number}", at=ends, who=who)] if ends else [opened]

    rows = ask(
        [
            *session(1, "09:00:00", "09:30:00"),
            *session(2, "09:10:00", None),  # began within the first
            *session(3, "09:30:00", "09:40:00"),  # begins as the first ends
            *session(4, "09:10:00", "09:35:00", MALLORY),
            *session(5, "10:00:00", "11:00:00"),
            *session(6, "10:10:00", "10:20:00"),
            *session(7, "10:30:00", "10:40:00"),
            *session(8, "12:00:00", None),
        ]
    )
    assert {row["session_id"][-1] for row in rows if "overlapping" in flags(row)} == {"1", "2", "5", "6", "7"}


def test_the_first_time_that_a_principal_reaches_a_target_is_told_of(ask):
    rows = ask(
        [
            denied("d", f"arn:aws:ec2:eu-west-1:111122223333:instance/{NODE}", at="08:00:00"),
            start("a", "ana-1", at="09:00:00"),
            start("b", "ana-2", at="10:00:00"),
            start("c", "ana-3", "i-0ffff", at="11:00:00"),
            start("d1", "ben-1", at="12:00:00", who=BEN),
            start("e", "ana-4", at="13:00:00", awsRegion="us-east-1"),
        ]
    )
    assert [row["session_id"] for row in rows if "first-time" in (row["flags"] or "")] == ["ana-1", "ana-3", "ben-1"]


def backwards(value):
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(inner) for inner in value] if isinstance(value, list) else value


def test_copies_count_once_however_their_json_is_written(ask_one):
    record = start("s", ID, document={"reason": "wöchentlich", "parameters": {"portNumber": ["1", "2"]}})
    spelt = [record, backwards(record), json.dumps(record, indent=3, ensure_ascii=False), json.dumps(backwards(record))]
    row = ask_one(*spelt, resume("r", ID), resume("r", ID))
    assert (json.loads(row["event_ids"]), row["resumes"]) == ([record["eventID"], resume("r", ID)["eventID"]], 1)
    assert flags(row) == set()


def test_records_that_differ_under_one_event_id_both_count_and_are_told_of(ask_one):
    row = ask_one(start("s", ID), resume("r", ID, sourceIPAddress="203.0.113.66"), resume("r", ID))
    assert row["resumes"] == 2
    assert flags(row) == {"conflicting-records", "address-changed"}


def test_a_conflict_marks_every_row_that_it_touches(ask):
    rows = ask([start("s", ID), start("s", "ana-forged"), start("other", "ana-sound")])
    assert {row["session_id"]: "conflicting-records" in flags(row) for row in rows} == {
        ID: True, "ana-forged": True, "ana-sound": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"n":12345678901234567890123}', '{"n":12345678901234567890124}'),
        ('{"n":1e400}', '{"n":1e401}'),
        ('{"n":1}', '{"n":"1"}'),
        ('{"a":{}}', '{"a":[]}'),
        ('{"a":null}', "{}"),
        ('{"a":1,"a":2}', '{"a":2,"a":1}'),
        ('{"x":[{"a":{"b":1},"a":{"c":2}}]}', '{"x":[{"a":{"c":2},"a":{"b":1}}]}'),
        ('{"a":["\\n","b"]}', '{"a":["\\nb"]}'),
    ],
)
def test_what_parsers_would_confuse_is_no_copy(ask_one, one, other):
    record = json.dumps(start("s", ID, additionalEventData="?"))
    row = ask_one(*(record.replace('"?"', written) for written in (one, other)))
    assert "conflicting-records" in flags(row)


def test_a_key_that_stands_twice_is_told_of(ask_one):
    text = json.dumps(start("s", ID))
    assert flags(ask_one(text[:-1] + ',"eventName":"StartSession"}')) == {"duplicate-key"}


def test_one_event_id_in_two_accounts_is_two_events(ask):
    rows = ask([start("s", ID), start("s", ID, recipientAccountId=OTHER_ACCOUNT)])
    assert [flags(row) for row in rows] == [set(), set()]


def test_old_records_without_ids_all_count(ask_one):
    bare = ("eventID", "recipientAccountId", "requestID", "eventType")
    row = ask_one(
        *(without(record, *bare) for record in (start("s", ID), resume("r", ID), resume("r", ID), terminate("t", ID)))
    )
    assert told(row, "resumes", "terminates", "event_ids") == (2, 1, "[]")
    assert flags(row) == set()


@pytest.mark.parametrize(
    "session_id", ['ana\'s "x"-1', "-", "no hyphen", "ana\n-b\x1b[2J", "%-_", "ä" * 500 + "-1", "$.a[0]-\\", "a\x00b-c"]
)
def test_session_ids_of_any_characters(ask_one, session_id):
    row = ask_one(start("s", session_id, at="09:00:00"), terminate("t", session_id, at="09:01:00"))
    assert told(row, "session_id", "duration_s", "end_status") == (session_id, 60, "terminated by starter")


def test_records_without_a_time_are_kept(ask_one):
    row = ask_one(without(start("s", ID), "eventTime"), terminate("t", ID))
    assert told(row, "started_at", "end_status", "duration_s") == ("None", "terminated by starter", None)


def test_ten_thousand_resumes_take_no_time(ask):
    records = [start("s", ID, at="00:00:00")]
    records += [
        resume(f"r{n}", ID, at=f"0{1 + n // 3600}:{n // 60 % 60:02}:{n % 60:02}", sourceIPAddress=f"10.0.{n // 250}.{n % 250}")
        for n in range(10_000)
    ]
    began = time.monotonic()
    (row,) = ask(records)
    assert (row["resumes"], len(json.loads(row["source_ip_addresses"]))) == (10_000, 10_001)
    assert time.monotonic() - began < 10


def test_other_doors_have_the_same_columns(ask):
    records = [
        call("ecs", "ExecuteCommand", at="09:00:00", eventSource="ecs.amazonaws.com",
             requestParameters={"cluster": "prod", "task": "0123", "command": "/bin/sh", "interactive": True},
             responseElements={"session": {"sessionId": "ecs-execute-command-0abc"}}),
        call("key", "SendSSHPublicKey", at="09:00:01", eventSource="ec2-instance-connect.amazonaws.com",
             requestParameters={"instanceId": NODE, "instanceOSUser": "root"}, responseElements={"success": True}),
        call("serial", "SendSerialConsoleSSHPublicKey", at="09:00:02", eventSource="ec2-instance-connect.amazonaws.com",
             requestParameters={"instanceId": NODE, "serialPort": 0}),
        call("tunnel", "OpenTunnel", at="09:00:03", eventSource="ec2-instance-connect.amazonaws.com",
             requestParameters={"remotePort": "22", "privateIpAddress": "192.0.2.9"}),
        call("gui", "StartConnection", at="09:00:04", eventSource="ssm-guiconnect.amazonaws.com",
             requestParameters={"Protocol": "RDP", "InstanceId": NODE}),
        call("run", "SendCommand", at="09:00:05", requestParameters={
            "documentName": "AWS-RunShellScript", "instanceIds": [NODE, "i-0ffff"], "parameters": "HIDDEN"}),
        call("tags", "SendCommand", at="09:00:06", requestParameters={
            "documentName": "AWS-RunShellScript", "targets": [{"key": "tag:Role", "values": ["web", "db"]}]}),
        call("no", "SendCommand", at="09:00:07", errorCode="AccessDenied"),
        start("s", ID, at="09:00:08"),
        call("elsewhere", "SendCommand", eventSource="example.amazonaws.com"),
    ]  # fmt: skip
    rows = ask(records, "doors")
    assert [told(row, "door", "outcome", "target", "target_kind", "purpose", "session_id") for row in rows] == [
        ("ExecuteCommand", "opened", "0123", "ecs", "command: /bin/sh", "ecs-execute-command-0abc"),
        ("SendSSHPublicKey", "accepted", NODE, "ec2", "ssh key for root", None),
        ("SendSerialConsoleSSHPublicKey", "accepted", NODE, "ec2", "serial console key for port 0", None),
        ("OpenTunnel", "opened", "192.0.2.9", "ec2", "tunnel to port 22", None),
        ("StartConnection", "opened", NODE, "ec2", "rdp", None),
        ("SendCommand", "accepted", f"{NODE},i-0ffff", "ec2", "run document AWS-RunShellScript", None),
        ("SendCommand", "accepted", "tag:Role=web|db", "other", "run document AWS-RunShellScript", None),
        ("SendCommand", "denied", None, None, None, None),
    ]
    assert [row["door"] for row in ask(records)] == ["StartSession"]
    assert len(ask(records, "all_doors")) == 9
    assert ask(records)[0].keys() == rows[0].keys()


STORY = [
    start("s1", "ana-1", at="09:00:00"),
    resume("r1", "ana-1", at="09:05:00", sourceIPAddress="203.0.113.66"),
    resume("r1", "ana-1", at="09:05:00", sourceIPAddress="192.0.2.1"),
    resume("r2", "ana-1", at="09:05:00", who=MALLORY),
    terminate("t1", "ana-1", at="09:05:00", who=MALLORY),
    terminate("t2", "ana-1", at="09:05:00"),
    start("s2", "ana-2", at="09:00:00"),
    start("s3", "ana-2", at="09:00:00", target="i-0ffff"),
    terminate("t3", "ana-2", at="08:59:59"),
    resume("r3", "ana-3", at="09:00:00", who=BEN),
    without(resume("r4", "ana-3", at="09:00:00", who=MALLORY), "eventID"),
    without(resume("r5", "ana-3", at="09:00:00", sourceIPAddress="203.0.113.66"), "eventID"),
    without(resume("r6", "ana-3"), "eventTime"),
    denied("d1", f"arn:aws:ec2:eu-west-1:111122223333:instance/{NODE}", at="09:00:00"),
    denied("d2", "arn:aws:ssm:eu-west-1:111122223333:session/ana-2", name="ResumeSession", who=MALLORY, at="09:00:00"),
    call("t4", "TerminateSession", errorCode="ThrottlingException", at="09:00:00"),
]


@cache
def told_in_order(ask):
    return ask(STORY)


@settings(max_examples=25)
@given(st.data())
def test_neither_order_nor_place_of_the_records_changes_a_session(ask, data):
    copies = data.draw(st.lists(st.sampled_from([record for record in STORY if "eventID" in record]), max_size=5))
    shuffled = data.draw(st.permutations(STORY + copies))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=3)))
    pieces = [shuffled[begin:end] for begin, end in itertools.pairwise([0, *cuts, len(shuffled)])]
    assert ask([piece for piece in pieces if piece]) == told_in_order(ask)


needs_real = pytest.mark.skipif(
    not (REAL / "README.md").is_file(), reason="no real records: name their folder in the environment variable TRAILSCAN_REAL"
)


@needs_real
def test_the_simulated_attacks_hold_three_sessions_each_started_and_ended_once(ask):
    rows = ask(real_records("stratus-red-team"))
    assert [(row["outcome"], row["end_status"], row["terminates"]) for row in rows] == [
        ("opened", "terminated by starter", 1)
    ] * 3
    assert all(row["duration_s"] >= 0 and row["target"].startswith("i-") for row in rows)


@needs_real
def test_the_incident_holds_no_session_and_one_command(ask):
    records = real_records("invictus-aws_dataset")
    assert (ask(records), [row["door"] for row in ask(records, "doors")]) == ([], ["SendCommand"])
