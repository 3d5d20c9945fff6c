"""Archives on media that cannot be written, or belong to another user: what asks works, what writes says why it cannot."""

import os
import re
import shutil
import subprocess
import sys

import duckdb
import pytest

from tests.cli.conftest import ENVIRONMENT, TOP, Ended
from tests.query.running import trailscan
from tests.support.deliveries import Deliveries

READING = [["query", "--count"], ["sessions", "--count"], ["status"], ["coverage"], ["custody"], ["detect", "--count"]]
WRITING = [["load"], ["load", "{logs}"], ["rebuild"]]


@pytest.fixture
def archive(tmp_path):
    """An archive with a log and the digest that names it, and a folder of logs to load."""
    trail = Deliveries(tmp_path / "case")
    trail.digest("2026-03-01T10:00", [trail.log("2026-03-01T09:15")])
    Deliveries(tmp_path / "logs").log("2026-03-02T09:15")
    assert trailscan("rebuild", "--archive", trail.root, "--jobs", 1).code == 0
    return trail.root


def in_shell(script):
    """A shell script in a private mount namespace."""
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        cwd=TOP,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def read_only():
    """Runs a command on an archive that is mounted read-only, at the same place."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or in_shell("mount --bind /tmp /tmp").code:
        pytest.skip("needs the right to mount, in a namespace of its own")

    def run(root, *words):
        mount = f"mount --bind {root} {root} && mount -o remount,ro,bind {root} && "
        return in_shell(mount + " ".join([sys.executable, "-m", "trailscan", *map(str, words), "--archive", str(root)]))

    return run


def left_with_a_log_of_writes(root, tmp_path):
    """Leave a write-ahead log beside the database, as a process that was killed does."""
    database, copy = root / "trailscan.duckdb", tmp_path / "copy"
    with duckdb.connect(str(database)) as connection:
        connection.execute("INSERT INTO about VALUES ('left', 'yes')")
        for ending in ("", ".wal"):
            shutil.copy(f"{database}{ending}", f"{copy}{ending}")
    for ending in ("", ".wal"):
        shutil.move(f"{copy}{ending}", f"{database}{ending}")
    assert (root / "trailscan.duckdb.wal").stat().st_size


@pytest.mark.parametrize("has_log", [False, True])
def test_a_read_only_archive_answers_everything_that_needs_no_writing(archive, read_only, tmp_path, has_log):
    if has_log:
        left_with_a_log_of_writes(archive, tmp_path)
    for words in READING:
        ended = read_only(archive, *words)
        assert (words, ended.code, "fault" in ended.err) == (words, 0, False), ended.err
    ended = read_only(archive, "verify", "--jobs", 1)
    assert ended.code == 3  # no signature and no key of the digest is held
    assert "the verdicts were not kept: cannot write" in ended.err
    ended = read_only(archive, "pack", tmp_path / "case.tar")
    assert (ended.code, "not noted in the custody log" in ended.err) == (0, True), ended.err
    assert trailscan("unpack", tmp_path / "case.tar", "--archive", tmp_path / "there").code == 0
    assert trailscan("query", "--count", "--archive", tmp_path / "there").stdout == b"1\n"
    if has_log:
        with duckdb.connect(str(tmp_path / "there" / "trailscan.duckdb"), read_only=True) as connection:
            assert connection.execute("SELECT value FROM about WHERE name = 'left'").fetchall() == [("yes",)]


@pytest.mark.parametrize("words", WRITING)
def test_what_needs_writing_says_so_in_one_sentence(archive, read_only, tmp_path, words):
    ended = read_only(archive, *(word.format(logs=tmp_path / "logs") for word in words))
    assert ended.code == 1
    assert re.match(rf"error: cannot (write|make) {re.escape(str(archive))}/[.\w]+: Read-only file system\n", ended.err)
    assert "fault" not in ended.err
    assert len(ended.err.splitlines()) == 2


def as_a_user(*words):
    """A command for which the modes of files count, which they do not for root."""
    rights = "-dac_override,-dac_read_search"
    before = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"] if os.geteuid() == 0 else []
    if os.name != "posix" or (before and not shutil.which("setpriv")):
        pytest.skip("needs setpriv, to be a user for whom the modes of files count")
    done = subprocess.run(
        [*before, sys.executable, "-m", "trailscan", *map(str, words)],
        cwd=TOP,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def test_a_user_without_the_right_to_write_may_ask_and_is_told_what_is_forbidden(archive, tmp_path):
    for path in (archive, *archive.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for words in READING:
        assert (words, as_a_user(*words, "--archive", archive).code) == (words, 0)
    ended = as_a_user("pack", tmp_path / "case.tar", "--archive", archive)
    assert (ended.code, "not noted in the custody log" in ended.err) == (0, True)
    ended = as_a_user("load", "--archive", archive)
    assert (ended.code, f"cannot write {archive}/.lock: Permission denied" in ended.err) == (1, True)
    (archive / "custody.jsonl").chmod(0)
    ended = as_a_user("custody", "--archive", archive)
    assert (ended.code, f"{archive}/custody.jsonl: Permission denied" in ended.err) == (1, True)
    (archive / "trailscan.duckdb").chmod(0)
    ended = as_a_user("query", "--archive", archive)
    assert (ended.code, "Permission denied" in ended.err) == (1, True)
    archive.chmod(0)
    for words in (["query"], ["status"], ["load"], ["pack", tmp_path / "x.tar"]):
        ended = as_a_user(*words, "--archive", archive)
        assert (ended.code, "Permission denied" in ended.err, "fault" in ended.err) == (1, True, False)
    archive.chmod(0o755)
