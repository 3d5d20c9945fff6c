"""Hashes at intake: what was taken in keeps its recorded hash, and altered bytes never come back into good standing."""

import hashlib
import json
import os
import shutil
import tarfile
import zipfile

import pytest

from tests.query.conftest import START
from tests.query.running import trailscan
from tests.support.world import ACCOUNT, REGION, World, gzipped, log_bytes, object_bytes
from trailscan.archive.folder import ArchiveFolder
from trailscan.records.inflate import sha256_raw
from trailscan.store.database import Database, run

WORLD = World(77)
GOOD = object_bytes([WORLD.record(START, ACCOUNT, REGION) for _ in range(3)])
OTHER = object_bytes([WORLD.record(START, ACCOUNT, REGION) for _ in range(2)])
FORGED = object_bytes([WORLD.record(START, ACCOUNT, REGION)]).ljust(len(GOOD), b"\0")  # the same size


def ask(root, statement):
    with Database(str(root / "trailscan.duckdb")).reading() as connection:
        return run(connection, statement)


def do(root, *words):
    return trailscan(
        *words, "--archive", root, *(["--jobs", 1] if words[0] in {"load", "rebuild", "verify", "relocate"} else [])
    )


def lay(where, kind, content):
    """Two objects in a folder, tar or zip, the first with this content; always of one size."""
    contents = {"a.json.gz": content, "b.json.gz": OTHER}
    if kind == "folder":
        where.mkdir(exist_ok=True)
        for name, data in contents.items():
            (where / name).write_bytes(data)
        return where
    folder = lay(where.parent / "packing", "folder", content)
    if kind == "zip":
        with zipfile.ZipFile(where, "w") as packed:
            for name in contents:
                packed.write(folder / name, name)
    else:
        with tarfile.open(where, "w") as packed:
            for name in contents:
                packed.add(folder / name, name)
    return where


def manifest(root):
    return [json.loads(line) for line in (root / "manifest.jsonl").read_bytes().splitlines()]


def hashes(root):
    return {(each["path"], each.get("member")): (each["sha256"], each["sha256_raw"]) for each in manifest(root)}


@pytest.fixture(params=["folder", "tar", "zip"])
def loaded(request, tmp_path):
    """An archive, and a way to alter the first object it was loaded from."""
    where = tmp_path / f"case.{request.param}"
    lay(where, request.param, GOOD)
    assert do(tmp_path / "archive", "load", where).code == 0
    return tmp_path / "archive", lambda: lay(where, request.param, FORGED)


def test_both_hashes_are_in_the_manifest_once(loaded):
    root, _ = loaded
    found = hashes(root)
    assert len(found) == len(manifest(root)) == 2
    assert set(found.values()) == {(hashlib.sha256(data).hexdigest(), sha256_raw(data)) for data in (GOOD, OTHER)}
    assert set(ask(root, "SELECT sha256, sha256_raw FROM objects")) == set(found.values())


def test_altered_bytes_are_named_and_not_loaded_however_often_the_database_is_made_anew(loaded):
    root, alter = loaded
    before = hashes(root)
    alter()
    for _ in range(2):
        ended = do(root, "rebuild")
        assert ended.code == 3
        assert "altered: 1 object" in ended.stderr
        assert sorted(ask(root, "SELECT status, loaded FROM objects")) == [("altered", 0), ("ok", 2)]
        assert ask(root, "SELECT what FROM damage") == [("altered",)]
        assert do(root, "query", "--count").code == 3
        verified = do(root, "verify", "-f", "jsonl")
        assert verified.code == 4
        assert {json.loads(row)["status"] for row in verified.stdout.splitlines()} >= {"INVALID_HASH"}
    assert hashes(root) == before


def test_accepting_is_asked_for_each_time_and_is_on_record(loaded):
    root, alter = loaded
    alter()
    ended = do(root, "rebuild", "--accept-altered")
    assert ended.code == 3
    assert sorted(ask(root, "SELECT status, loaded FROM objects")) == [("altered", 1), ("ok", 2)]
    (line,) = [json.loads(line) for line in (root / "custody.jsonl").read_bytes().splitlines() if b'"rebuild"' in line]
    assert (line["arguments"]["accept_altered"], line["counts"]["altered"]) == (True, 1)
    assert do(root, "verify").code == 4
    do(root, "rebuild")
    assert sorted(ask(root, "SELECT status, loaded FROM objects")) == [("altered", 0), ("ok", 2)]


