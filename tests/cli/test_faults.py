"""What the system refuses has its own words and exit code, and is never called a fault of trailscan."""

import os
import re
import signal
import subprocess
import sys

import pytest

from tests.cli.conftest import ENVIRONMENT, TOP, Ended
from tests.query.running import trailscan
from tests.support.deliveries import Deliveries
from trailscan import errors
from trailscan.cli.main import _known

TRAILSCAN = f"{sys.executable} -m trailscan"
FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")


@pytest.fixture
def archive(tmp_path):
    trail = Deliveries(tmp_path / "case")
    for hour in range(3):
        trail.log(f"2026-03-01T0{hour}:15")
    assert trailscan("rebuild", "--archive", trail.root, "--jobs", 1).code == 0
    return trail.root


def shell(command):
    done = subprocess.run(
        ["sh", "-c", command], cwd=TOP, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@FULL
@pytest.mark.parametrize(
    "words", ["query -f csv", "query", "query --count", "sessions -f json", "status", "custody", "--version"]
)
def test_a_full_stdout_is_named(archive, words):
    place = "" if words.startswith("--") else f"--archive {archive}"
    ended = shell(f"{TRAILSCAN} {words} {place} > /dev/full")
    assert ended.code == 1
    assert "error: cannot write to standard output: No space left on device" in ended.err
    assert "fault" not in ended.err
    assert "Traceback" not in ended.err


@FULL
def test_a_full_file_is_named(archive):
    ended = shell(f"{TRAILSCAN} query -f csv -o /dev/full --archive {archive}")
    assert (ended.code, ended.err) == (1, "error: cannot write /dev/full: No space left on device\n")


def test_a_closed_stdout_is_named_where_something_must_be_written(archive, tmp_path):
    ended = shell(f"{TRAILSCAN} query --count --archive {archive} >&-")
    assert (ended.code, "standard output: it is closed" in ended.err) == (1, True)
    Deliveries(tmp_path / "more").log("2026-03-05T09:15")
    assert shell(f"{TRAILSCAN} load {tmp_path}/more/objects --archive {archive} >&- <&-").code == 0
    assert shell(f"{TRAILSCAN} query --count --archive {archive}").out == "4\n"


@pytest.mark.parametrize("to", ["2>&-", pytest.param("2>/dev/full", marks=FULL)])
def test_without_stderr_the_answer_and_the_exit_code_are_the_same(archive, to):
    ended = shell(f"{TRAILSCAN} query --count --archive {archive} {to}")
    assert (ended.code, ended.out) == (0, "3\n")
    assert shell(f"{TRAILSCAN} query --archive {archive}/nowhere {to}").code == 1


def test_an_archive_that_is_a_file_or_lacks_its_database_is_named(archive, tmp_path):
    (tmp_path / "file").write_text("x")
    for words in (["query"], ["status"], ["verify"], ["custody"], ["pack", tmp_path / "x.tar"]):
        ended = trailscan(*words, "--archive", tmp_path / "file")
        assert (ended.code, "is a file, and an archive is a folder" in ended.stderr) == (1, True)
    (archive / "trailscan.duckdb").unlink()
    for words in (["query"], ["sessions"], ["status"], ["coverage"], ["detect"], ["load"]):
        ended = trailscan(*words, "--archive", archive)
        assert (words, ended.code) == (words, 1)
        assert "database is not there" in ended.stderr
        assert "`trailscan rebuild`" in ended.stderr
    assert trailscan("rebuild", "--archive", archive, "--jobs", 1).code == 0
    assert trailscan("query", "--count", "--archive", archive).stdout == b"3\n"


def test_files_of_the_archive_that_are_none_are_named(archive):
    for name in ("manifest.jsonl", "custody.jsonl"):
        if (archive / name).exists():
            (archive / name).unlink()
        (archive / name).mkdir()
        for words in (["custody"], ["verify", "--jobs", "1"]):
            ended = trailscan(*words, "--archive", archive)
            assert "fault" not in ended.stderr
            assert ended.code in {1, 3, 4}
        (archive / name).rmdir()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_a_killed_reading_process_is_named(tmp_path):
    folder = tmp_path / "logs"
    trail = Deliveries(folder)
    for day in range(1, 5):
        trail.log(f"2026-03-0{day}T09:15")
    script = (
        "import os, signal, trailscan.records.worker_pool as workers\n"
        "workers.read_object = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from trailscan.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "load", str(folder), "--archive", str(tmp_path / "case"), "--jobs", "1"],
        cwd=TOP, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: a reading process died or was killed\n")


class Raised(Exception):
    """Stands for what DuckDB raises: told apart by module, class name and words."""


@pytest.mark.parametrize(
    ("name", "words", "kind"),
    [
        ("IOException", 'IO Error: Could not write file "x": No space left on device', errors.DiskFull),
        ("IOException", 'IO Error: Cannot open file "x": Read-only file system', errors.ReadOnly),
        ("IOException", 'IO Error: Cannot open file "x": Permission denied', errors.Forbidden),
        ("OutOfMemoryException", "Out of Memory Error: failed to allocate data", errors.OutOfMemory),
        ("FatalException", "FATAL Error: database has been invalidated", errors.DatabaseError),
        ("InternalException", "INTERNAL Error: Failed to load metadata pointer", errors.DatabaseError),
    ],
)
def test_what_duckdb_says_of_disk_and_memory_has_its_own_class(name, words, kind):
    raised = type(name, (Exception,), {"__module__": "_duckdb"})(words)
    assert type(_known(raised)) is kind
    assert _known(Raised(words)) is None


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), OSError(5, "I/O"), PermissionError(13, "no", "x"), MemoryError()]
)
def test_what_python_raises_is_no_fault_of_ours(error):
    found = _known(error)
    assert found is not None
    assert re.fullmatch(r"[A-Z]\w+", type(found).__name__)
    assert found.hint
