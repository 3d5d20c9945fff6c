"""Writers that are killed at any moment, around commit, checkpoint and swap: every reader answers, and `rebuild` can.

Where strace is there each system call that matters is a moment; else moments are drawn at random. TRAILSCAN_KILL_SECONDS says
how long to go on.
"""

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.conftest import ENVIRONMENT, TOP, Case
from tests.query.conftest import START
from tests.query.running import trailscan
from tests.support.world import ACCOUNT, REGION, World, object_bytes

SECONDS = float(os.environ.get("TRAILSCAN_KILL_SECONDS", "20"))
READERS = (("query", "--count"), ("status",), ("custody",), ("verify",), ("coverage",))
WRITERS = ("load", "sync", "rebuild", "verify", "detect", "unpack")
EVENTS = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two files, of which an archive has one; a bundle of it."""
    top, world = tmp_path_factory.mktemp("kills"), World(11)
    for name in ("first", "second"):
        path = top / name / f"{name}.json.gz"
        path.parent.mkdir()
        path.write_bytes(object_bytes([world.record(START, ACCOUNT, REGION) for _ in range(EVENTS // 2)]))
    assert trailscan("load", top / "first", "--archive", top / "case", "--jobs", 1).code == 0
    assert trailscan("pack", top / "case.tar", "--archive", top / "case").code == 0
    return top


@pytest.fixture
def bucket(case: Case):
    """A bucket of as many records as a file has."""
    case.log(records=EVENTS // 2)
    case.serve()
    return case


def words(made, bucket, writer, archive):
    asked = {
        "sync": bucket.arguments()[:-4],
        "load": ["load", made / "second", "--jobs", 1],
        "rebuild": ["rebuild", "--jobs", 1],
        "verify": ["verify", "--jobs", 1],
        "detect": ["detect", "--new"],
        "unpack": ["unpack", made / "case.tar", "--jobs", 1],
    }
    return [str(word) for word in (*asked[writer], "--archive", archive)]


def killed_at(call, number, command):
    """Run under strace, which kills at the call of this number; returns whether it came to that."""
    calls = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
    traced = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", os.devnull, *calls, *command]
    ended = subprocess.run(traced, cwd=TOP, env=ENVIRONMENT, capture_output=True, timeout=100, check=False)
    return ended.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}


def killed_after(seconds, command):
    process = subprocess.Popen(
        command, cwd=TOP, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def holds(archive, writer):
    """All that must be so of an archive whose writer was killed."""
    if writer == "unpack" and not archive.exists():
        return
    for reader in READERS:
        ended = trailscan(*reader, "--archive", archive)
        assert "fault of trailscan" not in ended.stderr, (reader, ended.stderr)
        assert ended.code in {0, 3} or (writer == "unpack" and ended.code in {1, 4}), (reader, ended.code, ended.stderr)
        if reader[0] == "query" and ended.code != 1:
            assert ended.stdout in {b"6\n", b"12\n"}, ended
    ended = trailscan("rebuild", "--archive", archive, "--jobs", 1)
    assert ended.code == 0, ended.stderr
    counted = trailscan("query", "--archive", archive, "--count")
    assert (counted.code, counted.stdout in {b"6\n", b"12\n"}) == (0, True), counted
    left = [name for name in os.listdir(archive) if name.startswith("trailscan.duckdb")]
    assert left == ["trailscan.duckdb"]
    assert not [name for name in os.listdir(archive.parent) if ".unpacking-" in name]


def moments():
    """Which writer is killed at which call, in an order that reaches all kinds soon."""
    calls = ("fdatasync,fsync", "rename,renameat,renameat2", "unlink,unlinkat", "ftruncate", "pwrite64")
    return ((writer, call, number) for number in itertools.count(1) for call in calls for writer in WRITERS)


def test_no_moment_is_a_bad_one_to_be_killed(made, bucket, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("killed")
    has_strace = shutil.which("strace") and killed_at("getcwd", 1, [sys.executable, "-c", "import os; os.getcwd()"])
    chance, deadline, kills = random.Random(7), time.monotonic() + SECONDS, 0
    for writer, call, number in moments():
        archive = tmp_path / "case"
        if writer != "unpack":
            shutil.copytree(made / "case", archive)
        command = [sys.executable, "-m", "trailscan", *words(made, bucket, writer, archive)]
        was_killed = killed_at(call, number, command) if has_strace else killed_after(chance.uniform(0.2, 2.5), command)
        if was_killed:
            kills += 1
            holds(archive, writer)
        shutil.rmtree(archive, ignore_errors=True)
        for name in os.listdir(tmp_path):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
        if time.monotonic() > deadline:
            break
    assert kills
