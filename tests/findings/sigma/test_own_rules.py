"""The project's own rules: each finds what it is for, and leaves alone what comes close."""

import os
import uuid
from importlib import resources

import pytest
import yaml

from tests.findings.sigma.asking import compiled, database
from tests.fixtures.invented import (
    ACCOUNT,
    ANA,
    BEN,
    NODE,
    assumed,
    call,
    denied,
    event_id,
    iam_user,
    resume,
    start,
    terminate,
)
from trailscan.store.database import run

RULES = resources.files("trailscan") / "rules"
NAMES = sorted(os.fspath(each.name) for each in RULES.iterdir())
ROOT = {"type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}
THROUGH = "AWS-StartPortForwardingSessionToRemoteHost"
MFA = {"sessionContext": {"attributes": {"mfaAuthenticated": "false"}}}
PREFERENCES = "SSM-SessionManagerRunShell"
DOCUMENT_ARN = f"arn:aws:ssm:eu-west-1:{ACCOUNT}:document/"
ATHENA = {
    "eventSource": "athena.amazonaws.com",
    "requestParameters": {"workGroup": "w"},
    "responseElements": {"sessionId": "s"},
}


def document(label, action, name=PREFERENCES, **more):
    return call(label, action, requestParameters={"name": name}, **more)


def trail(label, action, **more):
    return call(label, action, eventSource="cloudtrail.amazonaws.com", requestParameters={"name": "main"}, **more)


def forwarding(label, name):
    return start(label, f"ana-{label}", document={"documentName": name, "parameters": {"host": ["db"], "portNumber": ["5432"]}})


def visits(who, number, minutes, name):
    return [
        start(f"{name}{n}", f"{name}-{n}", f"i-{n:017x}", who=who, at=f"{9 + n * minutes // 60:02}:{n * minutes % 60:02}:00")
        for n in range(number)
    ]


FAILED = {"errorCode": "TargetNotConnected", "errorMessage": "not connected"}
# For each rule: records, and the labels of those that its hits cite, in order.
CASES = {
    "session_started": (
        [start("hit", "ana-1"), denied("refused", NODE), call("athena", "StartSession", **ATHENA), resume("resumed", "ana-1")],
        ["hit"],
    ),
    "session_resumed": ([resume("hit", "ana-1"), start("start", "ana-1"), resume("failed", "ana-2", **FAILED)], ["hit"]),
    "session_terminated": (
        [terminate("hit", "ana-1"), call("athena", "TerminateSession", **ATHENA),
         denied("refused", NODE, name="TerminateSession")],
        ["hit"],
    ),
    "session_denied": (
        [denied("hit", NODE), denied("hit2", NODE, name="ResumeSession", at="09:16:00"), start("ok", "ana-1"),
         call("failed", "StartSession", **FAILED), denied("other", NODE, name="SendCommand")],
        ["hit", "hit2"],
    ),
    "session_by_root": ([start("hit", "root-1", who=ROOT), start("ana", "ana-1"), denied("no", NODE, who=ROOT)], ["hit"]),
    "session_without_mfa": (
        [start("hit", "ana-1", who=ANA | MFA), start("sso", "ben-1", who=BEN),
         start("machine", "i-1", who=assumed("Web", NODE)),
         start("key", "carl-1", who=iam_user("carl"))],
        ["hit"],
    ),
    "session_forwards_to_other_host": (
        [forwarding("hit", THROUGH), forwarding("arn", DOCUMENT_ARN + THROUGH),
         forwarding("node", "AWS-StartPortForwardingSession"), start("shell", "ana-2")],
        ["arn", "hit"],
    ),
    "session_first_time": (
        [start("hit", "ana-1"), start("again", "ana-2", at="10:00:00"),
         start("elsewhere", "ana-3", "i-0fedcba9876543210", at="11:00:00")],
        ["hit", "elsewhere"],
    ),
    "session_from_new_address": (
        [start("first", "ana-1"), start("hit", "ana-2", at="10:00:00", sourceIPAddress="203.0.113.9"),
         start("known", "ana-3", at="11:00:00"),
         start("service", "ana-4", at="12:00:00", sourceIPAddress="ssm-guiconnect.amazonaws.com"),
         start("ben", "ben-1", who=BEN, at="13:00:00", sourceIPAddress="192.0.2.7")],
        ["hit"],
    ),
    "session_outside_hours": (
        [start("sunday", "ana-1", at="2026-03-01T10:00:00Z"), start("early", "ana-2", at="2026-03-02T06:59:59Z"),
         start("monday", "ana-3", at="2026-03-02T07:00:00Z"), start("evening", "ana-4", at="2026-03-03T18:59:59Z"),
         start("late", "ana-5", at="2026-03-03T19:00:00Z"), resume("no start known", "ana-6", at="2026-03-04T03:00:00Z")],
        ["sunday", "early", "late"],
    ),
    "session_logging_changed": (
        [document("hit", "UpdateDocument"), document("gone", "DeleteDocument", at="09:16:00"),
         document("arn", "UpdateDocumentDefaultVersion", DOCUMENT_ARN + PREFERENCES, at="09:17:00"),
         document("other", "UpdateDocument", "My-Document"), document("read", "GetDocument"),
         document("failed", "UpdateDocument", errorCode="InvalidDocument")],
        ["hit", "gone", "arn"],
    ),
    "trail_stopped": (
        [trail("hit", "StopLogging"), trail("gone", "DeleteTrail", at="09:16:00"),
         trail("less", "PutEventSelectors", at="09:17:00"),
         trail("started", "StartLogging"), trail("refused", "StopLogging", errorCode="AccessDenied"),
         call("other", "DeleteTrail", requestParameters={"name": "x"})],
        ["hit", "gone", "less"],
    ),
    "sessions_on_many_targets": (
        [*visits(ANA, 5, 15, "ana"), *visits(BEN, 5, 16, "ben"), *visits(iam_user("carl"), 4, 1, "carl")],
        ["ana0"],
    ),
}  # fmt: skip


def test_every_rule_is_tried():
    assert [name.removesuffix(".yml") for name in NAMES] == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_finds_what_it_is_for(name):
    records, labels = CASES[name]
    connection = database(records)
    [each] = compiled((RULES / f"{name}.yml").read_bytes(), name)
    ids = [hit.row_ids[0] for hit in each.hits(connection)]
    cited = [run(connection, "SELECT event_id FROM events WHERE rowid = ?", [row_id])[0][0] for row_id in ids]
    assert cited == [event_id(label) for label in labels]


def test_rules_say_who_wrote_them_and_have_ids_of_their_own():
    documents = [each for name in NAMES for each in yaml.safe_load_all((RULES / name).read_text())]
    ids = {uuid.UUID(each["id"]) for each in documents}
    assert len(ids) == len(documents)
    assert all(each["author"] and each["description"] and each["level"] for each in documents)
