"""`trailscan status`: what is held, what was done, what is damaged; for people and for machines."""

import json

import pytest

from tests.query.running import trailscan
from tests.support.deliveries import ACCOUNT, BUCKET, REGION, Deliveries
from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.store.database import Database
from trailscan.store.database import run as run_sql


@pytest.fixture
def archive(tmp_path):
    trail = Deliveries(tmp_path / "case")
    trail.digest("2026-03-01T10:00", [trail.log("2026-03-01T09:15")])
    trail.log("2026-03-01T09:20", cut=9)
    assert trailscan("rebuild", "--archive", trail.root).code == 3
    return ArchiveFolder(str(trail.root))


def status(archive, *more):
    return trailscan("status", "--archive", archive.root, *more)


def facts(archive):
    return {row["fact"]: row["value"] for row in json.loads(status(archive, "--about", "--format", "json").stdout)}


def test_what_is_held_is_a_row_for_each_source_account_region_and_kind(archive):
    digests, logs = json.loads(status(archive, "--format", "json").stdout)
    assert (logs["source"], logs["account_id"], logs["region"], logs["kind"]) == (BUCKET, ACCOUNT, REGION, "log")
    assert (logs["objects"], logs["damaged"], logs["failed"], logs["not_loaded"]) == (2, 1, 0, 0)
    assert (digests["kind"], digests["objects"], digests["events"]) == ("digest", 1, 0)


def test_damage_is_listed_with_reasons(archive):
    [row] = json.loads(status(archive, "--damage", "--format", "json").stdout)
    assert (row["what"], row["source"], "ends before" in row["reason"]) == ("truncated", BUCKET, True)


def test_a_person_sees_all_three_and_exit_code_3(archive):
    ended = status(archive)
    held, told, damage = ended.stdout.decode().split("\n\n")
    assert held.startswith("source ")
    assert told.startswith("fact ")
    assert damage.startswith("what ")
    assert "1 thing damaged or missing, in 1 object" in ended.stderr
    assert ended.code == 3


def test_of_a_sound_archive_there_is_no_list_of_damage(tmp_path):
    Deliveries(tmp_path / "case").log("2026-03-01T09:15")
    assert trailscan("rebuild", "--archive", tmp_path / "case").code == 0
    ended = trailscan("status", "--archive", tmp_path / "case")
    assert (ended.code, len(ended.stdout.decode().split("\n\n"))) == (0, 2)


def test_the_last_sync_is_told_from_the_custody_log(archive):
    with archive.lock():
        custody = CustodyLog(archive)
        custody.append("sync", {}, {"listed": 1, "fetched": 1})
        last = custody.append("sync", {}, {"listed": 1200, "fetched": 0, "out_of_range": 3})
    assert facts(archive)["last sync"] == f"{last.at}: 1,200 listed, 0 fetched, 3 out of range"


def test_what_verification_found_is_counted(archive):
    assert facts(archive)["verified"] == "never: `trailscan verify`"
    with Database(archive.database).writing() as connection:
        rows = "(VALUES ('digest', 'VALID'), ('log', 'VALID'), ('log', 'VALID'), ('log', 'INVALID_HASH')) AS rows(kind, status)"
        run_sql(connection, f"INSERT INTO verdicts BY NAME SELECT *, '' AS object, '' AS message FROM {rows}")
        run_sql(connection, "INSERT INTO about VALUES ('verified_at', '2026-03-05T10:00:00Z')")
    assert facts(archive)["verified"] == "2026-03-05T10:00:00Z: 1 digest VALID, 2 log VALID, 1 log INVALID_HASH"


def test_digests_keys_and_sizes_are_told(archive, tmp_path):
    archive.create()
    (tmp_path / "case" / "keys" / "eu-west-1.json").write_text('[{"fingerprint": "a"}, {"fingerprint": "b"}]')
    (tmp_path / "case" / "keys" / "us-east-1.json").write_text("[")
    found = facts(archive)
    assert (found["digests"], found["public keys"]) == ("1", "eu-west-1 2, us-east-1 unreadable")
    assert found["size"].endswith("of database")


def test_without_keys_it_says_what_that_means(archive):
    assert facts(archive)["public keys"] == "none: signatures of digests cannot be verified"


def test_only_one_part_can_be_asked_for(archive):
    assert status(archive, "--about", "--damage").code == 2
