"""`trailscan sync` asked for what cannot be: a message that says so, the right exit code, no trace left behind."""

import os
import socket
import time
from pathlib import Path

import pytest

from tests.cli.conftest import ACCESS_KEY, SECRET, TOKEN, Case, Ended, run
from tests.support.standin import Rule


def _without_traceback(ended: Ended, code: int) -> str:
    assert ended.code == code, ended.err
    assert "Traceback" not in ended.err
    assert "fault of trailscan" not in ended.err
    return ended.err


@pytest.mark.parametrize("source", ["my-bucket", "s3:///prefix"])
def test_a_source_that_is_no_bucket_is_wrong_usage(source: str, tmp_path: Path) -> None:
    err = _without_traceback(run("sync", source, "--archive", str(tmp_path / "a")), 2)
    assert "write s3://bucket" in err
    assert not (tmp_path / "a").exists()


def test_a_bucket_that_is_not_there_and_one_that_holds_nothing_of_cloudtrails(case: Case) -> None:
    case.put("holiday/photo.jpg", b"")
    case.serve()
    access = ["--endpoint-url", case.standin.url, "--archive", str(case.archive)]
    assert "there is no such bucket" in _without_traceback(run("sync", "s3://not-there", *access), 1)
    assert not case.archive.exists()
    assert "no CloudTrail object was found below" in _without_traceback(case.sync(), 1)


def test_a_profile_that_is_not_there_is_wrong_usage(case: Case) -> None:
    err = _without_traceback(case.sync("--profile", "nobody"), 2)
    assert "nobody" in err
    assert not case.archive.exists()


def test_no_credentials_at_all_are_named_and_a_public_bucket_needs_none(case: Case) -> None:
    case.log()
    case.serve()
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": ""}
    assert "credentials" in _without_traceback(case.sync(**nobody), 1)
    assert case.sync("--no-sign-request", **nobody).code == 0


def test_an_endpoint_that_does_not_answer_is_told_within_seconds(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = time.monotonic()
    ended = run("sync", "s3://trail", "--endpoint-url", f"http://127.0.0.1:{port}", "--archive", str(tmp_path / "a"))
    assert "cannot be reached" in _without_traceback(ended, 1)
    assert time.monotonic() - started < 30
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_credentials_never_appear_in_any_output_nor_in_the_archive(case: Case, debug: tuple[str, ...]) -> None:
    keys = [case.log(f"2026-03-01T{hour:02}:15") for hour in range(3)]
    case.serve(Rule(keys[0], "denied", -1), Rule(keys[1], "expired", -1))
    outputs = [case.sync(*debug)]
    case.serve(Rule("", "expired", -1, operation="ListObjects"))
    outputs.append(case.sync(*debug))
    case.serve(Rule("", "expired", -1, operation="HeadBucket"))
    outputs.append(case.sync(*debug))
    told = "".join(ended.out + ended.err for ended in outputs).encode()
    told += b"".join(path.read_bytes() for path in case.archive.rglob("*") if path.is_file())
    for secret in (SECRET, TOKEN, ACCESS_KEY):
        assert secret.encode() not in told


def test_a_file_of_keys_that_cannot_be_read_is_wrong_usage(case: Case) -> None:
    assert "cannot read" in _without_traceback(case.sync("--keys", str(case.archive / "none")), 2)


def test_an_empty_file_of_keys_fetches_nothing(case: Case) -> None:
    case.log()
    case.serve()
    case.sync("--keys", os.devnull)
    assert case.fetches == 0


def test_a_url_of_another_bucket_in_the_file_of_keys_is_wrong_usage(case: Case) -> None:
    key = case.log()
    case.serve()
    assert case.sync("--keys", "-", typed=f"s3://other-bucket/{key}\n").code == 2


def test_a_key_named_twice_is_one_object(case: Case) -> None:
    key = case.log()
    case.serve()
    case.sync("--keys", "-", typed=f"{key}\n{key}\n")
    assert case.sql("SELECT count(*) FROM objects") == [(1,)]


def test_a_file_of_keys_that_is_not_text_is_wrong_usage(case: Case, tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"\xff\xfe\n")
    case.serve()
    _without_traceback(case.sync("--keys", str(tmp_path / "keys")), 2)


def test_a_digest_of_the_year_1_ends_no_sync(case: Case) -> None:
    folder = "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/0001/01/01"
    case.put(f"{folder}/111122223333_CloudTrail-Digest_eu-west-1_trail_eu-west-1_00010101T000000Z.json.gz", b"")
    case.serve()
    _without_traceback(case.sync(), 3)


def test_the_archive_is_not_said_to_hold_what_was_out_of_range(case: Case) -> None:
    case.log("2026-03-10T09:15")
    case.serve()
    ended = case.sync("--until", "2026-03-01")
    assert "1 listed = 1 out of range" in ended.err
    assert "the archive holds" not in ended.err


@pytest.mark.parametrize(
    "first",
    [
        "--no-load",
        "--only=Nothing",
    ],
)
def test_a_changed_object_stays_named_when_it_is_loaded_later(case: Case, first: str) -> None:
    key = case.log()
    case.serve()
    assert case.sync().code == 0
    case.put(key, (case.folder / case.log("2026-03-02T09:15")).read_bytes())
    case.serve()
    case.sync(first)
    case.sync()
    assert ("changed", key) in case.damage()