def test_loading_again_after_an_edit_keeps_the_first_version_failing(loaded, tmp_path):
    root, alter = loaded
    where = alter()
    before = hashes(root)
    do(root, "load", where)
    do(root, "rebuild")
    assert do(root, "verify").code == 4
    first = next(iter(before.values()))
    assert first in {(each["sha256"], each["sha256_raw"]) for each in manifest(root)}


def test_a_bundle_carries_what_was_altered_as_altered(loaded, tmp_path):
    root, alter = loaded
    alter()
    do(root, "rebuild")
    trailscan("pack", tmp_path / "case.bundle", "--archive", root)
    there = tmp_path / "there"
    trailscan("unpack", tmp_path / "case.bundle", "--archive", there)
    assert ("altered",) in ask(there, "SELECT status FROM objects")
    assert do(there, "rebuild").code == 3
    assert ("altered",) in ask(there, "SELECT status FROM objects")
    assert do(there, "verify").code == 4


def test_a_file_that_was_only_touched_is_held(tmp_path):
    folder, root = lay(tmp_path / "logs", "folder", GOOD), tmp_path / "archive"
    do(root, "load", folder)
    os.utime(folder / "a.json.gz", (1, 1))
    ended = do(root, "load", folder)
    assert (ended.code, "2 held already" in ended.stderr) == (0, True)


def test_names_that_were_left_out_are_not_taken_from_altered_bytes(tmp_path):
    folder, root = lay(tmp_path / "logs", "folder", GOOD), tmp_path / "archive"
    do(root, "load", "--only", "*", folder)
    seconds = os.stat(folder / "a.json.gz").st_mtime_ns
    (folder / "a.json.gz").write_bytes(gzipped(log_bytes([]))[: len(GOOD)].ljust(len(GOOD), b"\0"))
    os.utime(folder / "a.json.gz", ns=(seconds, seconds))
    assert do(root, "load", folder).code == 3
    assert sorted(ask(root, "SELECT status FROM objects")) == [("altered",), ("ok",)]
    assert ask(root, "SELECT count(*) FROM events") == [(5,)]  # what the sound bytes told stays


def test_a_file_that_nobody_recorded_is_named_for_ever(tmp_path):
    folder, root = lay(tmp_path / "logs", "folder", GOOD), tmp_path / "archive"
    do(root, "load", folder)
    planted = root / "objects" / "bucket" / "planted.json.gz"
    planted.parent.mkdir(parents=True)
    planted.write_bytes(FORGED)
    (planted.parent / "link").symlink_to("/etc/hostname")
    verified = do(root, "verify", "-f", "jsonl")
    rows = {row["object"]: row for row in map(json.loads, verified.stdout.splitlines())}
    assert verified.code == 3
    assert rows["objects/bucket/planted.json.gz"]["status"] == rows["objects/bucket/link"]["status"] == "NOT_VERIFIABLE"
    for _ in range(2):
        ended = do(root, "rebuild")
        assert (ended.code, "planted.json.gz" in ended.stderr) == (3, True)
        assert ("stray",) in ask(root, "SELECT what FROM damage")
        assert do(root, "verify").code == 3
    assert [line.get("stray") for line in manifest(root)] == [None, None, True]


def test_a_line_taken_out_of_the_manifest_or_altered_in_it_is_heard_by_rebuild(tmp_path):
    folder, root = lay(tmp_path / "logs", "folder", GOOD), tmp_path / "archive"
    do(root, "load", folder)
    (folder / "a.json.gz").write_bytes(FORGED)
    old, new = hashlib.sha256(GOOD).hexdigest().encode(), hashlib.sha256(FORGED).hexdigest().encode()
    (root / "manifest.jsonl").write_bytes((root / "manifest.jsonl").read_bytes().replace(old, new))
    ended = do(root, "rebuild")
    assert (ended.code, "custody: " in ended.stderr) == (3, True)
    assert do(root, "verify").code == 4


