"""`trailscan detect` as a shell sees it: rules in two languages, formats, what is kept, exit codes, the last words."""

import csv
import io
import json
import shutil
import sys

import pytest
from pyarrow import parquet

from tests.fixtures.invented import ANA, BEN, NODE, call, denied, event_id, iam_user, start, terminate
from tests.query.running import trailscan
from tests.support.deliveries import take_in
from tests.support.world import object_bytes
from tests.test_frame import talkers_in
from trailscan.archive.folder import ArchiveFolder

MALLORY = iam_user("mallory")
HOSTILE = "x\x1b[2J\x07\u202e\n=cmd()"
RECORDS = [
    start("a", "ana-1", at="09:00:00"),
    terminate("b", "ana-1", at="09:20:00"),
    start("c", "ben-2", "mi-0123456789abcdef0", at="10:00:00", who=BEN),
    denied("d", NODE, at="11:00:00", who=MALLORY),
    call("e", "StopLogging", at="12:00:00", who=MALLORY, eventSource="cloudtrail.amazonaws.com"),
]
PATTERN = {
    "Name": "shells",
    "State": "ENABLED",
    "EventPattern": json.dumps({"source": ["aws.ssm"], "detail": {"eventName": ["StartSession", "ResumeSession"]}}),
}
SIGMA = """
title: Trail stopped
id: 5a1b7a52-9d6f-4c39-9d25-5f5d0f6d2a11
level: critical
author: ana
tags: [attack.t1562.008]
logsource: {product: aws, service: cloudtrail}
detection:
  selection: {eventSource: cloudtrail.amazonaws.com, eventName: StopLogging}
  condition: selection
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rules")
    (folder / "shells.json").write_text(json.dumps(PATTERN), encoding="utf-8")
    (folder / "stopped.yml").write_text(SIGMA, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    root = tmp_path_factory.mktemp("case") / "archive"
    take_in(root, "trail", "one.json.gz", object_bytes(RECORDS[:3]))
    take_in(root, "trail", "two.json.gz", object_bytes(RECORDS[3:] + RECORDS[:1]))
    assert trailscan("rebuild", "--archive", root, "--jobs", 1).code == 0
    return root


@pytest.fixture
def archive(loaded, tmp_path):
    shutil.copytree(loaded, tmp_path / "archive")
    return tmp_path / "archive"


@pytest.fixture
def detect(archive, rules):
    return lambda *words: trailscan("detect", "--archive", archive, "--rules", rules, *words)


def found(ended):
    return [(row["title"], row["event_id"]) for row in map(json.loads, ended.stdout.splitlines())]


SHELLS = [("shells", event_id("a")), ("shells", event_id("c")), ("shells", event_id("d"))]
STOPPED = ("Trail stopped", event_id("e"))


def test_the_table_tells_a_person_when_how_grave_what_who_and_where(detect):
    ended = detect()
    lines = ended.stdout.decode().splitlines()
    assert lines[0].split() == ["event_time", "level", "title", "who", "source_ip_address", "target", "event_name", "note"]
    assert lines[4].split()[:6] == ["2026-03-01", "12:00:00", "critical", "Trail", "stopped", "mallory"]
    assert (ended.code, len(lines)) == (0, 5)
    assert ended.stderr.splitlines() == [
        "4 findings of 2 rules (of 2 run) in 2 of 2 objects; all of them new",
        "4 findings kept in the table `findings`: --new passes over them",
    ]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], [*SHELLS, STOPPED]),
        (["--level", "critical"], [STOPPED]),
        (["--rule", "SHELLS"], SHELLS),
        (["--rule", "5a1b7a52-*"], [STOPPED]),
        (["--since", "2026-03-01T10:00:00", "--until", "2026-03-01T11:00:00"], [SHELLS[1]]),
        (["--sort", "-level", "--limit", "1"], [STOPPED]),
        (["--since", "2027-01-01"], []),
    ],
)
def test_rules_and_findings_are_chosen(detect, words, wanted):
    ended = detect("-f", "jsonl", *words)
    assert (ended.code, found(ended)) == (0, wanted)


def test_all_formats_agree(detect, tmp_path):
    rows = json.loads(detect("-f", "json").stdout)
    assert list(map(json.loads, detect("-f", "jsonl").stdout.splitlines())) == rows
    written = list(csv.DictReader(io.StringIO(detect("-f", "csv").stdout.decode())))
    assert written == [{name: "" if cell is None else str(cell) for name, cell in row.items()} for row in rows]
    detect("-f", "parquet", "-o", tmp_path / "found.parquet")
    columns = parquet.read_table(tmp_path / "found.parquet").to_pylist()
    assert [row["finding_id"] for row in columns] == [row["finding_id"] for row in rows]
    assert list(rows[0]) == [
        "rule_id", "title", "level", "author", "tags", "language", "note", "event_time", "event_name", "who",
        "source_ip_address", "target", "session_id", "result", "recipient_account_id", "aws_region", "event_id",
        "finding_id", "bucket", "key", "path", "member", "record_index", "sha256",
    ]  # fmt: skip


def test_the_original_records_can_be_had(detect):
    ended = detect("-f", "record", "--sort", "-event_time")
    assert [json.loads(line) for line in ended.stdout.splitlines()] == [RECORDS[4], RECORDS[3], RECORDS[2], RECORDS[0]]


def test_findings_are_counted(detect):
    assert detect("--count").stdout == b"4\n"
    ended = detect("--by", "title", "-f", "jsonl")
    assert [(row["title"], row["findings"]) for row in map(json.loads, ended.stdout.splitlines())] == [
        ("shells", 3),
        ("Trail stopped", 1),
    ]


def test_any_column_of_the_event_can_be_shown(detect):
    ended = detect("--columns", "title,user_agent,is_new", "-f", "jsonl", "--limit", "1")
    assert list(json.loads(ended.stdout)) == ["title", "user_agent", "is_new"]
    assert detect("--columns", "titel").code == 2


def test_what_was_shown_is_not_new_the_next_time_and_nothing_else(detect):
    for words in (["--count"], ["--by", "who"], ["--list"], ["-f", "jsonl", "--limit", "0"]):
        assert "kept" not in detect(*words).stderr
    assert found(detect("--new", "-f", "jsonl", "--limit", "1")) == SHELLS[:1]
    ended = detect("-f", "jsonl", "--rule", "shells")
    assert found(ended) == SHELLS
    assert "3 findings of 1 rule (of 1 run) in 2 of 2 objects; 2 of them new" in ended.stderr
    assert found(detect("--new", "-f", "jsonl")) == [STOPPED]
    ended = detect("--new")
    assert (ended.code, ended.stdout) == (0, b"")
    assert "0 new findings of 0 rules (of 2 run) in 0 of 2 objects; 4 reported before" in ended.stderr
    assert "without --new it is shown again" in ended.stderr


def test_what_could_not_be_shown_is_new_still(detect, tmp_path):
    assert detect("-f", "csv", "-o", tmp_path / "no" / "such" / "folder").code == 1
    assert len(found(detect("--new", "-f", "jsonl"))) == 4


def test_new_findings_stay_reported_in_a_database_made_anew(detect, archive):
    detect()
    assert trailscan("rebuild", "--archive", archive, "--jobs", 1).code == 0
    assert detect("--new", "--count").stdout == b"0\n"


def test_an_archive_that_another_writes_gets_its_answer_all_the_same(detect, archive):
    with ArchiveFolder(str(archive)).lock():
        ended = detect("-f", "jsonl")
    assert (ended.code, len(found(ended))) == (0, 4)
    assert "the findings were not kept, so --new will show them again" in ended.stderr
    assert detect("--new", "--count").stdout == b"4\n"


def test_an_archive_that_cannot_be_written_gets_its_answer_all_the_same(detect, archive):
    (archive / ".lock").unlink()
    (archive / ".lock").mkdir()
    ended = detect()
    assert (ended.code, "cannot write" in ended.stderr and "Is a directory" in ended.stderr) == (0, True)


@pytest.mark.parametrize(("words", "code"), [(["high"], 4), (["critical"], 4), (["critical", "--rule", "shells"], 0)])
def test_fail_on_sets_the_exit_code_for_scripts(detect, words, code):
    assert detect("--quiet", "--fail-on", *words).code == code


def test_fail_on_is_about_what_is_reported(detect):
    detect()
    assert detect("--fail-on", "informational", "--new").code == 0


def test_no_finding_is_explained(detect, archive, rules):
    ended = detect("--since", "2027-01-01")
    assert "the events held lie between 2026-03-01 09:00:00Z and 2026-03-01 12:00:00Z" in ended.stderr
    (archive / "pattern.json").write_text('{"source": ["aws.nothing"]}', encoding="utf-8")
    ended = trailscan("detect", "--archive", archive, "--rules", archive / "pattern.json")
    assert "no event matches any of these rules; the events held lie between" in ended.stderr


def test_rules_that_cannot_run_are_named_and_the_others_run(archive, rules, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for number in range(25):
        (broken / f"{number:02}-{HOSTILE if number == 1 else ''}.json").write_bytes(b"{")
    ended = trailscan("detect", "--archive", archive, "--rules", broken, "--rules", rules)
    assert (ended.code, len(ended.stdout.splitlines())) == (3, 5)
    said = ended.stderr.splitlines()
    assert said[0] == "25 rules or rule files cannot run:"
    assert said[1].startswith(f"  {broken}/00-.json")
    assert said[21] == "  and 5 more (`trailscan detect --list` shows all)"
    assert {"\x1b", "\x07", "\u202e"} & set(ended.stderr) == set()


def test_no_rule_that_can_run_is_wrong_usage(archive, tmp_path):
    (tmp_path / "broken.yml").write_bytes(b"title: x")
    ended = trailscan("detect", "--archive", archive, "--rules", tmp_path / "broken.yml")
    assert (ended.code, "there is no rule that can run" in ended.stderr) == (2, True)
    assert trailscan("detect", "--archive", archive, "--rules", tmp_path / "nowhere").code == 2


@pytest.mark.parametrize("words", [["--rule", "nonsense"], ["--level", "critical", "--rule", "shells"], ["--level", "dire"]])
def test_a_choice_that_leaves_no_rule_is_wrong_usage(detect, words):
    assert detect(*words).code == 2


def test_the_rules_can_be_listed_without_an_archive(rules, tmp_path):
    (tmp_path / "no.json").write_bytes(b"[]")
    (tmp_path / ".hidden.yml").write_bytes(b"")
    ended = trailscan("detect", "--rules", rules, "--rules", tmp_path, "--list", "-f", "jsonl", "--archive", "/nowhere")
    rows = list(map(json.loads, ended.stdout.splitlines()))
    assert [(row["title"], row["level"], row["language"]) for row in rows] == [
        ("shells", "medium", "event-pattern"),
        ("Trail stopped", "critical", "sigma"),
        (None, None, None),
    ]
    assert (ended.code, rows[2]["path"], bool(rows[2]["reason"])) == (3, f"{tmp_path}/no.json", True)
    assert ended.stderr == "2 rules; 1 cannot run; files passed over: 1 hidden\n"
    assert trailscan("detect", "--rules", rules, "--list", "-f", "record").code == 2


def test_the_rules_of_the_project_run_where_none_are_named(archive):
    ended = trailscan("detect", "--archive", archive, "-f", "jsonl")
    assert ended.code == 0, ended.stderr
    assert {event for _, event in found(ended)} >= {event_id(label) for label in "acde"}
    assert "cannot run" not in ended.stderr


def test_running_rules_imports_nothing_that_can_talk(archive, rules):
    assert talkers_in("detect", "--archive", archive, "--rules", "builtin", "--rules", rules) == []


def test_damage_sets_the_exit_code(archive, rules):
    take_in(archive, "trail", "cut.json.gz", object_bytes(RECORDS)[:-60])
    trailscan("rebuild", "--archive", archive, "--jobs", 1)
    ended = trailscan("detect", "--archive", archive, "--rules", rules)
    assert (ended.code, "; 1 object damaged (trailscan status)" in ended.stderr) == (3, True)


def test_nothing_that_steers_a_terminal_is_printed_and_nothing_runs_in_a_spreadsheet(archive, tmp_path):
    rule = {"Name": HOSTILE, "EventPattern": json.dumps({"detail": {"eventName": ["StartSession"]}})}
    (tmp_path / "hostile.json").write_text(json.dumps(rule), encoding="utf-8")
    (tmp_path / "surrogate.json").write_bytes(json.dumps(rule | {"Name": "=\ud800"}).encode())
    who = {**ANA, "userName": HOSTILE, "arn": HOSTILE}
    record = start("s", f"{HOSTILE}-1", HOSTILE, who=who, sourceIPAddress=HOSTILE, userAgent=HOSTILE)
    take_in(archive, "trail", "hostile.json.gz", object_bytes([record]))
    trailscan("rebuild", "--archive", archive, "--jobs", 1)
    for words in ([], ["--by", "title"], ["--list"], ["--rule", HOSTILE + "x"], ["-f", "json"]):
        ended = trailscan("detect", "--archive", archive, "--rules", tmp_path, *words)
        steering = {"\x1b", "\x07"} if "json" in words else {"\x1b", "\x07", "\u202e"}
        assert steering & set(ended.stdout.decode() + ended.stderr) == set()
    cells = trailscan("detect", "--archive", archive, "--rules", tmp_path, "-f", "csv", "--columns", "title")
    assert "'=\\ud800" in cells.stdout.decode()


def test_what_is_new_is_told_to_whom_was_named_once(detect, tmp_path):
    script = tmp_path / "take.py"
    script.write_text("import sys; print(sys.stdin.read(), file=open(sys.argv[1], 'a'))", encoding="utf-8")
    notify = ["--notify", f"exec:{sys.executable} {script} {tmp_path / 'told'}"]
    for _ in range(2):
        ended = detect(*notify)
        assert ended.code == 0, ended.stderr
    told = [json.loads(line) for line in (tmp_path / "told").read_text(encoding="utf-8").splitlines() if line]
    assert sorted(each["id"] for each in told) == sorted(event for _, event in [*SHELLS, STOPPED])


def test_who_could_not_be_told_is_told_the_next_time(detect, tmp_path):
    script = tmp_path / "take.py"
    script.write_text("raise SystemExit(1)", encoding="utf-8")
    notify = ["--rule", "Trail stopped", "--notify", f"exec:{sys.executable} {script} {tmp_path / 'told'}"]
    ended = detect(*notify)
    assert (ended.code, "could not tell exec" in ended.stderr) == (1, True)
    script.write_text("import sys; open(sys.argv[1], 'w').write(sys.stdin.read())", encoding="utf-8")
    assert detect(*notify).code == 0
    assert json.loads((tmp_path / "told").read_text(encoding="utf-8"))["id"] == STOPPED[1]


def test_a_wrong_url_is_found_before_anything_is_kept(detect):
    assert detect("--notify", "nonsense").code == 2
    assert detect("--count", "--notify", "stdout:").code == 2
    assert detect("--new", "--count").stdout == b"4\n"


def test_a_missing_archive_is_an_error(tmp_path):
    ended = trailscan("detect", "--archive", tmp_path / "nowhere", "--quiet")
    assert (ended.code, ended.stdout) == (1, b"")
