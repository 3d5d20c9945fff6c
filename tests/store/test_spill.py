"""The folder that a question spills into: private, swept, never through a link, and DuckDB uses it and nothing else."""

import os
import stat
import subprocess
import sys
import tempfile

import pytest

from trailscan.store.database import Database, run
from trailscan.store.spill import spill_folder


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path / "tmp"


def test_it_is_private_and_gone_afterwards(temporary):
    with spill_folder() as folder:
        assert folder.startswith(str(temporary / f"trailscan-{os.getuid()}"))
        assert stat.S_IMODE(os.stat(folder).st_mode) == stat.S_IMODE(os.stat(os.path.dirname(folder)).st_mode) == 0o700
    assert not os.path.exists(folder)


def test_what_a_killed_process_left_is_swept_and_what_is_held_stays(temporary):
    left = (
        "from trailscan.store.spill import spill_folder\nimport os\nwith spill_folder() as f: print(f, flush=True); os._exit(9)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", left], env={**os.environ, "TMPDIR": str(temporary)}, capture_output=True, check=False, text=True
    )
    assert os.path.isdir(ended.stdout.strip())
    with spill_folder() as first, spill_folder() as second:
        assert os.listdir(os.path.dirname(first)) != []
        assert os.path.isdir(first)
        assert os.path.isdir(second)
        assert not os.path.exists(ended.stdout.strip())


def test_links_are_not_followed(temporary, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    with spill_folder() as folder:
        os.symlink(tmp_path / "precious", os.path.join(os.path.dirname(folder), "link"))
        os.symlink(tmp_path / "precious", os.path.join(folder, "link"))
    with spill_folder():
        assert (tmp_path / "precious" / "file").read_text() == "kept"


def test_a_home_that_is_a_link_or_open_to_others_is_left_alone(temporary, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    os.symlink(tmp_path / "elsewhere", temporary / f"trailscan-{os.getuid()}")
    with spill_folder() as folder:
        assert os.path.dirname(folder) == str(temporary)
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not os.path.exists(folder)


def test_without_any_folder_nothing_is_spilled(temporary):
    temporary.rmdir()
    with spill_folder() as folder:
        assert folder == ""


def test_a_reader_spills_there_and_not_into_the_archive(temporary, tmp_path):
    database = Database(str(tmp_path / "archive" / "trailscan.duckdb"))
    os.mkdir(tmp_path / "archive")
    database.create()
    with database.reading() as connection:
        run(connection, "CREATE TEMP TABLE wide AS SELECT repeat(md5(i::VARCHAR), 9) AS text, i FROM range(1500000) AS t(i)")
        (home,) = temporary.iterdir()
        assert [name for root, _, names in os.walk(home) for name in names]
        assert os.listdir(tmp_path / "archive") == ["trailscan.duckdb"]
        (memory,) = run(connection, "SELECT current_setting('memory_limit'), current_setting('lock_configuration')")
        assert memory == ("244.1 MiB", True)
    assert list(home.iterdir()) == []
