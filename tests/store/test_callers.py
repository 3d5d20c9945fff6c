"""Who called, how it ended, on which machine and in which session: for every kind of caller and every door to a shell."""

import pytest

from tests.store.parsing import row_of

ACCOUNT = "111122223333"
SSM, ECS = "ssm.amazonaws.com", "ecs.amazonaws.com"
CONNECT, GUI = "ec2-instance-connect.amazonaws.com", "ssm-guiconnect.amazonaws.com"
SESSION = "alice-abcdefghijklmnopqrstuvwx2y"
NODE = "i-0aaaabbbbccccdddd"
TASK = "ecs:prod_orders_0123_0123-1"
EXECUTED = "ecs-execute-command-0a"
CALCULATION = "11111111-2222-4333-8444-555566667777"  # of Athena
ALICE = f"arn:aws:iam::{ACCOUNT}:user/ops/alice"
AUDIT = f"arn:aws:sts::{ACCOUNT}:federated-user/audit"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Ops_0123456789abcdef"
ASSUMED = f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Ops_0123456789abcdef/alice@example.com"
CONTEXT = {"sessionIssuer": {"type": "Role", "arn": ROLE, "userName": "AWSReservedSSO_Ops_0123456789abcdef"}}
IN_ROLE = " (AWSReservedSSO_Ops_0123456789abcdef)"


@pytest.mark.parametrize(
    ("identity", "who"),
    [
        ({"type": "Root", "principalId": ACCOUNT, "userName": "our-alias"}, "root"),
        ({"type": "IAMUser", "principalId": "AIDAX", "arn": ALICE, "userName": "alice"}, "alice"),
        ({"type": "IAMUser", "principalId": "AIDAX", "arn": ALICE}, "alice"),
        ({"type": "AssumedRole", "principalId": "AROAX:alice", "arn": ASSUMED, "sessionContext": CONTEXT}, f"alice{IN_ROLE}"),
        ({"type": "AssumedRole", "principalId": f"AROAX:{NODE}", "sessionContext": {}}, NODE),
        ({"type": "AssumedRole", "arn": ASSUMED, "accountId": ACCOUNT}, "alice@example.com"),
        ({"type": "AssumedRole", "accountId": ACCOUNT, "sessionContext": CONTEXT}, f"{ACCOUNT}{IN_ROLE}"),
        ({"type": "Role", "principalId": "AROAX:deploy", "sessionContext": CONTEXT}, f"deploy{IN_ROLE}"),
        ({"type": "FederatedUser", "principalId": f"{ACCOUNT}:audit", "arn": AUDIT}, "audit"),
        ({"type": "SAMLUser", "principalId": "abc=:ana@example.com", "userName": "ana@example.com"}, "ana@example.com"),
        ({"type": "WebIdentityUser", "principalId": "oidc.example.com:app:ana", "userName": "ana"}, "ana"),
        ({"type": "AWSAccount", "principalId": "AIDAX", "accountId": "444455556666"}, "444455556666"),
        ({"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"}, "cloudtrail.amazonaws.com"),
        ({"type": "AWSService"}, "AWS service"),
        ({"accountId": ACCOUNT, "invokedBy": "AWS Internal"}, "AWS Internal"),
        ({"type": "IdentityCenterUser", "accountId": ACCOUNT, "arn": "", "onBehalfOf": {"userId": "u-1"}}, "u-1"),
        ({"type": "IdentityCenterUser", "accountId": ACCOUNT, "arn": "", "userName": ""}, ACCOUNT),
        ({"type": "Unknown", "principalId": "x", "accountId": ACCOUNT}, "x"),
        ({"type": "Directory", "userName": "ana"}, "ana"),
        ({"type": "NeverHeardOf", "accountId": ACCOUNT}, ACCOUNT),
        ({}, None),
        (None, None),
        ("<sensitiveDataRemoved>", None),
        ([], None),
    ],
)  # fmt: skip
def test_every_kind_of_caller_has_a_name_for_people(identity, who):
    assert row_of({"userIdentity": identity})["who"] == who


