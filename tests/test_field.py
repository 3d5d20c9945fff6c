"""Inputs met in the field, with their right answers: they are read where they are, and are no part of this repository."""

import json
import os
from pathlib import Path

import pytest

from tests.query.running import Ended, trailscan

FIELD = Path(os.environ.get("TRAILSCAN_FIELD") or Path(__file__).parents[1].parent / "shared" / "field")
INSTANCE = "i-0123456789abcdef0"
SECOND = "i-0aaaaaaaaaaaaaaa2"

pytestmark = pytest.mark.skipif(
    not (FIELD / "README.md").is_file(),
    reason="no inputs of the field: name their folder in the environment variable TRAILSCAN_FIELD",
)


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "archive"


def loaded(archive: Path, name: str, code: int = 0) -> Ended:
    ended = trailscan("load", FIELD / name, "--archive", archive)
    assert ended.code == code, ended.stderr
    return ended


def rows(*words: object) -> list[dict]:
    return json.loads(trailscan(*words, "--format", "json").stdout)


def doors(archive: Path, *more: str) -> list[dict]:
    return rows("sessions", "--all-doors", "--archive", archive, *more)


@pytest.mark.parametrize("name", ["sqs_lambda_event.json", "wrappers/sns.json"])
def test_the_session_inside_an_envelope(archive, name):
    (event,) = rows("query", FIELD / name)
    loaded(archive, name)
    (session,) = rows("sessions", "--archive", archive)
    assert event["event_name"] == "StartSession"
    assert session["session_id"] == event["session_id"] == "alice-0a1b2c3d4e5f60718"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("s3_notification.json", "S3 event notification"),
        ("records_of_anything.json", "JSON with the members"),
        ("azure_activity.json", "Azure activity log"),
        ("wrappers/athena.csv", "flattened Athena result: hand over the log files"),
        ("eventbridge_other.json", "EC2 Instance State-change Notification"),
    ],
)
def test_what_is_not_cloudtrail_is_named(archive, name, said):
    counted = trailscan("query", FIELD / name, "--count")
    assert (counted.stdout, counted.code) == (b"0\n", 3)
    for ended in (counted, loaded(archive, name, code=3)):
        assert "not CloudTrail" in ended.stderr
        assert said in ended.stderr
        assert "damaged" not in ended.stderr


@pytest.mark.parametrize(
    "name",
    [
        "wrappers/filebeat_message.ndjson",
        "wrappers/es_hits.json",
        "wrappers/splunk_result_raw.json",
        "wrappers/lake_eventjson.json",
        "wrappers/fluentbit_log.ndjson",
        "event_history.csv",
        "lookup_utf16.json",
        "lookup_strings.json",
    ],
)
def test_both_records_are_read(name):
    ended = trailscan("query", FIELD / name, "--count")
    assert (ended.stdout, ended.code) == (b"2\n", 0), ended.stderr


def test_rows_of_the_console_say_what_they_lack():
    assert "without request and response" in trailscan("query", FIELD / "event_history.csv", "--count").stderr
    assert [row["flags"] for row in rows("query", FIELD / "event_history.csv")] == ["summary-only"] * 2


def test_the_account_of_the_envelope():
    asked = ["query", FIELD / "eventbridge_account.json", "--count", "--account"]
    assert trailscan(*asked, "111122223333").stdout == b"1\n"
    assert trailscan(*asked, "444455556666").stdout == b"0\n"


def test_every_file_of_a_folder_is_accounted_for(archive):
    assert "objects: 9 found = 9 loaded" in loaded(archive, "passed_over").stderr
    assert "in 1 of 9 objects; 16 copies hidden" in trailscan("query", FIELD / "passed_over", "--count").stderr


def test_two_events_of_one_id_both_count(archive):
    assert "records: 2 read = 2 loaded\n" in loaded(archive, "same_id.json").stderr
    assert trailscan("query", "--archive", archive, "--count").stdout == b"2\n"


def test_a_command_reaches_every_target_it_names(archive):
    loaded(archive, "send_command_targets.json")
    assert len(doors(archive, "--target", SECOND)) == 2
    counted = trailscan("query", "--archive", archive, "--target", SECOND, "--count")
    assert counted.stdout == b"2\n"
    assert "1 command addressed by tag may have reached it" in counted.stderr


def test_refused_doors_name_their_target(archive):
    loaded(archive, "denied_doors.json")
    asked = doors(archive, "--target", INSTANCE)
    assert [row["door"] for row in asked] == ["StartSession", "SendSSHPublicKey", "SendCommand"]
    (task,) = [row for row in doors(archive) if row["door"] == "ExecuteCommand"]
    assert task["target"].endswith(":task/prod/0123456789abcdef0123456789abcdef")


def test_failures_without_an_error_code(archive):
    assert trailscan("query", FIELD / "console_login_failure.json", "--failed", "--count").stdout == b"3\n"
    loaded(archive, "console_login_failure.json")
    assert [(row["door"], row["outcome"]) for row in doors(archive)] == [("SendSSHPublicKey", "failed")]


def test_who_came_in_by_a_data_channel(archive):
    loaded(archive, "never_entered.json")
    first, second = rows("sessions", "--archive", archive)
    assert (first["client"], first["client_ip_addresses"]) == ("no client connected", [])
    assert (second["client"], second["outcome"]) == ("connected", "opened")
    assert "198.51.100.9" in second["source_ip_addresses"]


def test_a_finding_for_each_kind_of_door(archive):
    loaded(archive, "doors.json")
    events = json.loads((FIELD / "doors.json").read_bytes())["Records"]
    found = rows("detect", "--archive", archive)
    ids = {row["event_id"] for row in found}
    left = [event["eventName"] for event in events if event["eventID"] not in ids]
    assert left == ["OpenDataChannel"]  # it belongs to a session, whose finding speaks of it
    assert "Session entered from another address than it was started from" in {row["title"] for row in found}
