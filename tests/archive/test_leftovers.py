"""What killed processes left is swept by the next writer, and what a living one holds is not."""

import os
import signal
import subprocess
import sys

import duckdb
import pytest

from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.leftovers import held, part_of, sweep_parts

DEAD = 4_194_305  # no process has this id: it is above the highest


@pytest.fixture
def archive(tmp_path):
    archive = ArchiveFolder(str(tmp_path / "case"))
    archive.create()
    return archive


def touch(*paths):
    for path in paths:
        with open(path, "wb") as file:
            file.write(b"x")
    return paths


def test_the_next_writer_sweeps_what_was_being_made(archive, tmp_path):
    database = archive.database
    gone = touch(*(f"{database}.{name}" for name in (f"new-{DEAD}", f"new-{DEAD}.wal", "rebuild", "rebuild.wal")))
    kept = touch(f"{database}.new-x", f"{database}.newer", f"{database}.aside-1", str(tmp_path / f"other.unpacking-{DEAD}"))
    (tmp_path / f"case.unpacking-{DEAD}" / "objects").mkdir(parents=True)
    touch(os.path.join(archive.root, "incoming", "1-1"))
    with archive.lock():
        pass
    assert not [path for path in gone if os.path.exists(path)]
    assert all(os.path.exists(path) for path in kept)
    assert not (tmp_path / f"case.unpacking-{DEAD}").exists()
    assert os.listdir(os.path.join(archive.root, "incoming")) == []


def test_a_link_by_such_a_name_is_not_followed(archive, tmp_path):
    (tmp_path / "mine").mkdir()
    touch(tmp_path / "mine" / "file")
    (tmp_path / f"case.unpacking-{DEAD}").symlink_to(tmp_path / "mine")
    with archive.lock():
        pass
    assert (tmp_path / "mine" / "file").exists()


def test_what_a_process_holds_stays_until_it_is_gone(archive):
    path = f"{archive.database}.new-{DEAD}"
    holds = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('in', flush=True); sys.stdin.readline()"
    with subprocess.Popen([sys.executable, "-c", holds, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"in\n"
        with archive.lock():
            assert os.path.exists(path)
        other.send_signal(signal.SIGKILL)
    with archive.lock():
        assert not os.path.exists(path)
    assert duckdb.connect(":memory:").execute("SELECT 1").fetchone() == (1,)


def test_a_folder_into_which_somebody_unpacks_stays(archive, tmp_path):
    folder = tmp_path / f"case.unpacking-{DEAD}"
    folder.mkdir()
    holds = """
import sys
from trailscan.archive.leftovers import held
with held(sys.argv[1]):
    print("in", flush=True)
    sys.stdin.readline()
"""
    with subprocess.Popen([sys.executable, "-c", holds, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"in\n"
        with archive.lock():
            assert folder.exists()
        other.communicate(b"\n")
    with archive.lock():
        assert not folder.exists()


def test_parts_of_a_file_are_swept_and_files_of_others_are_not(tmp_path):
    out = str(tmp_path / "case.tar")
    mine = part_of(out)
    gone = touch(f"{out}.trailscan-{DEAD}.part")
    kept = touch(f"{out}.001.part", f"{out}.part", str(tmp_path / f"other.tar.trailscan-{DEAD}.part"), mine)
    with held(mine):
        sweep_parts(out)
    assert not os.path.exists(gone[0])
    assert all(os.path.exists(path) for path in kept)
