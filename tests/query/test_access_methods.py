"""Doors beyond a plain session: data channels, outcomes that claim no more than is known, addenda, requests for access."""

import json

import pytest

from tests.fixtures.invented import ANA, BEN, NODE, assumed, call, channel, denied, resume, start, terminate
from tests.test_real import REAL
from trailscan.store.access_methods import DOORS
from trailscan.store.database import run, scratch

from tests.store.parsing import parsed  # isort: skip

ID, HOME, AWAY = "ana-0abc4defg5hijk6lmno7pqrst2", "198.51.100.7", "203.0.113.9"
NODE_ADDRESS = "192.0.2.44"
EC2 = "arn:{}:ec2:eu-west-1:111122223333:instance/{}"


@pytest.fixture(scope="module")
def connection():
    opened = scratch()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def doors(connection):
    def rows(*records, view="all_doors"):
        parsed([json.dumps(record) for record in records], connection)
        found = connection.execute(f"SELECT * FROM {view} ORDER BY coalesce(started_at, first_seen_at), event_ids::VARCHAR")
        names = [name for name, *_ in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    return rows


def flags(row):
    return set((row["flags"] or "").split(",")) - {"", "first-time"}


def client(row):
    return row["client"], json.loads(row["client_ip_addresses"]), row["node_answered"]


def node_end(label, session_id, name="OpenDataChannel"):
    return channel(label, session_id, NODE_ADDRESS, node=NODE, name=name)


def test_a_start_that_ended_within_a_second_was_never_entered(doors):
    (row,) = doors(start("s", ID), terminate("t", ID, at="09:15:03"))
    assert (row["outcome"], client(row)) == ("opened", ("no client connected", [], None))
    assert flags(row) == {"no-client-connected"}


@pytest.mark.parametrize("more", [[], [terminate("t", ID, at="09:15:04")], [resume("r", ID), terminate("t", ID)]])
def test_where_no_channel_is_held_nothing_is_said_of_a_client(doors, more):
    (row,) = doors(start("s", ID), *more)
    assert client(row) == (None, [], None)


def test_a_client_at_the_starters_address_connected(doors):
    (row,) = doors(start("s", ID), channel("c", ID, HOME), terminate("t", ID))
    assert (client(row), flags(row)) == (("connected", [HOME], None), set())


def test_a_client_at_another_address_is_flagged_and_its_address_listed(doors):
    (row,) = doors(start("s", ID), channel("c", ID, AWAY, eventSource="ssm.amazonaws.com"))
    assert client(row) == ("connected", [AWAY], None)
    assert flags(row) == {"client-from-other-address"}
    assert json.loads(row["source_ip_addresses"]) == [HOME, AWAY]
    assert row["who"] == "ana"


def test_the_nodes_own_end_is_no_client(doors):
    (row,) = doors(start("s", ID), node_end("n", ID, "CreateDataChannel"), node_end("o", ID))
    assert client(row) == ("no client connected", [], True)
    assert flags(row) == {"no-client-connected"}
    assert json.loads(row["source_ip_addresses"]) == [HOME]


def test_an_unnamed_end_at_the_nodes_address_may_be_either(doors):
    created, unnamed = node_end("n", ID, "CreateDataChannel"), channel("o", ID, NODE_ADDRESS)
    (row,) = doors(start("s", ID), created, unnamed)
    assert client(row) == (None, [], True)
    (row,) = doors(start("s", ID), created, unnamed, channel("c", ID, AWAY))
    assert client(row) == ("connected", [AWAY], True)
    (row,) = doors(start("s", ID), created, unnamed, node_end("own", ID))
    assert client(row) == ("connected", [NODE_ADDRESS], True)


def test_a_channel_that_names_no_session_is_joined_to_none_and_names_its_node(doors, connection):
    (row,) = doors(start("s", ID), channel("n", None, NODE_ADDRESS, node=NODE, name="CreateDataChannel"))
    assert (client(row), len(json.loads(row["event_ids"]))) == ((None, [], None), 1)
    assert run(connection, "SELECT target FROM events WHERE event_name = 'CreateDataChannel'") == [(NODE,)]


def test_a_channel_alone_is_a_session_that_a_client_entered_or_nothing_is_known_of(doors):
    assert [row["outcome"] for row in doors(channel("c", ID, AWAY))] == ["opened"]
    assert [row["outcome"] for row in doors(node_end("n", ID))] == ["unknown"]


def test_a_session_that_was_only_ended_is_unknown(doors):
    (row,) = doors(terminate("t", ID))
    assert (row["outcome"], row["end_status"], row["starter"]) == ("unknown", "terminated by starter", "ana")


def sample(door, **more):
    request = {"target": NODE, "instanceId": NODE, "task": "t-0123", "documentName": "AWS-RunShellScript"}
    return call(door.name, door.name, eventSource=door.source, requestParameters=request, **more)


@pytest.mark.parametrize(
    "door", [each for each in DOORS if each.role == "opens"], ids=lambda door: f"{door.service}.{door.name}"
)
def test_each_door_is_a_row_with_the_outcome_that_the_table_states(doors, door):
    assert [row["outcome"] for row in doors(sample(door))] == [door.success]
    assert [row["outcome"] for row in doors(sample(door, errorCode="AccessDenied"))] == ["denied"]
    assert [row["outcome"] for row in doors(sample(door, errorCode="ThrottlingException"))] == ["failed"]
    assert [row["outcome"] for row in doors(sample(door, responseElements={"success": False}))] == ["failed"]


@pytest.mark.parametrize(
    ("document", "counts"),
    [("AWS-RunPowerShellScript", 1), ("AWS-StopEC2Instance", 0), ("arn:aws:ssm:eu-west-1::document/AWS-RunRemoteScript", 1),
     ("Mine", 1), ("AWS-GatherSoftwareInventory", 0), ("arn:aws:ssm:eu-west-1:111122223333:document/Mine", 1)],
)  # fmt: skip
def test_automations_and_associations_are_doors_where_their_document_runs_commands(doors, document, counts):
    assert len(doors(call("a", "StartAutomationExecution", requestParameters={"documentName": document}))) == counts
    assert len(doors(call("b", "CreateAssociation", requestParameters={"name": document}))) == counts


def updated(label, original, record):
    return {**record, "addendum": {"reason": "UPDATED_DATA", "updatedFields": "x", "originalEventID": original["eventID"]}}


def test_an_addendum_replaces_what_it_updates_and_says_so(doors):
    original = start("s", ID, target="i-0ffff")
    addendum = updated("u", original, start("u", ID))
    (row,) = doors(original, addendum, terminate("t", ID, at="10:00:00"))
    assert (row["target"], flags(row)) == (NODE, {"updated-data"})
    assert original["eventID"] in json.loads(row["event_ids"])
    assert len(row["row_ids"]) == 3


def test_addenda_cannot_make_each_other_vanish_nor_calls_of_another_kind(doors):
    one, other = start("one", "ana-1"), start("other", "ana-2")
    rows = doors(updated("", other, one), updated("", one, other))
    assert len(rows) == 2
    stranger = updated("", start("s", ID), terminate("x", "ana-9"))
    assert {row["session_id"] for row in doors(start("s", ID), stranger)} == {ID, "ana-9"}


def test_access_that_was_asked_for_is_followed_to_who_asked(doors):
    asked = call("ask", "StartAccessRequest", at="08:00:00",
                 requestParameters={"reason": "INC-7", "targets": [{"key": "InstanceIds", "values": [NODE]}]},
                 responseElements={"accessRequestId": "oi-0123456789ab"})  # fmt: skip
    key = "ASIAEXAMPLEJITACCESS"
    token = call("token", "GetAccessToken", at="08:30:00", who=BEN, requestParameters={"accessRequestId": "oi-0123456789ab"},
                 responseElements={"accessRequestStatus": "Approved", "credentials": {"accessKeyId": key}})  # fmt: skip
    who = {**assumed("jit", "temporary"), "accessKeyId": key}
    request, session = doors(asked, token, start("s", "temporary-1", who=who))
    assert (request["outcome"], request["target"], request["who"], flags(request)) == (
        "accepted", NODE, "ana", {"principal-changed"},
    )  # fmt: skip
    assert (session["requested_by"], session["access_request"]) == ("ana", "oi-0123456789ab")


FAILURES = [
    ({"responseElements": {"ConsoleLogin": "Failure"}}, True),
    ({"responseElements": {"success": False}}, True),
    ({"responseElements": {"CheckMfa": "Failure"}}, True),
    ({"serviceEventDetails": {"CredentialVerification": "Failure"}}, True),
    ({"serviceEventDetails": {"state": "FAILED"}}, True),
    ({"responseElements": {"ConsoleLogin": "Success"}}, False),
    ({"responseElements": {"items": [{"success": False}]}}, False),
    ({"responseElements": {"success": True, "note": "Failure is not an option"}}, False),
    ({"responseElements": "Failure"}, False),
    ({"serviceEventDetails": {"UserAuthentication": "Success"}}, False),
]


@pytest.mark.parametrize(("told", "failed"), FAILURES)
def test_a_failure_told_in_other_words_is_one(told, failed):
    (row,) = parsed([json.dumps(call("x", "Something", eventSource="signin.amazonaws.com", **told))])
    assert row["result"].startswith("failed: ") is failed


@pytest.mark.parametrize(
    "partition", ["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"]
)
@pytest.mark.parametrize("name", ["StartSession", "SendCommand"])
def test_a_refused_call_names_its_machine_in_every_partition(doors, partition, name):
    robot = assumed("node", "i-0dddd1111")
    rows = doors(denied("d", EC2.format(partition, NODE), who=robot, name=name))
    assert [(row["target"], row["outcome"]) for row in rows] == [(NODE, "denied")]


needs_field = pytest.mark.skipif(
    not (REAL.parent / "field" / "README.md").is_file(),
    reason="the folder of inputs met in the field is not beside the checkout",
)


@needs_field
def test_sessions_that_were_met_in_the_field(doors):
    records = json.loads((REAL.parent / "field" / "never_entered.json").read_bytes())["Records"]
    never, entered = doors(*records, view="sessions")
    assert client(never) == ("no client connected", [], None)
    assert client(entered) == ("connected", ["198.51.100.9"], None)
    assert ANA["userName"] != entered["who"] == "alice"
