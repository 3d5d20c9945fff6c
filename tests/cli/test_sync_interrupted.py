"""`trailscan sync` that is killed, stopped or crowded: nothing reported is lost, and the next run ends the work."""

import contextlib
import hashlib
import os
import signal
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Case, killed
from tests.support import world
from tests.support.standin import Rule

OBJECTS = 3_200
TABLES = {
    "objects": "SELECT key, bytes, etag, sha256, records, loaded, status FROM objects ORDER BY ALL",
    "events": "SELECT key, record_index, event_id FROM events JOIN objects USING (object_id) ORDER BY ALL",
}


@pytest.fixture
def large(case: Case) -> Case:
    """A bucket of thousands of small objects, in three pages and more."""
    world.write_bucket(case.folder, OBJECTS, 1, days=1, processes=1)
    return case


def _holds_what_it_says(case: Case) -> None:
    for path, sha256 in case.sql("SELECT path, sha256 FROM objects WHERE status <> 'failed'"):
        assert hashlib.sha256((case.archive / str(path)).read_bytes()).hexdigest() == sha256


def _same_as_one_whole_run(case: Case, tmp_path: Path) -> None:
    whole = Case.__new__(Case)
    whole.__dict__ = case.__dict__ | {"archive": tmp_path / "whole"}
    case.serve()
    assert whole.sync().code == 0
    for name, rows in TABLES.items():
        assert case.sql(rows) == whole.sql(rows), name


def test_a_sync_killed_in_the_middle_loses_nothing_and_the_next_run_ends_as_if_nothing_had_happened(
    large: Case, tmp_path: Path
) -> None:
    large.serve(Rule("T2[0-9]", "stall", -1, seconds=60))
    process = large.start()
    committed = large.wait_for_objects(1)
    killed(process)
    assert committed < OBJECTS
    _holds_what_it_says(large)
    asked = large.query("--count")
    assert asked.code == (3 if "fetched but not loaded" in asked.err else 0)
    with (large.archive / "manifest.jsonl").open("ab") as manifest:
        manifest.write(b'{"source":"s3","key":"AWSLogs/cut')
    left = large.archive / "incoming" / "1-1"
    left.write_bytes(b"half")
    large.serve()
    ended = large.sync()
    assert ended.code == 0, ended.err
    assert not left.exists()
    assert large.sql("SELECT count(*), count(DISTINCT key) FROM objects") == [(OBJECTS, OBJECTS)]
    assert large.fetches <= OBJECTS - committed
    _holds_what_it_says(large)
    _same_as_one_whole_run(large, tmp_path)


def test_objects_fetched_and_not_committed_are_loaded_from_the_archive_and_not_fetched_again(case: Case) -> None:
    for hour in range(5):
        case.log(f"2026-03-01T{hour:02}:15")
    case.serve()
    assert case.sync().code == 0
    for name in ("trailscan.duckdb", "trailscan.duckdb.wal"):
        (case.archive / name).unlink(missing_ok=True)
    case.serve()
    ended = case.sync()
    assert ended.code == 0, ended.err
    assert "5 listed = 5 held already" in ended.err
    assert case.fetches == 0
    assert case.sql("SELECT count(*) FROM events") == [(10,)]


def test_the_object_whose_line_of_the_manifest_was_cut_off_is_fetched_again(case: Case) -> None:
    for hour in range(3):
        case.log(f"2026-03-01T{hour:02}:15")
    case.serve()
    assert case.sync().code == 0
    (case.archive / "trailscan.duckdb").unlink()
    manifest = case.archive / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-20])
    case.serve()
    ended = case.sync()
    assert ended.code == 0, ended.err
    assert "3 listed = 2 held already + 1 fetched" in ended.err
    assert case.sql("SELECT count(*), count(DISTINCT key) FROM objects") == [(3, 3)]
    assert manifest.read_bytes().count(b"\n") == 3


def test_an_object_that_failed_was_then_fetched_and_not_committed_is_failed_no_more(case: Case) -> None:
    key = case.log()
    case.serve(Rule(key, "denied", -1))
    assert case.sync().code == 3
    database = case.archive / "trailscan.duckdb"
    before = database.read_bytes()
    case.serve()
    assert case.sync().code == 0
    database.write_bytes(before)  # as if the process had died before it committed
    assert case.sync().code == 0
    assert case.statuses() == {"ok": 1}
    assert case.damage() == []


def test_ctrl_c_commits_what_there_is_says_how_to_go_on_and_the_next_run_does(large: Case) -> None:
    large.serve(Rule("T2[0-9]", "stall", -1, seconds=1))
    process = large.start()
    large.wait_for_objects(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "stopped: what was fetched is kept; run the same command again to go on" in err
    assert "not reached" in err
    assert "Traceback" not in err
    _holds_what_it_says(large)
    committed = large.sql("SELECT count(*) FROM objects")[0][0]
    assert committed < OBJECTS
    large.serve()
    assert large.sync().code == 0
    assert large.fetches <= OBJECTS - committed
    assert large.sql("SELECT count(*), count(DISTINCT key) FROM objects") == [(OBJECTS, OBJECTS)]
    _holds_what_it_says(large)


def test_a_sync_that_is_killed_leaves_no_process_behind(case: Case) -> None:
    case.serve(Rule(case.log(), "stall", 1, seconds=5))
    process = case.start()
    deadline = time.monotonic() + 20
    while not (case.archive / ".lock").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while (left := _alive_in_group(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.communicate()
    assert not left


def _alive_in_group(group: int) -> list[int]:
    """Processes of a group that are more than an entry which nobody has collected yet."""
    alive = []
    for entry in os.scandir("/proc"):
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                state, _, its_group = Path(entry.path, "stat").read_text().rpartition(")")[2].split()[:3]
                alive += [int(entry.name)] if int(its_group) == group and state != "Z" else []
    return alive


def test_a_second_sync_of_the_same_archive_says_who_holds_it(case: Case) -> None:
    case.log()
    case.serve(Rule("", "stall", 1, seconds=5))
    process = case.start()
    lock = case.archive / ".lock"
    deadline = time.monotonic() + 20
    while not (lock.exists() and lock.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    ended = case.sync()
    assert ended.code == 1
    assert f"is being written by process {process.pid}" in ended.err
    killed(process)
    case.serve()
    assert case.sync().code == 0


def test_queries_are_answered_while_a_sync_loads_and_their_counts_never_go_down(large: Case) -> None:
    large.serve()
    process = large.start()
    large.wait_for_objects(1)
    counts: list[int] = []
    while process.poll() is None or not counts:
        ended = large.query("--count")
        assert ended.code in {0, 3}, ended.err
        counts.append(int(ended.out))
    assert process.wait() == 0
    process.communicate()
    counts.append(int(large.query("--count").out))
    assert counts == sorted(counts)
    assert counts[-1] == OBJECTS
