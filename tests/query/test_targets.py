"""`--target`: every machine that a call names is found by itself, in whatever form the call names it, and no other call is."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.invented import call, start
from tests.query import plain
from tests.query.running import trailscan
from tests.store.parsing import parsed
from tests.support.world import object_bytes
from trailscan.query.events import Answer
from trailscan.query.filters import Filters, needles_of
from trailscan.records.prefilter import Prefilter
from trailscan.store.database import scratch

PARTITIONS = ["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"]
CONNECT, ECS = "ec2-instance-connect.amazonaws.com", "ecs.amazonaws.com"
machines = st.builds("{}{}".format, st.sampled_from(["i-", "mi-"]), st.text("0123456789abcdef", min_size=17, max_size=17))
tasks = st.text("0123456789abcdef", min_size=32, max_size=32)


def addressed(ids):
    return [{"key": "InstanceIds", "values": ids}]


def refused(name, service, arn):
    message = (
        f"User: arn:aws:sts::111122223333:assumed-role/web/i-0ddddddddddddddd1 is not authorized to perform: {service}:{name} "
    )
    source = f"{service}.amazonaws.com"
    message += f"on resource: {arn} because no identity-based policy allows the {service}:{name} action"
    return call("", name, eventSource=source, errorCode="AccessDenied", errorMessage=message)


SEVERAL = [
    lambda ids: call("", "SendCommand", requestParameters={"instanceIds": ids}),
    lambda ids: call("", "SendCommand", requestParameters={"targets": addressed(ids)}),
    lambda ids: call("", "SendCommand", requestParameters={"instanceIds": ids[:1], "targets": addressed(ids[1:])}),
    lambda ids: call("", "SendCommand", responseElements={"command": {"instanceIds": [], "targets": addressed(ids)}}),
    lambda ids: call("", "SendCommand", errorCode="InvalidInstanceId", errorMessage=f"Instances [[{', '.join(ids)}]] bad"),
    lambda ids: call("", "CreateAssociation", requestParameters={"name": "AWS-RunShellScript", "targets": addressed(ids)}),
    lambda ids: call("", "StartAutomationExecution", requestParameters={"parameters": {"InstanceId": ids}}),
    lambda ids: call("", "StartAutomationExecution",
                     requestParameters={"targets": [{"key": "ParameterValues", "values": ids}]}),
    lambda ids: call("", "StartAccessRequest", requestParameters={"targets": addressed(ids)}),
]  # fmt: skip
SINGLE = [
    lambda name, _: start("", "ana-1", name),
    lambda name, _: call("", "GetConnectionStatus", requestParameters={"target": name}),
    lambda name, _: call("", "SendSSHPublicKey", eventSource=CONNECT, requestParameters={"instanceId": name}),
    lambda name, _: call("", "StartSession", requestParameters={"target": name}, errorCode="TargetNotConnected"),
    lambda name, partition: refused("SendSSHPublicKey", "ec2-instance-connect", arn_of(name, partition)),
    lambda name, partition: refused("SendSerialConsoleSSHPublicKey", "ec2-instance-connect", arn_of(name, partition)),
    lambda name, partition: refused("SendCommand", "ssm", arn_of(name, partition)),
    lambda name, partition: refused("StartSession", "ssm", arn_of(name, partition)),
]
TASKS = [
    lambda task, _: start("", "ana-1", f"ecs:prod_blue_{task}_{task[::-1]}-1"),
    lambda task, _: call("", "ExecuteCommand", eventSource=ECS, requestParameters={"task": task}),
    lambda task, part: call("", "ExecuteCommand", eventSource=ECS, requestParameters={"task": task_arn(task, part)}),
    lambda task, part: refused("ExecuteCommand", "ecs", task_arn(task, part)),
    lambda task, part: refused("StartSession", "ssm", task_arn(task, part)),
]


def arn_of(name, partition):
    kind = "ssm:eu-west-1:111122223333:managed-instance" if name.startswith("mi-") else "ec2:eu-west-1:111122223333:instance"
    return f"arn:{partition}:{kind}/{name}"


def task_arn(task, partition):
    return f"arn:{partition}:ecs:eu-west-1:111122223333:task/prod/{task}"


@st.composite
def calls(draw):
    """A call, and the machines that it names."""
    partition, form = draw(st.sampled_from(PARTITIONS)), draw(st.sampled_from(["several", "single", "task"]))
    if form == "several":
        named = draw(st.lists(machines, min_size=1, max_size=5, unique=True))
        return draw(st.sampled_from(SEVERAL))(named), named
    name = draw(machines if form == "single" else tasks)
    return draw(st.sampled_from(SINGLE if form == "single" else TASKS))(name, partition), [name]


@pytest.fixture(scope="module")
def database():
    connection = scratch(with_views=False)
    yield connection
    connection.close()


def test_a_random_set_of_machines_in_a_random_form_is_found_machine_by_machine(database):
    @settings(max_examples=25)
    @given(st.lists(calls(), min_size=1, max_size=6))
    def holds(drawn):
        records = [record | {"eventID": f"{number}"} for number, (record, _) in enumerate(drawn)]
        parsed([json.dumps(record) for record in records], database)
        for name in {name for _, named in drawn for name in named}:
            filters = Filters(target=(name,))
            wanted = {str(number) for number, (_, named) in enumerate(drawn) if name in named}
            table = Answer(database, filters).table(["event_id"])
            assert {row[0] for chunk in table.chunks for row in chunk} == wanted
            sieve = Prefilter(needles_of(filters))
            assert all(sieve.lets_through(json.dumps(record).encode()) for record in records if record["eventID"] in wanted)
            assert {record["eventID"] for record in records if plain.matches(record, filters)} == wanted

    holds()


NODE = "i-0aaaaaaaaaaaaaaa2"
ADDRESSED = [
    {"instanceIds": ["*"]},
    {"targets": addressed(["*"])},
    {"targets": [{"key": "tag:Role", "values": ["web"]}]},
    {"targets": [{"key": "resource-groups:Name", "values": ["all"]}]},
    {"targets": [{"key": "tag-key", "values": ["Patch"]}]},
]


def test_commands_that_named_nobody_are_counted_under_the_answer_over_files_and_from_an_archive(tmp_path):
    records = [call(f"c{n}", "SendCommand", requestParameters=request) for n, request in enumerate(ADDRESSED)]
    records += [call("hit", "SendCommand", requestParameters={"targets": addressed(["i-0aaaaaaaaaaaaaaa1", NODE])})]
    records += [call("no", "SendCommand", requestParameters=ADDRESSED[2], errorCode="AccessDenied")]
    records += [call("policy", "PutRolePolicy", requestParameters={"policy": '{"Resource":"*"}', "x": "*"})]
    (tmp_path / "a.json.gz").write_bytes(object_bytes(records))
    (tmp_path / "b.json.gz").write_bytes(object_bytes(records[:2]))
    root = tmp_path / "archive"
    trailscan("load", tmp_path / "a.json.gz", tmp_path / "b.json.gz", "--archive", root, "--jobs", 1)
    said = "5 commands addressed by tag may have reached it (by tag, by resource group, or sent to `*`)"
    for words in (["query", tmp_path / "a.json.gz", tmp_path / "b.json.gz", "--jobs", 1], ["query", "--archive", root],
                  ["sessions", "--all-doors", "--archive", root]):  # fmt: skip
        ended = trailscan(*words, "--target", NODE, "--count")
        assert (ended.code, ended.stdout) == (0, b"1\n")
        assert said in ended.stderr.splitlines()
    ended = trailscan("query", "--archive", root, "--target", NODE, "--since", "2027-01-01", "--count")
    assert "may have reached" not in ended.stderr
    assert "may have reached" not in trailscan("query", "--archive", root, "--event", "SendCommand", "--count").stderr
