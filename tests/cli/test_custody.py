"""`custody`, and the lines that each command leaves: what was done is on record, and what touches the record is told."""

import csv
import io
import json
import signal
import time

import pytest

from tests.cli.conftest import Case
from tests.query.conftest import START
from tests.query.running import trailscan
from tests.support.standin import Rule
from tests.support.world import ACCOUNT, REGION, World, object_bytes
from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.store.database import Database, run

WORLD = World(3)


@pytest.fixture
def root(tmp_path):
    """An archive that was loaded and rebuilt."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.json.gz").write_bytes(object_bytes([WORLD.record(START, ACCOUNT, REGION) for _ in range(4)]))
    root = tmp_path / "case"
    assert trailscan("load", folder, "--archive", root, "--jobs", 1).code == 0
    assert trailscan("rebuild", "--archive", root, "--jobs", 1).code == 0
    return root


def entries(root):
    return list(CustodyLog(ArchiveFolder(str(root))).entries())


def test_load_and_rebuild_leave_a_line_each(root, tmp_path):
    load, rebuild = entries(root)
    assert load.command == "load"
    assert load.arguments == {"paths": [str(tmp_path / "logs")], "only": [], "copy": False, "stopped": False}
    assert (load.counts["found"], load.counts["loaded"], load.counts["problems"]) == (1, 4, 0)
    assert (load.manifest.start, load.manifest.end) == (0, (root / "manifest.jsonl").stat().st_size)
    assert (rebuild.command, rebuild.counts["loaded"]) == ("rebuild", 4)
    assert rebuild.manifest.start == rebuild.manifest.end


def test_a_sync_leaves_what_was_asked_for_and_what_came_of_it(case: Case):
    case.log("2026-03-01T09:15")
    case.log("2026-03-01T09:15", account="444455556666")
    case.serve()
    url = case.standin.url.replace("://", "://alice:hunter2@")
    words = ["--account", "111122223333", "--since", "2026-03-01", "--endpoint-url", case.standin.url]
    assert case.sync(*words).code == 0
    (line,) = entries(case.archive)
    assert line.command == "sync"
    assert line.arguments["source"] == f"s3://{case.bucket}/"
    assert (line.arguments["since"], line.arguments["until"]) == ("2026-03-01T00:00:00Z", None)
    assert (line.arguments["account"], line.arguments["region"]) == (["111122223333"], [])
    assert line.arguments["stopped"] is False
    assert (line.counts["fetched"], line.counts["loaded"]) == (1, 2)
    case.sync("--endpoint-url", url)
    text = (case.archive / "custody.jsonl").read_text()
    assert "hunter2" not in text
    assert "AKIA" not in text


def test_a_sync_that_was_stopped_leaves_a_line_that_says_so(case: Case):
    for number in range(400):
        case.log(f"2026-03-01T{number // 60:02}:{number % 60:02}", records=1)
    case.serve(Rule("T0[1-9]", "stall", -1, seconds=1))
    process = case.start()
    manifest = case.archive / "manifest.jsonl"
    while process.poll() is None and not (manifest.exists() and manifest.stat().st_size):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert "stopped" in said
    (line,) = entries(case.archive)
    assert line.arguments["stopped"] is True
    assert 0 < line.counts["fetched"] < 400
    assert CustodyLog(ArchiveFolder(str(case.archive))).check() == []


def test_the_log_as_a_table_is_short_and_says_whether_its_chain_holds(root):
    shown = trailscan("custody", "--archive", root)
    head = CustodyLog(ArchiveFolder(str(root))).head()
    assert shown.code == 0
    assert shown.stderr.splitlines()[-1] == f"2 entries; the chain holds; head {head}"
    first, *lines = shown.stdout.decode().splitlines()
    assert first.split() == ["number", "at", "command", "arguments", "counts", "previous"]
    assert len(lines) == 2
    assert "000000000000" in lines[0]


def test_all_formats_tell_the_same_of_all_fields(root, tmp_path):
    import pyarrow.parquet

    lines = [json.loads(line) for line in trailscan("custody", "--archive", root, "--format", "jsonl").stdout.splitlines()]
    assert json.loads(trailscan("custody", "--archive", root, "--format", "json").stdout) == lines
    rows = list(csv.DictReader(io.StringIO(trailscan("custody", "--archive", root, "--format", "csv").stdout.decode())))
    assert [row["manifest_sha256"] for row in rows] == [line["manifest_sha256"] for line in lines]
    assert [json.loads(row["counts"]) for row in rows] == [line["counts"] for line in lines]
    assert trailscan("custody", "--archive", root, "--format", "parquet", "-o", tmp_path / "x.parquet").code == 0
    assert pyarrow.parquet.read_table(tmp_path / "x.parquet").column("previous").to_pylist() == [
        line["previous"] for line in lines
    ]
    assert [line["arguments"] for line in lines] == [entry.arguments for entry in entries(root)]


def test_a_log_that_was_touched_is_shown_and_exits_4(root):
    log = root / "custody.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"loaded":4', b'"loaded":5', 1))
    shown = trailscan("custody", "--archive", root)
    assert shown.code == 4
    assert "line 2: it does not follow the line before it" in shown.stderr
    assert "the chain does not hold" in shown.stderr


def test_an_enemy_s_log_cannot_steer_the_terminal_or_break_the_table(root):
    line = json.loads((root / "custody.jsonl").read_bytes().splitlines()[0])
    line |= {"command": "\x1b[2J\u202e", "arguments": {"a": "\x1b]0;x\x07", "b": {"c": ["\n"]}, "d": 1e400}}
    lines = [json.dumps(line), "[" * 100_000, '{"x":' * 100_000, json.dumps(line | {"number": 1 << 70}), "\x00"]
    (root / "custody.jsonl").write_text("\n".join(lines), encoding="utf-8")
    for wanted in ("table", "jsonl", "csv", "json", "parquet"):
        shown = trailscan("custody", "--archive", root, "--format", wanted, "-o", root / "out")
        assert shown.code == 4
        assert "\x1b" not in shown.stderr
    shown = trailscan("custody", "--archive", root)
    assert b"\x1b" not in shown.stdout


def test_an_archive_from_before_the_log_has_none(root):
    (root / "custody.jsonl").unlink()
    with Database(str(root / "trailscan.duckdb")).writing() as connection:
        run(connection, "DELETE FROM about WHERE name = 'custody'")
    shown = trailscan("custody", "--archive", root)
    assert shown.code == 0
    assert "0 entries; the chain holds" in shown.stderr
    assert "the manifest gained" in shown.stderr


def test_no_archive_is_an_error(tmp_path):
    assert trailscan("custody", "--archive", tmp_path / "nowhere").code == 1


def test_help_has_examples():
    assert b"Examples:" in trailscan("custody", "--help").stdout
