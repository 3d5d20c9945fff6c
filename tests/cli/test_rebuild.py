"""`rebuild`: from any state of the database to a good one, in one step, or the old one stays; findings are saved."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys

import duckdb
import pytest

from tests.query.conftest import START
from tests.query.running import trailscan
from tests.support.deliveries import take_in
from tests.support.world import ACCOUNT, REGION, World, object_bytes
from trailscan.errors import ArchiveError
from trailscan.store.database import Database, run
from trailscan.store.salvage import salvage
from trailscan.store.swapping import swap_in

FINDINGS = 5_000  # more than DuckDB reads at a time

# Opens a database, does what it is told, and dies as a killed process does: its log stays.
KILLED = """
import duckdb, os, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("SET checkpoint_threshold = '1GB'")
connection.execute(sys.argv[2])
os._exit(1)
"""
ADD = """INSERT INTO findings (finding_id, rule_id, title, level, language, found_at)
         SELECT 'late' || range, 'r', 't', 'high', 'sigma', TIMESTAMP '2026-03-02' FROM range(3)"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An archive of eight events with some thousand findings, of which notices are owed."""
    root, world = tmp_path_factory.mktemp("made") / "case", World(5)
    for number in range(2):
        take_in(root, "trail", f"{number}.json.gz", object_bytes([world.record(START, ACCOUNT, REGION) for _ in range(4)]))
    assert trailscan("rebuild", "--archive", root, "--jobs", 1).code == 0
    with Database(str(root / "trailscan.duckdb")).writing() as connection:
        run(
            connection,
            f"""INSERT INTO findings (finding_id, rule_id, title, level, language, found_at)
            SELECT 'f' || range, 'r', md5(range::VARCHAR), 'high', 'sigma', TIMESTAMP '2026-03-02' FROM range({FINDINGS})""",
        )
        run(connection, "INSERT INTO notices SELECT finding_id, 'mail', NULL, 0, NULL FROM findings")
        run(connection, "INSERT INTO about VALUES ('notifier:mail', '2026-03-01T00:00:00')")
    return root


@pytest.fixture
def root(made, tmp_path):
    shutil.copytree(made, tmp_path / "case")
    return tmp_path / "case"


def rebuild(root):
    return trailscan("rebuild", "--archive", root, "--jobs", 1)


def answers(root):
    """What a question finds, and which files of the database's there are."""
    asked = trailscan("query", "--archive", root, "--count")
    return asked.code, asked.stdout.strip(), sorted(name for name in os.listdir(root) if name.startswith("trailscan.duckdb"))


def count(root, table):
    with Database(str(root / "trailscan.duckdb")).reading() as connection:
        return run(connection, f"SELECT count(*) FROM {table}")[0][0]


GOOD = (0, b"8", ["trailscan.duckdb"])


def test_the_log_of_a_killed_writer_is_never_left_beside_the_new_database(root):
    subprocess.run([sys.executable, "-c", KILLED, root / "trailscan.duckdb", ADD], check=False)
    assert (root / "trailscan.duckdb.wal").stat().st_size
    ended = rebuild(root)
    assert (ended.code, answers(root)) == (0, GOOD), ended.stderr
    assert count(root, "findings") == FINDINGS + 3  # what the log held was saved too
    assert rebuild(root).code == 0


def test_a_log_without_its_database_is_not_replayed_into_the_new_one(root):
    subprocess.run([sys.executable, "-c", KILLED, root / "trailscan.duckdb", "DELETE FROM about"], check=False)
    (root / "trailscan.duckdb").unlink()
    ended = rebuild(root)
    assert (ended.code, answers(root)) == (0, GOOD), ended.stderr
    assert trailscan("load", root / "objects", "--archive", root, "--jobs", 1).code == 0


def test_create_does_not_replay_a_log_that_was_left(tmp_path):
    path = str(tmp_path / "trailscan.duckdb")
    Database(path).create()
    subprocess.run([sys.executable, "-c", KILLED, path, "DELETE FROM about"], check=False)
    os.remove(path)
    assert os.listdir(tmp_path) == ["trailscan.duckdb.wal"]
    Database(path).create()
    assert os.listdir(tmp_path) == ["trailscan.duckdb"]
    with Database(path).writing() as connection:
        assert run(connection, "SELECT count(*) FROM about WHERE name = 'schema_version'") == [(1,)]


def test_a_log_that_is_rubbish_costs_only_what_it_held(root):
    (root / "trailscan.duckdb.wal").write_bytes(b"rubbish" * 999)
    ended = rebuild(root)
    assert (ended.code, answers(root)) == (0, GOOD), ended.stderr
    assert count(root, "findings") == FINDINGS


