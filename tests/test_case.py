"""A case from end to end: synced on one side, packed, carried, and on the other side judged where there is no network."""

import json
import os
import subprocess
import sys

import pytest

from demo.run import BUCKET, FENCE, SETTINGS, serving

SHELL = "alice@example.com-k3v7qmx2t5hw9ad4cz6ey8bnru"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The bundle of what was synced from a real server, and its sum as `pack` told it."""
    folder = tmp_path_factory.mktemp("this-side")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | SETTINGS | FENCE
    environment["TRAILSCAN_ARCHIVE"] = str(folder / "case")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with serving() as endpoint:
            trailscan("sync", f"s3://{BUCKET}/", "--endpoint-url", endpoint)
            packed = trailscan("pack", folder / "case.tar")
    return folder / "case.tar", packed.stdout.split()[0]


@pytest.fixture(scope="module")
def there(bundle, no_network, tmp_path_factory):
    """Runs a command on the other side, where the bundle was unpacked and there is no network."""
    path, told = bundle
    archive = tmp_path_factory.mktemp("other-side") / "case"
    trailscan("unpack", path, "--archive", archive, "--sha256", told, within=no_network)

    def run(*arguments):
        return trailscan(*arguments, "--archive", archive, within=no_network)

    return run


def trailscan(*arguments, within=()):
    command = [*within, sys.executable, "-m", "trailscan", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended


def test_everything_that_was_carried_verifies(there):
    rows = json.loads(there("verify", "--format", "json").stdout)
    assert {row["status"] for row in rows} == {"VALID"}
    assert [sum(row["kind"] == kind for row in rows) for kind in ("digest", "log", "archive")] == [36, 36, 72]


def test_the_sessions_are_those_of_the_story(there):
    rows = json.loads(there("sessions", "--format", "json").stdout)
    assert [(row["outcome"], row["resumes"], row["end_status"]) for row in rows] == [
        ("denied", 0, None),
        ("opened", 1, "terminated by starter"),
        ("opened", 0, "no end recorded"),
    ]


def test_the_carried_archive_answers_questions(there):
    assert there("query", "--session", SHELL, "--count").stdout == "3\n"
    assert len(there("query", "--session", SHELL, "--format", "record").stdout.splitlines()) == 3


def test_a_session_is_shown_with_its_proof_and_what_went_on_around_it(there):
    there("verify")
    sections = json.loads(there("show", SHELL[:24], "--format", "json").stdout)["sections"]
    assert "LOG VALID" in sections["objects"]["rows"][0]["verdict"]
    assert [row["event_name"] for row in sections["target"]["rows"]] == ["GetSecretValue"]
    assert sections["lineage"]["rows"][0]["event_name"] == "AssumeRoleWithSAML"


def test_nothing_is_missing_and_all_that_was_done_is_on_record(there):
    assert {row["state"] for row in json.loads(there("coverage", "--format", "json").stdout)} == {"held"}
    assert [row["command"] for row in json.loads(there("custody", "--format", "json").stdout)][:2] == ["sync", "unpack"]
