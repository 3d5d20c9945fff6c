"""Every tampering judged by `aws cloudtrail validate-logs` too: trailscan agrees with it, or differs as `tamperings` says.

Needs the AWS command line in a Python of its own: TRAILSCAN_AWS, or build/aws/bin/aws (`python -m venv build/aws &&
build/aws/bin/pip install awscli`); skipped where there is none.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import ENVIRONMENT, TOP, run
from tests.support import signer, tamperings
from tests.support.cloudtrail import CloudTrail
from tests.support.signer import write_archive, write_bucket
from tests.support.standin import Standin

AWS = Path(os.environ.get("TRAILSCAN_AWS", TOP / "build/aws/bin/aws"))
CASES = tamperings.cases()
ASKED = [case for case in CASES if case.aws is not None]
pytestmark = pytest.mark.skipif(not AWS.exists(), reason="there is no AWS command line in build/aws, nor at TRAILSCAN_AWS")


@pytest.fixture(scope="module")
def objects():
    return {place: stored for case in CASES for place, stored in case.objects().items()}


@pytest.fixture(scope="module")
def said_by_aws(objects, tmp_path_factory):
    """Of each case, the lines of the AWS command line by kind and object."""
    root = tmp_path_factory.mktemp("bucket")
    write_bucket(objects, root)
    arguments = [_arguments(case) for case in ASKED]
    with Standin(root) as standin, CloudTrail(tamperings.public_keys()) as cloudtrail:
        environment = ENVIRONMENT | {
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL_S3": standin.url,
            "AWS_ENDPOINT_URL_CLOUDTRAIL": cloudtrail.url,
        }
        done = subprocess.run(
            [AWS.parent / "python", TOP / "tests/support/validate_logs.py"],
            input=json.dumps(arguments),
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    return {case.name: answer for case, answer in zip(ASKED, json.loads(done.stdout), strict=True)}


@pytest.fixture(scope="module")
def said_by_trailscan(objects, tmp_path_factory):
    """Of each case, the verdicts."""
    root = tmp_path_factory.mktemp("case") / "archive"
    write_archive(objects, map(signer.kept_key, tamperings.public_keys()), root)
    ended = run("verify", "--archive", str(root), "--format", "jsonl")
    assert ended.code == 4
    verdicts = [json.loads(line) for line in ended.out.splitlines()]
    return {case.name: [each for each in verdicts if each["trail"] == case.name] for case in CASES}


def _arguments(case):
    arn = f"arn:aws:cloudtrail:eu-west-1:111122223333:trail/{case.name}"
    times = ["--start-time", "2026-03-01T00:14:05Z", "--end-time", "2026-03-01T12:00:00Z"]
    return ["cloudtrail", "validate-logs", "--trail-arn", arn, "--s3-bucket", case.trail.bucket, *times, "--verbose"]


def _judged_by_aws(answer):
    """Its verdicts as (kind, object) -> what it says, from lines that are parted by tabs."""
    lines = [line.removeprefix("(backfill) ").split("\t") for line in (answer["out"] + answer["err"]).splitlines()]
    return {(line[0].partition(" ")[0].lower(), line[1]): line[2] for line in lines if len(line) == 3}


def _judged_by_us(verdicts):
    return {(each["kind"], each["object"]): each["message"] for each in verdicts if each["status"] not in {"GAP", "UNCOVERED"}}


@pytest.mark.parametrize("case", ASKED, ids=[case.name for case in ASKED])
def test_aws_says_of_each_tampering_what_is_written_here(case, said_by_aws):
    answer = said_by_aws[case.name]
    said = [line.rpartition("INVALID: ")[2] for line in answer["err"].splitlines() if line]
    assert said == list(case.aws)
    assert answer["code"] == ("INVALID" in answer["err"])


@pytest.mark.parametrize("case", [case for case in ASKED if not case.differs], ids=lambda case: case.name)
def test_trailscan_says_the_same_of_the_same_objects(case, said_by_aws, said_by_trailscan):
    theirs, ours = _judged_by_aws(said_by_aws[case.name]), _judged_by_us(said_by_trailscan[case.name])
    assert theirs.keys() == ours.keys()
    for thing, message in theirs.items():
        said = message.removeprefix("INVALID: ").partition(" in region ")[0]
        assert ours[thing].startswith(said) or (said == "signature verification failed" and "was not kept" in ours[thing])


@pytest.mark.parametrize("case", [case for case in ASKED if case.differs], ids=lambda case: case.name)
def test_where_the_two_differ_it_is_for_the_reason_given(case, said_by_aws, said_by_trailscan):
    theirs = {thing for thing, said in _judged_by_aws(said_by_aws[case.name]).items() if said != "valid"}
    ours = {thing for thing, said in _judged_by_us(said_by_trailscan[case.name]).items() if not said.startswith("valid")}
    if case.reads_more:
        assert theirs > ours
    else:
        assert theirs <= ours
