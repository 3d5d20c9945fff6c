"""What people hand over, through the command line: read, or named; every file is accounted for."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.query.running import trailscan
from tests.records.shapes_of_records import minified, native, record

ENVELOPE = {"version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.ssm", "account": "111122223333"}
FOREIGN = minified({"detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2", "detail": {"state": "on"}})


def one(number, **more):
    return record(number, eventID=f"e-{number}", awsRegion="eu-west-1", recipientAccountId="111122223333", **more)


def rows(*words):
    return json.loads(trailscan(*words, "--format", "json").stdout)


def numbers(line):
    """`objects: 3 found = 2 searched + 1 not CloudTrail; passed over: 2 that hold no records = 2 *.txt` as sums and parts."""
    sums = re.findall(r"([\d,]+) (?:found|read|that hold no records) = ([^;]*)", line)
    return [
        (int(total.replace(",", "")), sum(int(part.split()[0].replace(",", "")) for part in parts.split(" + ")))
        for total, parts in sums
    ]


def test_an_envelope_says_what_its_record_does_not(tmp_path):
    bare = {name: value for name, value in one(1).items() if name not in ("recipientAccountId", "awsRegion")}
    (tmp_path / "a.json").write_bytes(
        minified(ENVELOPE | {"region": "eu-west-1", "time": "2026-03-01T09:00:01Z", "detail": bare})
    )
    archive = tmp_path / "archive"
    assert trailscan("load", tmp_path / "a.json", "--archive", archive).code == 0
    for words in (["query", tmp_path / "a.json"], ["query", "--archive", archive]):
        asked = [*words, "--account", "111122223333", "--region", "eu-west-1"]
        assert trailscan(*asked, "--count").stdout == b"1\n"
        assert json.loads(trailscan(*asked, "--format", "record").stdout) == bare
        assert rows(*asked)[0]["flags"] == "envelope-account,envelope-region"


def test_two_events_of_one_id_are_no_copies(tmp_path):
    (tmp_path / "a.json").write_bytes(native([one(1), one(2) | {"eventID": "e-1"}, one(1)]))
    ended = trailscan("load", tmp_path / "a.json", "--archive", tmp_path / "archive")
    assert "records: 3 read = 2 loaded + 1 copies of events held already" in ended.stderr
    for words in (["query", tmp_path / "a.json"], ["query", "--archive", tmp_path / "archive"]):
        assert trailscan(*words, "--count").stdout == b"2\n"


def test_an_event_in_another_order_of_keys_is_a_copy(tmp_path):
    (tmp_path / "a.json").write_bytes(native([one(1)]))
    (tmp_path / "b.json").write_bytes(native([dict(reversed(one(1).items()))]))
    archive = tmp_path / "archive"
    trailscan("load", tmp_path / "a.json", "--archive", archive)
    assert "1 copies" in trailscan("load", tmp_path / "b.json", "--archive", archive).stderr
    assert trailscan("query", "--archive", archive, "--count").stdout == b"1\n"


def test_a_foreign_file_is_no_damage_and_can_be_dismissed_for_good(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_bytes(native([one(1)]))
    (tmp_path / "in" / "b.json").write_bytes(FOREIGN)
    (tmp_path / "in" / "c.json").write_bytes(native([one(2)])[:-30])
    archive = ("--archive", tmp_path / "archive")
    ended = trailscan("load", tmp_path / "in", *archive)
    assert ended.code == 3
    assert "objects: 3 found = 2 loaded + 1 not CloudTrail" in ended.stderr
    assert "1 object with what is not CloudTrail" in ended.stderr
    assert '"EC2 Instance State-change Notification"' in ended.stderr
    assert "1 object not CloudTrail" in trailscan("query", *archive).stderr
    listed = rows("status", "--damage", *archive)
    assert sorted(each["what"] for each in listed) == ["not-cloudtrail", "truncated"]

    for each in listed:
        assert trailscan("query", *archive).code == 3
        assert trailscan("status", "--dismiss", each["id"], *archive).code == 2
        trailscan("status", "--dismiss", each["id"], "--reason", f"seen: {each['what']}", *archive)
    for _ in range(2):
        assert trailscan("query", *archive).code == 0
        assert trailscan("status", *archive).code == 0
        assert sorted(each["dismissed"] for each in rows("status", "--damage", *archive)) == [
            "seen: not-cloudtrail",
            "seen: truncated",
        ]
        trailscan("rebuild", *archive)
    assert "status --dismiss" in trailscan("custody", *archive).stdout.decode()
    assert trailscan("custody", *archive).code == 0

    (tmp_path / "in" / "d.json").write_bytes(FOREIGN)
    assert trailscan("load", tmp_path / "in", *archive).code == 3
    assert trailscan("query", *archive).code == 3


def test_nothing_is_dismissed_by_an_unknown_id(tmp_path):
    (tmp_path / "a.json").write_bytes(native([one(1)]))
    trailscan("load", tmp_path / "a.json", "--archive", tmp_path / "archive")
    assert trailscan("status", "--dismiss", "abc", "--reason", "x", "--archive", tmp_path / "archive").code == 2


def test_the_console_s_table_is_flagged(tmp_path):
    header = "User name,AWS access key,Event time,Event source,Event name,AWS region,Event ID,Recipient Account Id"
    row = "ana,AKIAEXAMPLE000000009,2026-03-02T10:01:00Z,ssm.amazonaws.com,StartSession,eu-west-1,e-9,111122223333"
    (tmp_path / "h.csv").write_text(f"{header}\n{row}\n")
    (found,) = rows("query", tmp_path / "h.csv")
    assert (found["flags"], found["user_name"], found["event_id"]) == ("summary-only", "ana", "e-9")
    assert "the JSON download has more" in trailscan("query", tmp_path / "h.csv").stderr


KINDS = {
    "a.json": native([one(1)]), "b.json.gz.1a2B3c4D": native([one(2)]), "firehose-1-2026": minified(one(3)), "c.txt": b"words",
    "d.png": b"\x89PNG", "e.json": FOREIGN, "f.jsonl": FOREIGN + b"\n" + minified(one(4)), "g": b"", "h.json": b"[1,",
}  # fmt: skip


@settings(max_examples=6, deadline=None)
@given(st.sets(st.sampled_from(sorted(KINDS)), min_size=1), st.integers(0, 40))
def test_every_file_of_a_folder_is_accounted_for(tmp_path_factory, names, more):
    folder = tmp_path_factory.mktemp("in")
    for name in names:
        (folder / name).write_bytes(KINDS[name])
    for number in range(more):
        (folder / f"x.q{number}").write_bytes(b"words")
    asked = trailscan("query", folder, "--count")
    loaded = trailscan("load", folder, "--archive", tmp_path_factory.mktemp("archive") / "a")
    lines = [
        line for said in (asked.stderr, loaded.stderr) for line in said.splitlines() if re.match(r"(objects|records): ", line)
    ]
    assert all(total == parts for line in lines for total, parts in numbers(line)), lines
    (line,) = [line for line in loaded.stderr.splitlines() if line.startswith("objects: ")]
    assert sum(total for total, _ in numbers(line)) == len(names) + more
    passed = more + len(names & {"c.txt", "d.png", "g"})
    if passed:
        assert f"passed over: {passed} that hold no records" in asked.stderr
        assert f"passed over: {passed} that hold no records" in loaded.stderr
    assert int(asked.stdout) == len(names & {"a.json", "b.json.gz.1a2B3c4D", "firehose-1-2026", "f.jsonl"})
    assert asked.code == loaded.code == (3 if names & {"e.json", "f.jsonl", "h.json"} else 0)


@pytest.mark.parametrize("only", [(), ("--only", "StartSession")])
def test_foreign_elements_among_records_have_their_place_in_the_equation(tmp_path, only):
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([FOREIGN, minified(one(1)), FOREIGN]))
    ended = trailscan("load", tmp_path / "a.jsonl", "--archive", tmp_path / "archive", *only)
    assert "records: 3 read = 1 loaded + 2 not CloudTrail" in ended.stderr
    assert ended.code == 3