def foreign(path):
    path.unlink()
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE findings AS SELECT 1 AS one; CREATE TABLE notices (finding_id VARCHAR)")
        other.execute("CREATE VIEW about AS SELECT 'notifier:x' AS name, NULL AS value")


def of_sqlite(path):
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE findings (finding_id TEXT)")
    other.close()


def a_folder(path):
    path.unlink()
    path.mkdir()
    (path / "kept").write_bytes(b"x")


def a_dead_link(path):
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def cut_to(part):
    return lambda path: os.truncate(path, int(path.stat().st_size * part))


def spoilt_at(first, number=64):
    def spoil(path):
        with path.open("r+b") as file:
            file.seek(first)
            file.write(b"\xa5" * number)

    return spoil


SPOILT = {
    "empty": lambda path: path.write_bytes(b""),
    "a byte": lambda path: path.write_bytes(b"x"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "text": lambda path: path.write_bytes(b"not a database\n" * 999),
    "another's": foreign,
    "SQLite's": of_sqlite,
    "a folder": a_folder,
    "a dead link": a_dead_link,
    "its head": spoilt_at(0, 4096),
    "its first header": spoilt_at(4096),
    "its second header": spoilt_at(8192),
    "both headers": spoilt_at(4096, 8192),
    "its first block": spoilt_at(12288 + 100),
    **{f"cut to {part}": cut_to(part) for part in (0.02, 0.3, 0.6, 0.9)},
}


@pytest.mark.parametrize("how", SPOILT)
def test_rebuild_always_can(root, how):
    SPOILT[how](root / "trailscan.duckdb")
    ended = rebuild(root)
    assert "fault of trailscan" not in ended.stderr
    assert ended.code == 0, ended.stderr
    code, found, files = answers(root)
    assert (code, found) == GOOD[:2]
    assert files == (["trailscan.duckdb", "trailscan.duckdb.aside-1"] if how == "a folder" else ["trailscan.duckdb"])
    assert count(root, "findings") == FINDINGS or "were not taken over" in ended.stderr
    assert count(root, "notices") in {0, FINDINGS} or "were not taken over" in ended.stderr


def test_findings_are_saved_portion_by_portion(tmp_path):
    """One block after the other is spoilt, until one is that holds a part of the findings."""
    database, rows = Database(str(tmp_path / "trailscan.duckdb")), 50_000
    database.create()
    with database.writing() as connection:
        run(connection, f"""INSERT INTO findings (finding_id, rule_id, title, level, language, found_at)
            SELECT md5(range::VARCHAR), 'r', 't', 'high', 'sigma', TIMESTAMP '2026-03-02' FROM range({rows})""")  # fmt: skip
    path = tmp_path / "trailscan.duckdb"
    good = path.read_bytes()
    for block in range(1, (len(good) - 12_288) // 262_144):
        path.write_bytes(good)
        spoilt_at(12_288 + block * 262_144 + 20_000)(path)
        found = salvage(database)
        if 0 < found.findings < rows:
            break
    assert 0 < found.findings < rows
    assert re.match(r"findings: \d of 25 portions: Corrupt", found.lost[0])


def test_a_database_that_another_process_writes_is_not_replaced(root, monkeypatch):
    monkeypatch.setattr(Database.__init__, "__defaults__", (0.2,))  # seconds of patience
    path, before = root / "trailscan.duckdb", (root / "trailscan.duckdb").read_bytes()
    holds = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('in', flush=True); sys.stdin.readline()"
    command = [sys.executable, "-c", holds, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "in\n"
        ended = rebuild(root)
        assert (ended.code, f"held by process {other.pid} (" in ended.stderr) == (1, True), ended.stderr
        other.communicate("\n")
    assert path.read_bytes() == before
    assert answers(root) == GOOD


def test_what_is_not_whole_is_not_swapped_in(tmp_path):
    old, fresh = Database(str(tmp_path / "old.duckdb")), Database(str(tmp_path / "fresh.duckdb"))
    old.create()
    fresh.create()
    before = (tmp_path / "old.duckdb").read_bytes()
    with pytest.raises(ArchiveError, match="not whole: 0 rows in objects, not 7"):
        swap_in(fresh, old, {"objects": 7})
    (tmp_path / "fresh.duckdb.wal").write_bytes(b"")
    with pytest.raises(ArchiveError, match=r"not whole: fresh.duckdb.wal is left"):
        swap_in(fresh, old, {"objects": 0})
    assert (tmp_path / "old.duckdb").read_bytes() == before
