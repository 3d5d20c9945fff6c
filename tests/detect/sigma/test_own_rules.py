"""The project's own rules: each finds what it is for, and leaves alone what comes close."""

import os
import uuid
from importlib import resources

import pytest
import yaml

from tests.detect.sigma.asking import compiled, database
from tests.fixtures.invented import (
    ACCOUNT,
    ANA,
    BEN,
    NODE,
    assumed,
    call,
    channel,
    denied,
    event_id,
    iam_user,
    resume,
    start,
    terminate,
)
from trailscan.store.access_methods import DOORS
from trailscan.store.database import run

RULES = resources.files("trailscan.detect") / "rules"
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


def door(label, service, name, **more):
    return call(label, name, eventSource=f"{service}.amazonaws.com", **more)


def command(label, ids=None, targets=None, **more):
    request = {"instanceIds": ids} if ids else {"targets": targets}
    return call(label, "SendCommand", requestParameters={"documentName": "AWS-RunShellScript", **request}, **more)


def automation(label, document, **more):
    return call(label, "StartAutomationExecution", requestParameters={"documentName": document}, **more)


def association(label, document, name="CreateAssociation", **more):
    return call(label, name, requestParameters={"name": document}, **more)


SSM, CONNECT = "ssm.amazonaws.com", "ec2-instance-connect"
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
    "command_sent": ([command("hit", [NODE]), denied("no", NODE, name="SendCommand")], ["hit"]),
    "command_sent_to_all": (
        [command("hit", ["*"]), command("one", [NODE]), command("tagged", targets=[{"key": "tag:A", "values": ["b*"]}]),
         command("all", targets=[{"key": "InstanceIds", "values": ["*"]}], at="10:00:00")],
        ["hit", "all"],
    ),
    "automation_runs_command": (
        [automation("hit", "AWS-RunShellScript"), automation("aws", "AWS-StopEC2Instance"),
         automation("own", "MyRunbook", at="10:00:00"), automation("failed", "AWS-RunShellScript", **FAILED)],
        ["hit", "own"],
    ),
    "association_runs_command": (
        [association("hit", "AWS-RunRemoteScript"), association("aws", "AWS-GatherSoftwareInventory"),
         association("own", DOCUMENT_ARN + "Mine", at="10:00:00", name="UpdateAssociation")],
        ["hit", "own"],
    ),
    "session_on_container": (
        [start("hit", "ana-1", "ecs:prod_0123_4567-1"), start("node", "ana-2"), denied("no", "ecs:x")], ["hit"]
    ),
    "session_over_ssh": ([start("hit", "a-1", document={"documentName": "AWS-StartSSHSession"}), start("x", "a-2")], ["hit"]),
    "ecs_exec": ([door("hit", "ecs", "ExecuteCommand"), door("no", "ecs", "ExecuteCommand", **FAILED)], ["hit"]),
    "instance_connect_key": (
        [door("hit", CONNECT, "SendSSHPublicKey", responseElements={"success": True}),
         door("not", CONNECT, "SendSSHPublicKey", responseElements={"success": False})],
        ["hit"],
    ),
    "serial_console_key": (
        [door("hit", CONNECT, "SendSerialConsoleSSHPublicKey"),
         door("not", CONNECT, "SendSerialConsoleSSHPublicKey", responseElements={"success": False})],
        ["hit"],
    ),
    "instance_connect_tunnel": ([door("hit", CONNECT, "OpenTunnel"), door("no", CONNECT, "OpenTunnel", **FAILED)], ["hit"]),
    "fleet_manager_desktop": ([door("hit", "ssm-guiconnect", "StartConnection"), door("x", "ssm", "StartConnection")], ["hit"]),
    "cloudshell_opened": ([door("hit", "cloudshell", "CreateSession"), door("x", "s3", "CreateSession")], ["hit"]),
    "sagemaker_session": ([door("hit", "sagemaker", "StartSession"), door("x", "athena", "StartSession")], ["hit"]),
    "lightsail_access": ([door("hit", "lightsail", "GetInstanceAccessDetails"), door("x", "lightsail", "GetKey")], ["hit"]),
    "eks_api_access": ([door("hit", "eks", "AccessKubernetesApi"), door("x", "eks", "DescribeCluster")], ["hit"]),
    "access_requested": ([door("hit", "ssm", "StartAccessRequest"), door("x", "ssm", "ListNodes")], ["hit"]),
    "door_denied": (
        [denied("hit", NODE, name="SendCommand"), denied("session", NODE), command("ok", [NODE]),
         door("ecs", "ecs", "ExecuteCommand", errorCode="AccessDeniedException", at="10:00:00")],
        ["hit", "ecs"],
    ),
    "door_failed": (
        [call("hit", "StartSession", **FAILED), denied("no", NODE), start("ok", "ana-1"),
         door("key", CONNECT, "SendSSHPublicKey", responseElements={"success": False}, at="10:00:00")],
        ["hit", "key"],
    ),
    "session_client_elsewhere": (
        [start("hit", "ana-1"), channel("far", "ana-1", "203.0.113.9"), start("near", "ana-2"),
         channel("c2", "ana-2", "198.51.100.7")],
        ["hit"],
    ),
    "session_never_entered": (
        [start("hit", "ana-1"), terminate("end", "ana-1"), start("long", "ana-2"), terminate("e2", "ana-2", at="09:20:00"),
         start("in", "ana-3"), channel("c", "ana-3", "198.51.100.7"), terminate("e3", "ana-3")],
        ["hit"],
    ),
}  # fmt: skip


def test_every_door_has_a_rule_that_speaks_of_it_and_one_that_speaks_of_its_refusal():
    silent = []
    rules = [each for name in NAMES for each in compiled((RULES / name).read_bytes(), name)]
    for each in DOORS:
        asked = {"documentName": "AWS-RunShellScript", "name": "AWS-RunShellScript"}
        opened = door("hit", each.service, each.name, requestParameters=asked)
        refused = door("no", each.service, each.name, errorCode="AccessDenied")
        for record in (opened, refused) if each.role != "channel" else ():
            connection = database([record])
            if not any(list(rule.hits(connection)) for rule in rules):
                silent.append((each.source, each.name, record["eventID"]))
    assert silent == [(SSM, "TerminateSession", event_id("no"))]


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
