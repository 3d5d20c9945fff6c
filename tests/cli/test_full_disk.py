"""Disks that are full or fail: never an empty or unopenable database with exit 0, and the old database stays as it was."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.cli.conftest import ENVIRONMENT, TOP, Case
from tests.query.conftest import START
from tests.query.running import trailscan
from tests.support.deliveries import take_in
from tests.support.world import ACCOUNT, REGION, World, object_bytes

FILES, RECORDS = 4, 1_000
SIZES = range(600, 9_000, 1_400)  # KB: from no room for an empty database to enough for all


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Files, an archive that holds them as objects, and a bundle of it."""
    top, world = tmp_path_factory.mktemp("full"), World(17)
    for number in range(FILES):
        path = top / "logs" / f"{number}.json.gz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(object_bytes([world.record(START, ACCOUNT, REGION) for _ in range(RECORDS)]))
    for path in (top / "logs").iterdir():
        take_in(top / "case", "trail", path.name, path.read_bytes())
    assert trailscan("rebuild", "--archive", top / "case", "--jobs", 1).code == 0
    assert trailscan("pack", top / "case.tar", "--archive", top / "case").code == 0
    return top


@pytest.fixture
def disk(tmp_path):
    """Make a small disk, again and again; gives where it is."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mounted(kilobytes):
        subprocess.run(["umount", folder], capture_output=True, check=False)
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this machine does not permit `mount -t tmpfs`")
        return folder

    yield mounted
    subprocess.run(["umount", "-l", folder], capture_output=True, check=False)


def asked(archive):
    """How many events a question finds, None where it says that it cannot tell."""
    ended = trailscan("query", "--archive", archive, "--count")
    assert "fault of trailscan" not in ended.stderr, ended.stderr
    return int(ended.stdout) if ended.stdout else None


@pytest.mark.parametrize("command", ["load", "unpack"])
def test_what_does_not_fit_is_no_success(made, disk, command):
    codes = set()
    for kilobytes in SIZES:
        archive = disk(kilobytes) / "case"
        source = made / ("logs" if command == "load" else "case.tar")
        ended = trailscan(command, source, "--archive", archive, "--jobs", 1)
        codes.add(ended.code)
        assert "fault of trailscan" not in ended.stderr, ended.stderr
        assert ended.code == 1 or asked(archive) == FILES * RECORDS, (kilobytes, ended)
    assert 1 in codes


def test_a_sync_that_does_not_fit_is_no_success(case: Case, disk):
    for hour in range(3):
        case.log(f"2026-03-01T{hour:02}:15", records=RECORDS)
    case.serve()
    codes = set()
    for kilobytes in SIZES[::2]:
        case.archive = disk(kilobytes) / "case"
        ended = case.sync()
        codes.add(ended.code)
        assert "fault of trailscan" not in ended.err, ended.err
        assert ended.code == 1 or asked(case.archive) == 3 * RECORDS, (kilobytes, ended)
    assert 1 in codes


def test_a_database_that_cannot_be_made_anew_stays_as_it_was(made, disk):
    needed = sum(path.stat().st_size for path in (made / "case").rglob("*") if path.is_file()) // 1024
    codes = set()
    for kilobytes in range(needed + 300, needed + 12_000, 2_300):
        archive = disk(kilobytes) / "case"
        shutil.copytree(made / "case", archive)
        before = (archive / "trailscan.duckdb").read_bytes()
        ended = trailscan("rebuild", "--archive", archive, "--jobs", 1)
        codes.add(ended.code)
        assert "fault of trailscan" not in ended.stderr, ended.stderr
        assert ended.code == 0 or (ended.code, (archive / "trailscan.duckdb").read_bytes()) == (1, before)
        assert asked(archive) == FILES * RECORDS
        assert [name for name in os.listdir(archive) if name.startswith("trailscan.")] == ["trailscan.duckdb"]
    assert 1 in codes


@pytest.mark.parametrize("call", ["fsync", "fdatasync", "rename", "pwrite64", "ftruncate"])
def test_a_disk_that_fails_leaves_the_old_database(made, tmp_path, call):
    if shutil.which("strace") is None:
        pytest.skip("strace, which makes system calls fail, is not installed")
    archive = tmp_path / "case"
    shutil.copytree(made / "case", archive)
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when=1+"]
    command = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", os.devnull, *inject, sys.executable, "-m", "trailscan"]
    ended = subprocess.run(
        [*command, "rebuild", "--archive", archive, "--jobs", "1"],
        cwd=TOP, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if "PTRACE" in ended.stderr or "Operation not permitted" in ended.stderr:
        pytest.skip("this machine does not permit strace")
    assert ended.returncode in {0, 1}
    assert asked(archive) == FILES * RECORDS
    if call in {"rename", "pwrite64"}:
        assert (ended.returncode, "fault of trailscan" in ended.stderr) == (1, False), ended.stderr
