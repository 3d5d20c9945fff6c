"""manifest.jsonl and custody.jsonl with lines that are none: nothing stops, each is named; a log that was shortened is told."""

import json

import pytest

from tests.query.conftest import START
from tests.query.running import trailscan
from tests.support.world import ACCOUNT, REGION, World, object_bytes
from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.origin import Origin

BAD_LINES = {
    "not UTF-8": b'{"source":"file","key":"\xff\xfe"}\n',
    "not JSON": b"rubbish\n",
    "JSON of another kind": b'[1, "two"]\n',
    "an object without a key": b'{"source":"s3"}\n',
    "nested without end": b"[" * 200_000 + b"\n",
    "empty": b"\n",
    "a long one": b"x" * 3_000_000 + b"\n",
    "of another type": b'{"source":"s3","key":7,"path":null,"bytes":"x"}\n',
}
READERS = ["query", "sessions", "status", "coverage", "custody", "verify"]


@pytest.fixture
def root(tmp_path):
    """An archive of two files, loaded by two commands."""
    world = World(3)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / f"{name}.json.gz"
        path.write_bytes(object_bytes([world.record(START, ACCOUNT, REGION) for _ in range(4)]))
        assert trailscan("load", tmp_path / name, "--archive", tmp_path / "case", "--jobs", 1).code == 0
    return tmp_path / "case"


def ask(root, command, *more):
    ended = trailscan(command, "--archive", root, *more)
    assert "fault of trailscan" not in ended.stderr, (command, ended.stderr)
    return ended


def load(root, folder):
    return trailscan("load", root.parent / folder, "--archive", root, "--jobs", 1)


@pytest.mark.parametrize("line", BAD_LINES)
def test_what_names_no_object_is_passed_over_and_named(tmp_path, line):
    archive = ArchiveFolder(str(tmp_path))
    good = Origin("s3", "k", "objects/b/k", 1, bucket="b")
    archive.record([good])
    with (tmp_path / "manifest.jsonl").open("ab") as manifest:
        manifest.write(BAD_LINES[line])
    size = archive.manifest_size()
    archive.record([good])
    assert [origin for origin, _ in archive.recorded()] == [good, good]
    assert (archive.unreadable_lines(), archive.unreadable_lines(size - 1), archive.unreadable_lines(size)) == ([2], [2], [])


@pytest.mark.parametrize("line", ["not UTF-8", "nested without end", "a long one"])
def test_a_line_that_the_manifest_gained_is_damage_once_and_stops_nothing(root, line):
    with (root / "manifest.jsonl").open("ab") as manifest:
        manifest.write(BAD_LINES[line])
    for command in READERS:
        ask(root, command)
    assert "manifest.jsonl line 3" in ask(root, "verify").stdout.decode()
    for _ in range(2):  # it is named when it is found, and from then on by every answer
        loaded = load(root, "one")
        answered = ask(root, "query", "--count")
        assert (answered.code, answered.stdout) == (3, b"8\n")
    assert loaded.code == 0
    rebuilt = ask(root, "rebuild", "--jobs", 1)
    assert (rebuilt.code, "manifest.jsonl line 3: it names no object" in rebuilt.stderr) == (3, True)
    damage = json.loads(ask(root, "status", "--damage", "--format", "json").stdout)
    assert [row["what"] for row in damage] == ["unreadable-line"]
    assert ask(root, "query", "--count").stdout == b"8\n"


def test_the_command_that_finds_it_says_so(root):
    with (root / "manifest.jsonl").open("ab") as manifest:
        manifest.write(b"\xff\n")
    ended = load(root, "one")
    assert (ended.code, "manifest.jsonl line 3: it names no object" in ended.stderr) == (3, True)
    packed = trailscan("pack", root.parent / "case.tar", "--archive", root)
    assert (packed.code, "manifest.jsonl: line 3 names no object" in packed.stderr) == (3, True)


@pytest.mark.parametrize("name", ["manifest.jsonl", "custody.jsonl"])
@pytest.mark.parametrize(("at", "byte"), [(0, b"\xff"), (40, b"\n"), (-1, b" "), (-1, b"\x80")])
def test_an_altered_byte_is_told_by_verify_and_custody_and_stops_nothing(root, name, byte, at):
    path = root / name
    content = bytearray(path.read_bytes())
    content[at : at + 1 or None] = byte
    path.write_bytes(content)
    for command in READERS:
        ask(root, command)
    assert (ask(root, "verify").code, ask(root, "custody").code) == (4, 4)
    assert load(root, "two").code in {0, 3}
    rebuilt = ask(root, "rebuild", "--jobs", 1)
    assert (ask(root, "verify").code, ask(root, "custody").code) == (4, 4)  # and nothing makes it good again
    counted = ask(root, "query", "--count")  # of a file that was only loaded, its line alone knew where it lies
    assert counted.stdout == b"8\n" or (rebuilt.code, counted.code) == (3, 3)


@pytest.mark.parametrize("how", ["deleted", "emptied", "shortened", "replaced"])
def test_a_custody_log_that_lacks_what_the_database_remembers_is_told_whatever_is_done(root, how, tmp_path):
    log = root / "custody.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    if how == "deleted":
        log.unlink()
    else:
        log.write_bytes(
            {"emptied": b"", "shortened": lines[0], "replaced": lines[0] + lines[1].replace(b'"load"', b'"sync"')}[how]
        )
    for command in (None, "load", "rebuild", "verify") if how == "deleted" else (None,):
        if command == "load":
            assert load(root, "one").code == 0
        elif command:
            ask(root, command, "--jobs", 1)
        assert ask(root, "verify").code == 4
        told = ask(root, "custody")
        assert (told.code, "the database remembers this line" in told.stderr) == (4, True)
        told = ask(root, "status")
        assert (told.code, "missing from the custody log" in told.stderr) == (3, True)


def test_a_line_that_was_being_written_is_cut_and_anything_else_at_the_end_is_kept(root):
    manifest = root / "manifest.jsonl"
    good = manifest.read_bytes()
    for end, is_kept in (
        (b'{"source":"s3","key":"AWSLo', False),
        (bytes(99), False),
        (b"\xff\xfe", True),
        (good[:-1] + b"x", True),
    ):
        manifest.write_bytes(good + end)
        load(root, "one")
        assert manifest.read_bytes() == good + (end + b"\n" if is_kept else b""), end
        ask(root, "rebuild", "--jobs", 1)
    manifest.write_bytes(good[:-1])
    assert load(root, "one").code == 0
    assert manifest.read_bytes() == good