def test_a_callers_details_have_columns():
    identity = {
        "type": "AssumedRole", "principalId": "AROAX:alice@example.com", "arn": ASSUMED, "accountId": ACCOUNT,
        "accessKeyId": "ASIAEXAMPLE", "invokedBy": GUI,
        "sessionContext": {**CONTEXT, "attributes": {"mfaAuthenticated": "false"}, "sourceIdentity": "alice"},
    }  # fmt: skip
    row = row_of({"userIdentity": identity})
    wanted = {
        "user_type": "AssumedRole", "user_arn": ASSUMED, "user_principal_id": "AROAX:alice@example.com",
        "user_account_id": ACCOUNT, "user_access_key_id": "ASIAEXAMPLE", "user_invoked_by": GUI, "user_issuer_arn": ROLE,
        "user_session_name": "alice@example.com", "user_source_identity": "alice", "mfa_authenticated": False,
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted


@pytest.mark.parametrize(("said", "meant"), [("true", True), ("false", False), (True, True), ("TRUE", None), (None, None)])
def test_the_second_factor_is_known_or_unknown(said, meant):
    identity = {"type": "IAMUser", "sessionContext": {"attributes": {"mfaAuthenticated": said}}}
    assert row_of({"userIdentity": identity})["mfa_authenticated"] is meant


@pytest.mark.parametrize(
    ("code", "message", "result"),
    [
        (None, None, "ok"),
        ("AccessDenied", "no", "denied"),
        ("AccessDeniedException", None, "denied"),
        ("UnauthorizedOperation", None, "denied"),
        ("Client.UnauthorizedOperation", None, "denied"),
        ("VpceAccessDenied", None, "denied"),
        ("TargetNotConnected", "i-0 is not connected.", "failed: TargetNotConnected"),
        (None, "Failed authentication", "failed: Failed authentication"),
        ("ThrottlingException", "Rate exceeded", "failed: ThrottlingException"),
    ],
)
def test_the_result_is_ok_denied_or_failed(code, message, result):
    assert row_of({"errorCode": code, "errorMessage": message})["result"] == result


DENIED = "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: ssm:{} on resource: arn:aws:{} because no"
DOORS = [
    (SSM, "StartSession", {"target": NODE}, {"sessionId": SESSION}, None, NODE, SESSION),
    (SSM, "StartSession", {"target": TASK}, {"sessionId": SESSION}, None, TASK, SESSION),
    (SSM, "StartSession", None, None, f"ec2:eu-west-1:111122223333:instance/{NODE}", NODE, None),
    (SSM, "StartSession", None, None, "ssm:eu-west-1:111122223333:managed-instance/mi-0aabb", "mi-0aabb", None),
    (SSM, "StartSession", None, None, "ssm:eu-west-1:111122223333:document/SSM-SessionManagerRunShell", None, None),
    (SSM, "ResumeSession", {"sessionId": SESSION}, {"sessionId": SESSION, "tokenValue": "x"}, None, None, SESSION),
    (SSM, "ResumeSession", {"sessionId": SESSION}, None, "ssm:eu-west-1:111122223333:session/x", None, SESSION),
    (SSM, "TerminateSession", {"sessionId": SESSION}, {"sessionId": SESSION}, None, None, SESSION),
    (SSM, "TerminateSession", None, None, f"ssm:eu-west-1:111122223333:session/{SESSION}", None, SESSION),
    (SSM, "GetConnectionStatus", {"target": NODE}, None, None, NODE, None),
    (SSM, "SendCommand", {"instanceIds": [NODE, "mi-0aa"], "parameters": "HIDDEN"}, {}, None, f"{NODE},mi-0aa", None),
    (SSM, "SendCommand", {"targets": [{"key": "tag:x", "values": ["y"]}]}, None, None, "tag:x=y", None),
    (SSM, "SendCommand", "<sensitiveDataRemoved>", None, None, None, None),
    (SSM, "DescribeSessions", {"state": "Active"}, None, None, None, None),
    (ECS, "ExecuteCommand", {"task": "t-1", "cluster": "c"}, {"session": {"sessionId": EXECUTED}}, None, "t-1", EXECUTED),
    (ECS, "ExecuteCommand", None, None, None, None, None),
    (CONNECT, "SendSSHPublicKey", {"instanceId": NODE}, {"success": True}, None, NODE, None),
    (CONNECT, "SendSerialConsoleSSHPublicKey", {"instanceId": NODE, "serialPort": 0}, None, None, NODE, None),
    (CONNECT, "OpenTunnel", {"privateIpAddress": "192.0.2.7"}, None, None, "192.0.2.7", None),
    (GUI, "StartConnection", {"InstanceId": NODE, "Protocol": "RDP"}, {"ConnectionArn": "x"}, None, NODE, None),
    ("athena.amazonaws.com", "StartSession", {"workGroup": "w"}, {"sessionId": CALCULATION}, None, None, None),
    ("athena.amazonaws.com", "TerminateSession", {"sessionId": CALCULATION}, None, None, None, None),
    (None, "StartSession", {"target": NODE}, {"sessionId": SESSION}, None, None, None),
]  # fmt: skip


@pytest.mark.parametrize(("source", "name", "request_", "response", "resource", "target", "session"), DOORS)
def test_a_door_to_a_shell_names_its_machine_and_its_session(source, name, request_, response, resource, target, session):
    record = {"eventSource": source, "eventName": name, "requestParameters": request_, "responseElements": response}
    if resource:
        record |= {"errorCode": "AccessDeniedException", "errorMessage": DENIED.format(name, resource)}
    row = row_of(record)
    assert (row["target"], row["session_id"]) == (target, session)
