"""What `query` writes: every format says the same, stdout is data only, files appear whole, originals are original."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys

import pytest
from pyarrow import parquet

from tests.query.conftest import START, archive, files, records  # noqa: F401 - fixtures
from tests.query.running import trailscan
from tests.support.world import ACCOUNT, REGION, World, object_bytes

ASKED = ["--event", "StartSession", "--event", "*Session"]
JSON_COLUMNS = {
    "targets", "user_identity", "request_parameters", "response_elements", "additional_event_data", "resources", "tls_details",
    "service_event_details", "other_fields",
}  # fmt: skip
NUMBERS = {"object_id", "record_index"}
FLAGS = {"read_only", "management_event", "mfa_authenticated"}


def from_csv(written):
    return [
        {name: cell(name, text) for name, text in row.items()}
        for row in csv.DictReader(io.StringIO(written.decode(), newline=""))
    ]


def cell(name, text):
    text = text.removeprefix("'")
    if text == "":
        return None
    if name in JSON_COLUMNS | NUMBERS | FLAGS:
        return json.loads(text)
    return text


def from_parquet(written):
    rows = parquet.read_table(io.BytesIO(written)).to_pylist()
    return [
        {
            name: value and json.loads(value)
            if name in JSON_COLUMNS
            else f"{value:%Y-%m-%dT%H:%M:%SZ}"
            if name == "event_time" and value
            else value
            for name, value in row.items()
        }
        for row in rows
    ]


def without_blanks(rows):
    return [{name: None if value == "" else value for name, value in row.items()} for row in rows]


def test_all_formats_agree_cell_for_cell(archive):  # noqa: F811
    wrote = {name: trailscan("query", "--archive", archive, *ASKED, "-f", name) for name in ("json", "jsonl", "csv", "parquet")}
    assert {ended.code for ended in wrote.values()} == {0}
    assert len({ended.stderr for ended in wrote.values()}) == 1
    rows = json.loads(wrote["json"].stdout)
    assert len(rows) > 40
    assert list(map(json.loads, wrote["jsonl"].stdout.splitlines())) == rows
    assert from_parquet(wrote["parquet"].stdout) == rows
    assert from_csv(wrote["csv"].stdout) == without_blanks(rows)


def test_the_table_has_a_line_for_each_row_and_the_same_cells(archive):  # noqa: F811
    words = ["query", "--archive", archive, *ASKED, "--columns", "event_id,aws_region"]
    table = trailscan(*words).stdout.decode().splitlines()
    rows = [json.loads(line) for line in trailscan(*words, "-f", "jsonl").stdout.splitlines()]
    assert [line.split() for line in table] == [["event_id", "aws_region"], *([r["event_id"], r["aws_region"]] for r in rows)]


@pytest.mark.parametrize("wanted", ["table", "json", "jsonl", "csv", "parquet", "record"])
def test_a_file_holds_what_stdout_would_and_stdout_nothing(wanted, archive, tmp_path):  # noqa: F811
    words = ["query", "--archive", archive, *ASKED, "-f", wanted]
    ended, plain = trailscan(*words, "-o", tmp_path / "out"), trailscan(*words)
    assert (ended.code, ended.stdout) == (0, b"")
    assert (tmp_path / "out").read_bytes() == plain.stdout
    assert os.listdir(tmp_path) == ["out"]


def test_a_file_is_left_as_it_was_when_the_question_is_wrong(archive, tmp_path):  # noqa: F811
    (tmp_path / "out").write_bytes(b"before")
    ended = trailscan("query", "--archive", archive, "--sort", "nosuch", "-f", "json", "-o", tmp_path / "out")
    assert ended.code == 2
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == {"out": b"before"}


def test_a_file_that_cannot_be_written_is_named(archive, tmp_path):  # noqa: F811
    ended = trailscan("query", "--archive", archive, "-f", "json", "-o", tmp_path / "nowhere" / "out")
    assert (ended.code, ended.stdout) == (1, b"")
    assert ended.stderr == f"error: cannot write {tmp_path / 'nowhere' / 'out'}: No such file or directory\n"


def test_a_pipe_is_written_to_and_a_link_followed_never_replaced(archive, tmp_path):  # noqa: F811
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "linked")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    for name in ("pipe", "link"):
        assert trailscan("query", "--archive", archive, "--count", "-o", tmp_path / name).code == 0
    assert os.read(reader, 100) == (tmp_path / "linked").read_bytes()
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()
    os.close(reader)


def test_an_empty_answer_replaces_the_file_of_an_earlier_one(archive, tmp_path):  # noqa: F811
    (tmp_path / "out").write_bytes(b"31 rows of last week")
    trailscan("query", "--archive", archive, "--event", "NoSuchEvent", "-o", tmp_path / "out")
    assert b"last week" not in (tmp_path / "out").read_bytes()


def test_records_are_the_originals_key_for_key(archive, records):  # noqa: F811
    lines = trailscan("query", "--archive", archive, "--all-copies", "-f", "record", "--sort", "event_id").stdout.splitlines()
    assert [json.loads(line, object_pairs_hook=list) for line in lines] == [
        json.loads(json.dumps(record), object_pairs_hook=list) for record in records
    ]


def test_records_straight_from_files_are_those_of_the_archive(archive, files):  # noqa: F811
    words = ["query", *ASKED, "-f", "record", "--sort", "event_id"]
    assert trailscan(*words, files, "--jobs", 1).stdout == trailscan(*words, "--archive", archive).stdout != b""


def test_a_records_own_spelling_is_kept(tmp_path):
    record = (
        rb'{"eventVersion":"1.08","eventTime":"2026-03-01T09:15:00Z","eventSource":"ssm.amazonaws.com",'
        rb'"eventName":"\u0053tart","n":1e400,"big":12345678901234567890123,"x":1,"x":1.50}'
    )
    (tmp_path / "odd.json").write_bytes(b'{"Records": [' + record.replace(b",", b" ,\n ") + b"]}")
    assert trailscan("query", tmp_path / "odd.json", "-f", "record", "--jobs", 1).stdout == record + b"\n"


@pytest.fixture
def own(files, tmp_path):  # noqa: F811
    """A copy of the files that may be spoilt, and an archive of them."""
    shutil.copytree(files, tmp_path / "logs")
    assert trailscan("load", tmp_path / "logs", "--archive", tmp_path / "archive", "--jobs", 1).code == 0
    return tmp_path


def originals_after(own, name, spoil):
    spoil(own / "logs" / name)
    return trailscan("query", "--archive", own / "archive", "-f", "record", "--columns", "event_id")


@pytest.mark.parametrize("name", ["delivered.json.gz", "case.tar", "case.zip"])
def test_a_record_whose_file_is_gone_is_named_and_the_others_are_there(own, records, name):  # noqa: F811
    ended = originals_after(own, name, os.remove)
    lost = {
        "delivered.json.gz": range(0, 180, 7),
        "case.tar": [*range(4, 180, 7), *range(5, 180, 7)],
        "case.zip": range(6, 180, 7),
    }
    assert (ended.code, len(ended.stdout.splitlines())) == (3, 180 - len(lost[name]))
    assert f"missing: cannot read {own / 'logs' / name}" in ended.stderr


def test_a_record_whose_file_was_changed_since_is_not_given_for_another(own):
    other = World(99).start_session(START, ACCOUNT, REGION)
    ended = originals_after(own, "delivered.json.gz", lambda path: path.write_bytes(object_bytes([other] * 30)))
    assert (ended.code, len(ended.stdout.splitlines())) == (3, 154)
    assert other["eventID"].encode() not in ended.stdout
    assert "delivered.json.gz has changed since it was loaded" in ended.stderr


def test_a_reader_that_stops_early_ends_it_quietly(archive):  # noqa: F811
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "trailscan", "query", "--archive", str(archive), "-f", "json", "-q"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        process.stdout.read(1)
        process.stdout.close()
        said = process.stderr.read()
    assert said == b""
    assert process.returncode in {0, 1}
