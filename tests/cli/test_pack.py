"""`pack` and `unpack` as a person runs them: a case is carried in one file, and what does not hold stays outside."""

import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile

import pytest

from tests.cli.conftest import ENVIRONMENT, Case
from tests.query.conftest import START
from tests.query.running import trailscan
from tests.support.world import ACCOUNT, REGION, World, object_bytes
from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.bundle.wheels import Target, environment_of, locked, needed, own_wheel
from trailscan.extras import EXTRAS

WORLD = World(5)


def events(number):
    return [WORLD.record(START, ACCOUNT, REGION) for _ in range(number)]


@pytest.fixture
def root(tmp_path):
    """An archive of loaded files: one by itself, two in a zip."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.json.gz").write_bytes(object_bytes(events(3)))
    with zipfile.ZipFile(folder / "b.zip", "w") as packed:
        for name in ("one.json.gz", "two.json.gz"):
            packed.writestr(name, object_bytes(events(2)))
    assert trailscan("load", folder, "--archive", tmp_path / "case", "--jobs", 1).code == 0
    return tmp_path / "case"


def answer(root):
    shown = trailscan("query", "--archive", root, "--format", "csv")
    assert shown.code == 0
    return shown.stdout


def originals(root):
    return trailscan("query", "--archive", root, "--format", "record").stdout


def test_a_case_is_carried_and_gives_the_same_answers_with_its_files_gone(root, tmp_path):
    before = answer(root), originals(root)
    ended = trailscan("pack", tmp_path / "case.tar", "--archive", root)
    sha256 = hashlib.sha256((tmp_path / "case.tar").read_bytes()).hexdigest()
    assert (ended.code, ended.stdout.decode()) == (0, f"{sha256}  {tmp_path / 'case.tar'}\n")
    assert "packed: 2 objects and 3 more files" in ended.stderr
    for file in (tmp_path / "logs").iterdir():
        file.unlink()
    ended = trailscan("unpack", tmp_path / "case.tar", "--archive", tmp_path / "there", "--sha256", sha256)
    assert (ended.code, ended.stdout) == (0, b"")
    assert "3 objects held, 7 events" in ended.stderr
    assert "trailscan verify" in ended.stderr
    assert (answer(tmp_path / "there"), originals(tmp_path / "there")) == before
    assert trailscan("rebuild", "--archive", tmp_path / "there", "--jobs", 1).code == 0
    assert originals(tmp_path / "there") == before[1]


def test_the_custody_log_goes_along_and_both_ends_note_the_bundle_s_sum(root, tmp_path):
    trailscan("pack", tmp_path / "case.tar", "--archive", root)
    trailscan("unpack", tmp_path / "case.tar", "--archive", tmp_path / "there")
    sha256 = hashlib.sha256((tmp_path / "case.tar").read_bytes()).hexdigest()
    here, there = (CustodyLog(ArchiveFolder(str(place))) for place in (root, tmp_path / "there"))
    assert [entry.command for entry in here.entries()] == ["load", "pack"]
    assert [entry.command for entry in there.entries()] == ["load", "unpack"]
    assert {list(log.entries())[-1].sums["bundle"] for log in (here, there)} == {sha256}
    assert here.check() == there.check() == []


def test_packing_twice_prints_the_same_sum(root, tmp_path):
    sums = [trailscan("pack", tmp_path / name, "--archive", root).stdout.split()[0] for name in ("1.tar", "2.tar")]
    assert sums[0] == sums[1]


def test_without_its_database_a_bundle_makes_it_anew(root, tmp_path):
    before = originals(root)
    trailscan("pack", tmp_path / "case.tar", "--archive", root, "--no-database")
    with tarfile.open(tmp_path / "case.tar") as tar:
        assert "trailscan.duckdb" not in tar.getnames()
    for file in (tmp_path / "logs").iterdir():
        file.unlink()
    ended = trailscan("unpack", tmp_path / "case.tar", "--archive", tmp_path / "there", "--jobs", 1)
    assert ended.code == 0
    assert "database made anew from 3 objects" in ended.stderr
    assert originals(tmp_path / "there") == before


def test_a_part_of_a_synced_archive_answers_for_that_part_alone(case: Case, tmp_path):
    for account in ("111122223333", "444455556666"):
        case.log("2026-03-01T09:15", account=account)
    case.serve()
    assert case.sync().code == 0
    ended = trailscan("pack", tmp_path / "part.tar", "--archive", case.archive, "--account", "444455556666")
    assert ended.code == 0
    assert "left out: 1 object" in ended.stderr
    assert trailscan("unpack", tmp_path / "part.tar", "--archive", tmp_path / "there", "--jobs", 1).code == 0
    by = trailscan("query", "--archive", tmp_path / "there", "--by", "recipient_account_id", "--format", "csv")
    assert [line[:14] for line in by.stdout.split()[1:]] == [b"444455556666,2"]
    assert trailscan("custody", "--archive", tmp_path / "there").code == 0


def test_what_is_missing_is_named_and_the_rest_is_packed(root, tmp_path):
    (tmp_path / "logs" / "b.zip").unlink()
    ended = trailscan("pack", tmp_path / "case.tar", "--archive", root)
    assert ended.code == 3
    assert "b.zip: it is not packed: No such file" in ended.stderr
    ended = trailscan("unpack", tmp_path / "case.tar", "--archive", tmp_path / "there")
    assert (ended.code, "2 objects gone" in ended.stderr) == (3, True)


def test_a_loaded_file_that_changed_since_is_named(root, tmp_path):
    (tmp_path / "logs" / "a.json.gz").write_bytes(object_bytes(events(1)))
    ended = trailscan("pack", tmp_path / "case.tar", "--archive", root)
    assert ended.code == 3
    assert "a.json.gz: its bytes are not those that were recorded" in ended.stderr


def test_a_bundle_that_does_not_hold_exits_4_and_leaves_nothing(root, tmp_path):
    trailscan("pack", tmp_path / "case.tar", "--archive", root)
    whole = (tmp_path / "case.tar").read_bytes()
    there = tmp_path / "there"
    for bad in (whole[:-600], whole[: len(whole) // 2], whole + b"more", whole.replace(b'"sync"', b'"sunk"') + b"x", b""):
        (tmp_path / "bad.tar").write_bytes(bad)
        assert trailscan("unpack", tmp_path / "bad.tar", "--archive", there).code == 4
    assert trailscan("unpack", tmp_path / "case.tar", "--archive", there, "--sha256", "0" * 64).code == 4
    assert not [name for name in os.listdir(tmp_path) if name.startswith("there")]


def test_wrong_usage_is_told(root, tmp_path):
    trailscan("pack", tmp_path / "case.tar", "--archive", root)
    assert trailscan("unpack", tmp_path / "case.tar", "--archive", root).code == 2
    assert trailscan("unpack", tmp_path / "case.tar", "--archive", tmp_path / "x", "--sha256", "abc").code == 2
    assert trailscan("unpack", tmp_path / "none.tar", "--archive", tmp_path / "x").code == 1
    assert trailscan("unpack", tmp_path, "--archive", tmp_path / "x").code == 1
    assert trailscan("pack", tmp_path, "--archive", root).code == 2
    assert trailscan("pack", root / "objects" / "x.tar", "--archive", root).code == 2
    assert trailscan("pack", tmp_path / "y.tar", "--archive", root, "--python", "3.12").code == 2
    assert trailscan("pack", tmp_path / "y.tar", "--archive", tmp_path / "nowhere").code == 1
    assert not (tmp_path / "x").exists()


def test_a_bundle_never_takes_the_place_of_what_is_no_file(root, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    ended = trailscan("pack", tmp_path / "pipe", "--archive", root)
    assert (ended.code, ended.stderr.splitlines()[0]) == (1, f"error: {tmp_path / 'pipe'} is not a file")
    assert (tmp_path / "pipe").is_fifo()


def test_a_bundle_can_come_through_a_pipe(root, tmp_path):
    trailscan("pack", tmp_path / "case.tar", "--archive", root)
    with (tmp_path / "case.tar").open("rb") as bundle:
        done = subprocess.run(
            [sys.executable, "-m", "trailscan", "unpack", "-", "--archive", str(tmp_path / "there")],
            stdin=bundle,
            env=ENVIRONMENT,
            capture_output=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert answer(tmp_path / "there") == answer(root)


def test_a_write_ahead_log_that_a_killed_process_left_is_merged_first(root, tmp_path):
    before = answer(root)
    killed = (
        "import duckdb, os, sys\n"
        "c = duckdb.connect(sys.argv[1]); c.execute(\"SET checkpoint_threshold='1GB'\")\n"
        "c.execute(\"INSERT OR REPLACE INTO about VALUES ('note', 'late')\"); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", killed, str(root / "trailscan.duckdb")], check=False)
    assert (root / "trailscan.duckdb.wal").exists()
    assert trailscan("pack", tmp_path / "case.tar", "--archive", root).code == 0
    trailscan("unpack", tmp_path / "case.tar", "--archive", tmp_path / "there")
    assert b"late" in (tmp_path / "there" / "trailscan.duckdb").read_bytes()
    assert answer(tmp_path / "there") == before


def test_a_database_that_is_none_is_packed_as_it_is_and_named(root, tmp_path):
    (root / "trailscan.duckdb").write_bytes(b"rubbish" * 1000)
    ended = trailscan("pack", tmp_path / "case.tar", "--archive", root)
    assert ended.code == 3
    assert "trailscan.duckdb: packed as it is, but" in ended.stderr
    assert trailscan("unpack", tmp_path / "case.tar", "--archive", tmp_path / "there").code == 3


def test_pack_and_unpack_bring_no_network_library(root, tmp_path):
    code = (
        "import sys; from trailscan.cli.main import main\n"
        "for words in (['pack', sys.argv[2]], ['unpack', sys.argv[2]], ['custody']):\n"
        "    sys.argv[4:] = [*words, '--archive', sys.argv[1 if 'pack' in words else 3]]\n"
        "    given, sys.argv = sys.argv, ['trailscan', *sys.argv[4:]]\n"
        "    try: main()\n"
        "    except SystemExit as ended: assert not ended.code, words\n"
        "    sys.argv = given\n"
        "print({'boto3', 'botocore', 'obstore', 'urllib3', 'requests', 'http.client', 'ssl'} & sys.modules.keys())"
    )
    words = [sys.executable, "-c", code, str(root), str(tmp_path / "c.tar"), str(tmp_path / "there")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


# Wheels


def test_requirements_are_followed_for_the_machine_that_is_meant():
    asked = ["typer", "colorama; sys_platform == 'win32'", "tomli; python_version < '3.11'", "duckdb>=1"]
    linux = environment_of(Target(("manylinux_2_28_aarch64",), "3.12"))
    windows = environment_of(Target(("win_amd64",), "3.10"))
    assert (linux["platform_machine"], linux["python_full_version"], windows["os_name"]) == ("aarch64", "3.12.0", "nt")
    names = {pin.name for pin in needed(asked, linux, {})}
    assert {"typer", "duckdb"} < names
    assert not {"colorama", "tomli"} & names
    found = {pin.name: pin.version for pin in needed(asked, windows, {})}
    assert {"colorama", "tomli"} < found.keys()
    assert found["duckdb"].startswith("==")


def test_a_machine_without_network_gets_the_extras_too():
    asked = ["orjson", "trailscan[parquet]; extra == 'all'", "pyarrow>=20; extra == 'parquet'", "pytest; extra == 'dev'"]
    here = environment_of(Target())
    assert {pin.name for pin in needed(asked, here, {})} == {"orjson"}
    assert {pin.name for pin in needed(asked, here, {}, EXTRAS)} == {"orjson", "pyarrow"}


def test_tags_of_older_c_libraries_go_with_a_newer_one():
    tags = Target(("manylinux_2_30_x86_64", "win_amd64")).tags
    assert tags[0] == "manylinux_2_30_x86_64"
    assert {"manylinux_2_28_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64", "win_amd64"} < set(tags)
    assert Target(("manylinux2014_x86_64",)).too_old
    assert not Target(("manylinux_2_28_x86_64", "macosx_11_0_arm64")).too_old


def test_a_lock_is_read_with_its_hashes():
    text = (
        "a.B==1.0 \\\n    --hash=sha256:"
        + "0" * 64
        + " \\\n    --hash=sha256:"
        + "1" * 64
        + "\nc==2 ; python_version < '4' \\\n"
    )
    text += "    --hash=sha256:" + "2" * 64 + "\n    # via x\n"
    assert {str(pin): len(hashes) for pin, hashes in locked(text).items()} == {"a-b==1.0": 2, "c==2": 1}


def test_our_own_wheel_is_whole_and_always_the_same(tmp_path):
    name, wheel = own_wheel()
    assert own_wheel() == (name, wheel)
    (tmp_path / name).write_bytes(wheel)
    with zipfile.ZipFile(tmp_path / name) as packed:
        names = packed.namelist()
        record = next(each for each in names if each.endswith("RECORD"))
        assert len(packed.read(record).splitlines()) == len(names)
    assert {"trailscan/cli/main.py", "trailscan/store/schema.sql", "trailscan/py.typed", "trailscan/docs/tables.md"} < set(
        names
    )
    assert not [each for each in names if "__pycache__" in each]


def test_with_wheels_it_is_installed_and_asked_on_a_machine_without_network(root, tmp_path):
    ended = trailscan("pack", tmp_path / "case.tar", "--archive", root, "--with-wheels")
    if ended.code == 1 and "cannot be fetched" in ended.stderr:
        pytest.skip(f"pip reaches no index here: {ended.stderr}")
    assert ended.code == 0
    there = tmp_path / "there"
    there.mkdir()
    subprocess.run(["tar", "xf", str(tmp_path / "case.tar"), "-C", str(there)], check=True)
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_NO_INDEX": "1", "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run(["sh", str(there / "install.sh"), sys.executable], env=nowhere, check=True, capture_output=True)
    command = [str(there / "venv" / "bin" / "trailscan"), "query", "--archive", str(there), "--count"]
    asked = subprocess.run(command, cwd=tmp_path, env=nowhere, capture_output=True, check=False)
    assert (asked.returncode, asked.stdout) == (0, b"7\n"), asked.stderr
