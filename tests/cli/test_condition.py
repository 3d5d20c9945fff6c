"""Every answer says in what condition its archive is: verified or not, altered, gone, partly loaded; and exits accordingly."""

import os
import shutil
import zipfile

import pytest

from tests.query.running import trailscan
from tests.support.deliveries import BUCKET, Deliveries
from trailscan.archive.folder import ArchiveFolder
from trailscan.store import file_check as files
from trailscan.store.database import Database, run

READERS = {
    "query": ["query", "--count"],
    "sessions": ["sessions", "--count"],
    "detect": ["detect", "--count"],
    "status": ["status"],
    "coverage": ["coverage"],
    "show": ["show", "{id}"],
    "custody": ["custody"],
}


@pytest.fixture
def loaded(tmp_path):
    """An archive of two loaded files and a zip with a third; gives its root and the folder of the files."""
    trail, logs = Deliveries(tmp_path / "made"), tmp_path / "logs"
    for hour in (1, 2, 3):
        trail.log(f"2026-03-01T0{hour}:15")
    logs.mkdir()
    found = sorted((tmp_path / "made").rglob("*.gz"))
    for file in found[:2]:
        shutil.copy(file, logs)
    with zipfile.ZipFile(logs / "c.zip", "w") as packed:
        packed.write(found[2], found[2].name)
    assert trailscan("load", logs, "--archive", tmp_path / "case").code == 0
    return tmp_path / "case", logs


def last_line(ended):
    return ended.stderr.splitlines()[-1]


def ask(name, root, event="none"):
    return trailscan(*(word.format(id=event) for word in READERS[name]), "--archive", root)


def an_event(root):
    with Database(ArchiveFolder(str(root)).database).reading() as connection:
        return run(connection, "SELECT event_id FROM events ORDER BY object_id LIMIT 1")[0][0]


def a_file(logs):
    return next(iter(sorted(logs.glob("*.gz"))))


def flip(path, *, keep_time):
    """Change one byte; size stays, and the time of change where asked."""
    before = os.stat(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns if keep_time else before.st_mtime_ns + 5_000_000))


def codes(root):
    event = an_event(root)
    return {name: ask(name, root, event).code for name in READERS}


def test_of_a_sound_archive_that_was_not_verified_nothing_is_said(loaded):
    root, _ = loaded
    event = an_event(root)
    for name in READERS:
        ended = ask(name, root, event)
        assert (name, ended.code) == (name, 0)
        assert "verif" not in ended.stderr, name


def test_after_verify_every_answer_says_when(loaded):
    root, _ = loaded
    assert trailscan("verify", "--archive", root, "--jobs", 1).code == 0
    event = an_event(root)
    for name in READERS:
        ended = ask(name, root, event)
        assert (name, ended.code) == (name, 0)
        assert "verified 20" in ended.stderr, name
        assert ": nothing invalid or missing" in ended.stderr, name


@pytest.mark.parametrize("change", ["gone", "cut", "time", "zip gone", "zip byte"])
def test_without_verify_every_reading_command_notices(loaded, change):
    root, logs = loaded
    file, packed = a_file(logs), logs / "c.zip"
    match change:
        case "gone":
            file.unlink()
        case "cut":
            file.write_bytes(file.read_bytes()[:-1])
        case "time":
            flip(file, keep_time=False)
        case "zip gone":
            packed.unlink()
        case "zip byte":
            flip(packed, keep_time=False)
    assert codes(root) == dict.fromkeys(READERS, 3)
    ended = ask("query", root)
    assert ("1 object gone" if "gone" in change else "1 object altered") in ended.stderr


def test_an_edit_that_keeps_size_and_time_is_found_by_verify_and_from_then_on_heard(loaded):
    root, logs = loaded
    flip(a_file(logs), keep_time=True)
    assert trailscan("verify", "--archive", root, "--jobs", 1).code == 4
    assert codes(root) == dict.fromkeys(READERS, 3)
    for name in ("query", "sessions", "detect", "status", "custody"):
        assert ": 1 thing invalid or missing" in ask(name, root).stderr, name
    assert ": 1 thing invalid or missing" in last_line(ask("query", root))