def test_a_later_line_of_the_manifest_does_not_replace_a_hash(tmp_path):
    folder, root = lay(tmp_path / "logs", "folder", GOOD), tmp_path / "archive"
    do(root, "load", folder)
    line = next(each for each in manifest(root) if each["path"].endswith("a.json.gz"))
    line["sha256"], line["sha256_raw"] = hashlib.sha256(FORGED).hexdigest(), sha256_raw(FORGED)
    (folder / "a.json.gz").write_bytes(FORGED)
    with open(root / "manifest.jsonl", "ab") as file:
        file.write(json.dumps(line).encode() + b"\n")
    assert do(root, "rebuild").code == 3
    assert ("altered",) in ask(root, "SELECT status FROM objects")


def without_hashes(root):
    """As version 0.1 wrote it: no hash of loaded files, and no entry of the log to prove the manifest by."""
    for line in (lines := manifest(root)):
        del line["sha256"], line["sha256_raw"]
    (root / "manifest.jsonl").write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    (root / "custody.jsonl").unlink()


def test_an_archive_of_the_version_before_says_what_it_never_hashed(tmp_path):
    folder, root = lay(tmp_path / "logs", "folder", GOOD), tmp_path / "archive"
    do(root, "load", folder)
    without_hashes(root)
    ended = do(root, "rebuild")
    assert (ended.code, "never hashed: 2 objects" in ended.stderr) == (0, True)
    assert len(list(ArchiveFolder(str(root)).versions())) == 2
    assert all(each.sha256 and each.hashed_at for each in ArchiveFolder(str(root)).versions())
    said = [json.loads(row) for row in do(root, "verify", "-f", "jsonl").stdout.splitlines()]
    assert [row["status"] for row in said if row["kind"] == "archive"] == ["UNCOVERED", "UNCOVERED"]
    (folder / "a.json.gz").write_bytes(FORGED)
    ended = do(root, "rebuild")
    assert (ended.code, "never hashed: 2 objects" in ended.stderr, "altered: 1 object" in ended.stderr) == (3, True, True)


def test_what_never_was_hashed_and_has_another_size_is_altered(tmp_path):
    folder, root = lay(tmp_path / "logs", "folder", GOOD), tmp_path / "archive"
    do(root, "load", folder)
    without_hashes(root)
    (folder / "a.json.gz").write_bytes(FORGED[:-1])
    assert do(root, "rebuild").code == 3
    assert sorted(ask(root, "SELECT status FROM objects")) == [("altered",), ("ok",)]
    assert do(root, "verify").code == 4


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_copies_outlive_the_files_they_were_made_of(tmp_path, kind):
    where, root = tmp_path / f"case.{kind}", tmp_path / "archive"
    lay(where, kind, GOOD)
    assert do(root, "load", "--copy", where).code == 0
    (shutil.rmtree if where.is_dir() else os.remove)(where)
    assert do(root, "verify").code == 0
    assert do(root, "rebuild").code == 0
    assert do(root, "query", "-f", "record").stdout.count(b"\n") == 5
    trailscan("pack", tmp_path / "case.bundle", "--archive", root)
    there = tmp_path / "there"
    assert trailscan("unpack", tmp_path / "case.bundle", "--archive", there).code == 0
    shutil.rmtree(root)
    assert do(there, "verify").code == 0
    assert do(there, "query", "-f", "record").stdout.count(b"\n") == 5
    for copy in (there / "loaded").rglob("*"):
        if copy.is_file():
            copy.write_bytes(copy.read_bytes().replace(GOOD, FORGED))
    assert do(there, "verify").code == 4


def test_what_was_loaded_before_can_be_copied_later(tmp_path):
    folder, root = lay(tmp_path / "logs", "folder", GOOD), tmp_path / "archive"
    do(root, "load", folder)
    ended = do(root, "load", "--copy", folder)
    assert (ended.code, "copied into the archive: 2 objects" in ended.stderr) == (0, True)
    shutil.rmtree(folder)
    assert (do(root, "verify").code, do(root, "rebuild").code, do(root, "verify").code) == (0, 0, 0)
    assert ask(root, "SELECT count(*) FROM events") == [(5,)]


