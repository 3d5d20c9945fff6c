"""Each file of an archive, cut, flipped, zeroed and lengthened at random: a named error or the right answer, nothing else.

TRAILSCAN_MUTATIONS says how many for each file.
"""

import os
import random
import shutil

import pytest

from tests.query.conftest import START
from tests.query.running import trailscan
from tests.support.world import ACCOUNT, REGION, World, object_bytes
from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.errors import TrailscanError
from trailscan.store.archive_stats import archive_stats
from trailscan.store.custody_mark import remembered
from trailscan.store.database import Database, run

NUMBER = int(os.environ.get("TRAILSCAN_MUTATIONS", "80"))
TABLES = ("events", "objects", "damage", "findings", "notices", "about")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root, world = tmp_path_factory.mktemp("mutated") / "case", World(13)
    for number in range(3):
        path = root / "objects" / "trail" / f"{number}.json.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(object_bytes([world.record(START, ACCOUNT, REGION) for _ in range(50)]))
    assert trailscan("load", root / "objects", "--archive", root, "--jobs", 1).code == 0
    return root


def mutated(content, chance):
    """Other bytes than these, and what was done to them."""
    how = chance.choice(["truncate", "flip", "zero", "extend"])
    at = chance.randrange(len(content))
    if how == "truncate":
        return content[:at], f"cut to {at}"
    if how == "extend":
        return content + chance.randbytes(chance.randrange(1, 300)), "lengthened"
    changed = bytearray(content)
    if how == "flip":
        changed[at] ^= 1 << chance.randrange(8)
        return bytes(changed), f"bit flipped at {at}"
    length = chance.randrange(1, 5000)
    changed[at : at + length] = bytes(len(changed[at : at + length]))
    return bytes(changed), f"zeros at {at} + {length}"


def answer(root):
    """All that the tables say, and what is said about them; in words where it cannot be read."""
    try:
        with Database(str(root / "trailscan.duckdb"), 0.1).reading() as connection:
            sums = [run(connection, f"SELECT count(*), sum(hash(t)) FROM {table} t")[0] for table in TABLES]
            return sums, archive_stats(connection), remembered(connection)
    except TrailscanError as error:
        return None if "trailscan rebuild" in error.hint else error.message


def mutations(path, seed):
    """Spoil a file again and again, and mend it in between."""
    good, chance = path.read_bytes(), random.Random(seed)
    for _ in range(NUMBER):
        changed, how = mutated(good, chance)
        path.write_bytes(changed)
        yield changed != good, how
    path.write_bytes(good)


def test_a_spoilt_database_says_so_or_answers_as_before(made, tmp_path):
    root = tmp_path / "case"
    shutil.copytree(made, root)
    right, refused = answer(root), 0
    for _, how in mutations(root / "trailscan.duckdb", 1):
        found = answer(root)
        refused += found is None
        assert found is None or found == right, how
    assert right is not None
    assert refused


@pytest.mark.parametrize("name", ["manifest.jsonl", "custody.jsonl"])
def test_a_spoilt_log_is_told_or_as_before(made, tmp_path, name):
    root = tmp_path / "case"
    shutil.copytree(made, root)
    archive = ArchiveFolder(str(root))
    with Database(archive.database).reading() as connection:
        known = remembered(connection)
    recorded, unread = list(archive.recorded()), 0
    for is_other, how in mutations(root / name, 2):
        flaws, lines = CustodyLog(archive).check(known), archive.unreadable_lines()
        is_appended = how == "lengthened"
        assert flaws or lines or is_appended or not is_other, how
        found = list(archive.recorded())
        assert found == recorded or flaws, how
        unread += bool(flaws)
    assert unread


def test_the_command_line_says_what_is_spoilt(made, tmp_path):
    """A few of each through the door that people use: no fault of trailscan, and no wrong answer with exit 0."""
    root, chance = tmp_path / "case", random.Random(3)
    files = ["trailscan.duckdb", "manifest.jsonl", "custody.jsonl", "objects/trail/0.json.gz", "keys/eu-west-1.json", ".lock"]
    for name in files:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(made, root)
        content = (root / name).read_bytes() if (root / name).exists() else b'[{"fingerprint": "00"}]'
        (root / name).write_bytes(mutated(content or b"0", chance)[0])
        for command in (["query", "--count"], ["status"], ["verify", "--jobs", "1"], ["custody"]):
            ended = trailscan(*command, "--archive", root)
            assert "fault of trailscan" not in ended.stderr, (name, command, ended.stderr)
            assert ended.code or command[0] != "query" or ended.stdout == b"150\n"
        ended = trailscan("rebuild", "--archive", root, "--jobs", 1)
        assert "fault of trailscan" not in ended.stderr, (name, ended.stderr)
        assert ended.code in {0, 3}