def test_setting_the_time_back_does_not_bring_altered_bytes_into_good_standing(loaded):
    root, logs = loaded
    before = a_file(logs).stat()
    flip(a_file(logs), keep_time=False)
    trailscan("verify", "--archive", root, "--jobs", 1)
    os.utime(a_file(logs), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ask("query", root).code == 3
    assert "1 object altered" in ask("query", root).stderr


def test_a_verdict_on_bytes_that_were_restored_is_not_repeated(loaded):
    root, logs = loaded
    whole = a_file(logs).read_bytes()
    a_file(logs).write_bytes(b"other")
    trailscan("verify", "--archive", root, "--jobs", 1)
    assert ask("query", root).code == 3
    a_file(logs).write_bytes(whole)
    ended = ask("query", root)
    assert (ended.code, "nothing invalid or missing" in ended.stderr) == (0, True)


def test_a_plain_copy_of_an_archive_is_not_called_altered(loaded, tmp_path):
    root, _ = loaded
    trail = Deliveries(tmp_path / "synced")
    trail.log("2026-03-01T09:15")
    assert trailscan("rebuild", "--archive", trail.root, "--jobs", 1).code == 0
    for each, to in ((root, tmp_path / "copy1"), (trail.root, tmp_path / "copy2")):
        shutil.copytree(each, to, copy_function=shutil.copy)
        assert ask("query", to).code == 0
        assert "altered" not in ask("query", to).stderr


def test_an_object_without_a_recorded_time_that_was_written_since_is_read(tmp_path):
    trail = Deliveries(tmp_path / "case")
    trail.log("2026-03-01T09:15")
    assert trailscan("rebuild", "--archive", trail.root, "--jobs", 1).code == 0
    [file] = (trail.root / "objects" / BUCKET).rglob("*.gz")
    flip(file, keep_time=True)
    os.utime(file)
    assert ask("query", trail.root).code == 3


def test_what_was_not_read_for_lack_of_time_is_said(loaded, monkeypatch):
    root, logs = loaded
    monkeypatch.setattr(files, "READING", -1.0)
    for file in logs.glob("*.gz"):
        os.utime(file)
    ended = ask("query", root)
    assert (ended.code, "1 object with another time of change" in ended.stderr) == (0, True)
    monkeypatch.setattr(files, "LOOKING", -1.0)
    monkeypatch.setattr(files, "PORTION", 1)
    assert "only the files of 1 of 3 objects were looked at" in ask("query", root).stderr


def test_unpacked_files_are_looked_at_too(loaded, tmp_path):
    root, _ = loaded
    there = tmp_path / "there"
    assert trailscan("pack", tmp_path / "case.tar", "--archive", root).code == 0
    assert trailscan("unpack", tmp_path / "case.tar", "--archive", there).code == 0
    shutil.rmtree(tmp_path / "logs")
    assert ask("query", there).code == 0
    next(iter((there / "loaded").rglob("*.gz"))).unlink()
    assert codes(there) == dict.fromkeys(READERS, 3)


def test_a_verify_of_some_times_keeps_what_was_found_invalid_of_others(tmp_path):
    trail = Deliveries(tmp_path / "case")
    trail.digest("2026-03-01T10:00", [trail.log("2026-03-01T09:15")])
    assert trailscan("rebuild", "--archive", trail.root, "--jobs", 1).code == 0
    row = "'digest', 'INVALID_SIGNATURE', 's3://b/d', 'forged', TIMESTAMP '2026-03-01 09:00', TIMESTAMP '2026-03-01 10:00'"
    with Database(ArchiveFolder(str(trail.root)).database).writing() as connection:
        columns = "kind, status, object, message, starts_at, ends_at"
        run(connection, f"INSERT INTO verdicts ({columns}) VALUES ({row})")
    trailscan("verify", "--archive", trail.root, "--jobs", 1, "--since", "2026-04-01")
    ended = ask("query", trail.root)
    assert "digests of 2026-04-01T00:00:00Z to the last only: 1 thing invalid or missing" in ended.stderr
    assert ended.code == 3
    trailscan("verify", "--archive", trail.root, "--jobs", 1)
    assert ": nothing invalid or missing" in ask("query", trail.root).stderr


def forgotten(root, number):
    """As a run that was killed leaves it: the manifest knows more than the database."""
    with Database(ArchiveFolder(str(root)).database).writing() as connection:
        for table in ("events", "objects"):
            run(connection, f"DELETE FROM {table} WHERE object_id > ?", [number])
        run(connection, "UPDATE about SET value = '0' WHERE name = 'manifest_mark'")


def test_an_archive_that_is_partly_loaded_says_so_and_load_without_a_path_loads_the_rest(loaded, tmp_path):
    root, _ = loaded
    whole = ask("query", root).stdout
    event = an_event(root)
    forgotten(root, 1)
    for name in READERS:
        ended = ask(name, root, event)
        assert (name, ended.code) == (name, 3)
        assert "2 objects fetched but not loaded: `trailscan load`" in ended.stderr, name
    ended = trailscan("pack", tmp_path / "case.tar", "--archive", root)
    assert ended.code == 1
    assert "2 objects fetched but not loaded" in ended.stderr
    assert not (tmp_path / "case.tar").exists()
    assert trailscan("load", "--archive", root, "--jobs", 1).code == 0
    assert codes(root) == dict.fromkeys(READERS, 0)
    assert ask("query", root).stdout == whole
    assert "nothing to load" in trailscan("load", "--archive", root, "--jobs", 1).stderr


def test_a_manifest_that_lost_lines_is_heard(loaded):
    root, _ = loaded
    text = (root / "manifest.jsonl").read_bytes()
    (root / "manifest.jsonl").write_bytes(text[: text.index(b"\n") + 1])
    assert ask("query", root).code == 3
    assert "manifest.jsonl has lost" in ask("query", root).stderr
    assert codes(root)["sessions"] == 3