def test_a_file_changed_since_it_was_loaded_is_not_copied_as_what_it_was(tmp_path):
    folder, root = lay(tmp_path / "logs", "folder", GOOD), tmp_path / "archive"
    do(root, "load", folder)
    seconds = os.stat(folder / "b.json.gz").st_mtime_ns
    (folder / "b.json.gz").write_bytes(OTHER[:-1] + b"!")
    os.utime(folder / "b.json.gz", ns=(seconds, seconds))
    ended = do(root, "load", "--copy", folder)
    assert (ended.code, "its copy does not count" in ended.stderr) == (3, True)
    assert do(root, "verify").code == 4


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_moved_files_are_found_again_by_their_bytes(tmp_path, kind):
    where, root = tmp_path / f"case.{kind}", tmp_path / "archive"
    lay(where, kind, GOOD)
    do(root, "load", where)
    where.rename(tmp_path / f"moved.{kind}")
    assert do(root, "rebuild").code == 3  # nothing can be read now
    ended = do(root, "relocate", where, tmp_path / f"moved.{kind}")
    assert (ended.code, "2 relocated" in ended.stderr) == (0, True)
    assert ask(root, "SELECT count(*) FROM events") == [(5,)]
    assert (do(root, "verify").code, do(root, "rebuild").code, do(root, "verify").code) == (0, 0, 0)
    assert ask(root, "SELECT count(*) FROM objects") == [(2,)]


def test_only_the_same_bytes_are_relocated(tmp_path):
    folder, root = lay(tmp_path / "logs", "folder", GOOD), tmp_path / "archive"
    do(root, "load", folder)
    moved = lay(tmp_path / "moved", "folder", FORGED)
    shutil.rmtree(folder)
    ended = do(root, "relocate", folder, moved)
    assert (ended.code, "1 relocated + 1 left as they were" in ended.stderr) == (3, True)
    assert do(root, "verify").code == 4
    assert do(root, "relocate", tmp_path / "never", moved).code == 2


def test_a_moved_folder_loaded_again_is_counted_once_and_can_still_be_relocated(tmp_path):
    folder, root = lay(tmp_path / "logs", "folder", GOOD), tmp_path / "archive"
    do(root, "load", folder)
    folder.rename(tmp_path / "moved")
    do(root, "load", tmp_path / "moved")
    told = do(root, "status", "-f", "json")
    assert sum(row["events"] for row in json.loads(told.stdout)) == 5
    assert "5 events" in told.stderr
    assert do(root, "relocate", folder, tmp_path / "moved").code == 0
    assert ask(root, "SELECT count(*) FROM objects") == [(2,)]
    assert (do(root, "rebuild").code, do(root, "verify").code) == (0, 0)
    assert ask(root, "SELECT count(*) FROM objects") == [(2,)]
    assert do(root, "relocate", tmp_path / "moved", folder).code == 3  # and nothing is lost by a wrong word
    (tmp_path / "moved").rename(folder)
    assert do(root, "relocate", tmp_path / "moved", folder).code == 0
    assert (do(root, "rebuild").code, do(root, "verify").code) == (0, 0)


def test_what_was_found_unrecorded_and_then_comes_from_its_bucket_is_in_good_standing(case):
    key = case.log(records=3)
    case.log("2026-03-01T10:15")
    case.serve()
    assert case.sync().code == 0
    root = case.archive
    lines = (root / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    (root / "manifest.jsonl").write_bytes(b"".join(line for line in lines if key.encode() not in line))
    (root / "custody.jsonl").unlink()
    assert do(root, "rebuild").code == 3
    assert case.sync().code == 0
    assert ask(root, "SELECT count(*) FROM damage") == [(0,)]
    assert do(root, "rebuild").code == 0
    assert ask(root, "SELECT count(*), sum(loaded) FROM objects") == [(2, 5)]
    assert {bool(each.get("sha256") and each.get("sha256_raw")) for each in manifest(root)} == {True}
