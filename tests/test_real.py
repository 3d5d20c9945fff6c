"""Records of real accounts that others published: they are read where they are, and are no part of this repository."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from trailscan.records.object_reader import Reading, read_object

REAL = Path(os.environ.get("TRAILSCAN_REAL") or Path(__file__).parents[1].parent / "shared" / "real")

pytestmark = pytest.mark.skipif(
    not (REAL / "README.md").is_file(), reason="no real records: name their folder in the environment variable TRAILSCAN_REAL"
)


def readings(folder: str) -> list[Reading]:
    files = sorted(file for file in (REAL / folder).iterdir() if file.suffix in (".json", ".jsonl"))
    return [read_object(file.read_bytes()) for file in files]


def records(folder: str) -> list[dict]:
    return [json.loads(bytes(record)) for reading in readings(folder) for record in reading.records]


def session_calls(folder: str) -> dict[str, int]:
    wanted = ("StartSession", "ResumeSession", "TerminateSession", "SendCommand")
    ssm = Counter(record["eventName"] for record in records(folder) if record["eventSource"] == "ssm.amazonaws.com")
    return {name: ssm[name] for name in wanted if ssm[name]}


@pytest.mark.parametrize(("folder", "shape"), [("stratus-red-team", "array"), ("invictus-aws_dataset", "records")])
def test_every_file_is_sound_and_of_one_shape(folder, shape):
    assert {(reading.shape, reading.status, len(reading.damage)) for reading in readings(folder)} == {(shape, "ok", 0)}


@pytest.mark.parametrize(("folder", "count"), [("stratus-red-team", 310), ("invictus-aws_dataset", 1282)])
def test_every_record_is_there_once(folder, count):
    ids = [record["eventID"] for record in records(folder)]
    assert len(ids) == count
    assert len(set(ids)) == count


def test_the_sessions_of_the_simulated_attacks_are_there():
    assert session_calls("stratus-red-team") == {"StartSession": 3, "TerminateSession": 3, "SendCommand": 2}


def test_the_incident_has_one_command_and_no_session():
    assert len(readings("invictus-aws_dataset")) == 24
    assert session_calls("invictus-aws_dataset") == {"SendCommand": 1}


def test_looked_up_events_are_records():
    (reading,) = readings("plaso")
    assert (reading.shape, reading.status, len(reading.records)) == ("lookup-events", "ok", 6)


def test_the_broken_file_is_damage_and_the_good_one_is_not():
    broken, good = readings("cloudgrep")
    assert (good.shape, good.status, len(good.records)) == ("records", "ok", 1)
    assert broken.damage
    assert broken.status == "damaged"


def test_a_licence_is_no_log():
    reading = read_object((REAL / "invictus-aws_dataset" / "LICENSE").read_bytes())
    assert [damage.what for damage in reading.damage] == ["not-cloudtrail"]
