import gzip
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.world import START, Summary, World, is_start_session, key, log_bytes, object_bytes, write_bucket

ACCOUNT, REGION = "111122223333", "eu-west-1"


@pytest.fixture(scope="module")
def records():
    world = World(7)
    return [world.record(START + timedelta(seconds=2 * number), ACCOUNT, REGION) for number in range(30_000)]


def session_id_started(record):
    return record["responseElements"]["sessionId"] if record["responseElements"] else None


def test_the_same_seed_gives_the_same_bytes_in_one_process_or_two(tmp_path):
    one = write_bucket(tmp_path / "one", 401, 3, vary=True, processes=1)
    two = write_bucket(tmp_path / "two", 401, 3, vary=True, processes=2)
    assert one == two
    files = {path.relative_to(tmp_path / "one"): path.read_bytes() for path in (tmp_path / "one").rglob("*.gz")}
    assert len(files) == 401
    assert files == {path.relative_to(tmp_path / "two"): path.read_bytes() for path in (tmp_path / "two").rglob("*.gz")}
    assert write_bucket(tmp_path / "three", 401, 3, vary=True, seed=8) != one


def test_the_summary_counts_what_lies_on_disk(tmp_path):
    summary = write_bucket(tmp_path, 40, 100, accounts=[ACCOUNT, "444455556666"], regions=[REGION, "us-east-1"], days=2)
    packed = [path.read_bytes() for path in tmp_path.rglob("*.json.gz")]
    raw = [gzip.decompress(data) for data in packed]
    found = [record for text in raw for record in json.loads(text)["Records"]]
    starts = sum(map(is_start_session, found))
    assert summary == Summary(40, 4000, sum(map(len, raw)), sum(map(len, packed)), starts)
    assert len({record["eventID"] for record in found}) == 4000
    assert len({path.relative_to(tmp_path).parts[1:4:2] for path in tmp_path.rglob("*.gz")}) == 4
    assert len({path.parent.name for path in tmp_path.rglob("*.gz")}) == 2  # days


def test_records_happen_in_the_five_minutes_before_their_object_is_delivered(tmp_path):
    write_bucket(tmp_path, 8, 20)
    for path in tmp_path.rglob("*.json.gz"):
        delivered = datetime.strptime(path.name.split("_")[3], "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
        for record in json.loads(gzip.decompress(path.read_bytes()))["Records"]:
            assert timedelta(0) <= delivered - datetime.fromisoformat(record["eventTime"]) < timedelta(minutes=5)


def test_an_object_is_minified_native_and_without_a_time_in_its_header(records):
    data = object_bytes(records[:50])
    raw = gzip.decompress(data)
    assert raw.startswith(b'{"Records":[{"eventVersion":"1.')
    assert raw.endswith(b"}]}")
    assert data[4:8] == bytes(4)
    assert json.loads(raw)["Records"] == records[:50]


def test_hidden_values_are_escaped_as_cloudtrail_does(records):
    raw = log_bytes(records)
    assert b"\\u003csensitiveDataRemoved\\u003e" in raw
    assert b"<" not in raw
    assert b'\\"Statement\\"' in raw  # a policy: JSON in a string
    assert b"\\\\u0020" in raw  # and a backslash in it
    assert not raw.isascii()


def test_keys_follow_cloudtrails_grammar():
    when = datetime(2026, 3, 1, 9, 15, tzinfo=UTC)
    name = "111122223333_CloudTrail_eu-west-1_20260301T0915Z_a1B2c3D4e5F6g7H8.json.gz"
    tail = f"111122223333/CloudTrail/eu-west-1/2026/03/01/{name}"
    assert key(ACCOUNT, REGION, when, "a1B2c3D4e5F6g7H8") == f"AWSLogs/{tail}"
    organized = key(ACCOUNT, REGION, when, "a1B2c3D4e5F6g7H8", prefix="audit/trail", organization="o-exampleorg1")
    assert organized == f"audit/trail/AWSLogs/o-exampleorg1/{tail}"


def test_records_have_a_lifelike_size_and_share_of_sessions(records):
    assert 1150 < len(log_bytes(records)) / len(records) < 1300
    assert 5 < sum(map(is_start_session, records)) < 30


def test_every_kind_of_caller_and_event_occurs(records):
    kinds = Counter(record["userIdentity"].get("type") for record in records)
    assert kinds.keys() == {
        "IAMUser", "AssumedRole", "Root", "AWSService", "FederatedUser", "SAMLUser", "WebIdentityUser",
        "IdentityCenterUser", None,
    }  # fmt: skip
    assert {record["eventType"] for record in records} == {"AwsApiCall", "AwsServiceEvent", "AwsConsoleSignIn"}
    assert {record["eventCategory"] for record in records} == {"Management", "Data"}
    assert len({(record["eventSource"], record["eventName"]) for record in records}) > 60
    optional = {
        "tlsDetails", "sessionCredentialFromConsole", "apiVersion", "vpcEndpointId", "sharedEventID",
        "serviceEventDetails", "addendum", "errorCode", "additionalEventData", "resources",
    }  # fmt: skip
    assert optional <= {name for record in records for name in record}
    services = [record["userIdentity"] for record in records if record["userIdentity"].get("type") == "AWSService"]
    assert all(identity.keys() == {"type", "invokedBy"} for identity in services)


def test_credentials_are_reused_within_their_hour_and_not_after(records):
    hours = {}
    for record in records:
        access_key = record["userIdentity"].get("accessKeyId", "")
        if access_key.startswith("ASIA"):
            hours.setdefault(access_key, []).append(record["eventTime"][:13])
    assert all(len(set(used)) == 1 for used in hours.values())
    assert max(map(len, hours.values())) > 10


def test_session_stories_hold_together():
    world = World(3)
    calls = [world.start_session(START + timedelta(minutes=number), ACCOUNT, REGION) for number in range(300)]
    opened = {session_id_started(call): call for call in calls if session_id_started(call)}
    denied = [call for call in calls if call.get("errorCode") == "AccessDeniedException"]
    assert denied
    for call in denied:
        assert call["requestParameters"] is None
        assert re.search(r"not authorized to perform: ssm:StartSession on resource: arn:aws:", call["errorMessage"])
    later = [world.record(START + timedelta(days=2), ACCOUNT, REGION) for _ in range(200)]
    assert {call["eventName"] for call in later} == {"ResumeSession", "TerminateSession"}
    for call in later:
        start = opened[call["requestParameters"]["sessionId"]]
        assert call["userIdentity"]["arn"] == start["userIdentity"]["arn"]
        assert call["eventTime"] > start["eventTime"]
    targets = {call["requestParameters"]["target"].split("-")[0].split(":")[0] for call in opened.values()}
    assert targets == {"i", "mi", "ecs"}
    assert any("parameters" in call["requestParameters"] for call in opened.values())


def test_athena_has_a_start_session_too(records):
    decoys = [each for each in records if each["eventName"] == "StartSession" and not is_start_session(each)]
    assert {each["eventSource"] for each in decoys} == {"athena.amazonaws.com"}
