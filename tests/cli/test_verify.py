"""`trailscan verify` as a user runs it: on archives that were synced, loaded, and tampered with."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Case, run
from tests.query.running import trailscan
from tests.support import signer, tamperings
from tests.support.signer import HOUR, START, Trail, build_chain, write_archive, write_bucket
from trailscan.verify.sync_scopes import SyncScope, scopes_of

CHAIN = build_chain(3, 2)
KEYS = [signer.kept_key(der) for der in tamperings.public_keys()[:2]]


@pytest.fixture
def root(tmp_path):
    return tmp_path / "case"


@pytest.fixture
def archive(root):
    return write_archive(CHAIN.objects, KEYS, root)


def verify(root, *more):
    return trailscan("verify", "--archive", root, "--jobs", "1", *more)


def rows(root, *more):
    return [json.loads(line) for line in verify(root, "--format", "jsonl", *more).stdout.splitlines()]


def wrong(found):
    return sorted((each["kind"], each["status"]) for each in found if each["status"] != "VALID")


def path_of(root, place):
    return root / "objects" / place[0] / place[1]


def sql(root, statement):
    import duckdb

    with duckdb.connect(str(root / "trailscan.duckdb"), read_only=True) as connection:
        return connection.execute(statement).fetchall()


def test_a_sound_archive_is_reported_as_such(archive, root):
    ended = verify(root)
    assert ended.code == 0
    said = ended.stdout.decode().splitlines()
    keys = [line for line in said if line.startswith("  keys/eu-west-1.json ")]
    assert [("from CloudTrail by ListPublicKeys at 20" in line, "for eu-west-1, valid" in line) for line in keys] == [
        (True, True)
    ] * 2
    assert [line for line in said if line not in keys] == [
        "",
        "Results requested for all that is held",
        "Results found for 2026-03-01T00:14:05Z to 2026-03-01T03:14:05Z:",
        "",
        "3/3 digest files valid",
        "6/6 log files valid",
        "keys: 2 public keys",
        "archive: 9 of 9 objects have the SHA-256 they were recorded with",
        "custody: every line of the log follows the one before it (`trailscan custody`)",
    ]
    assert ended.stderr.splitlines() == [
        "nothing invalid or missing; 9 objects read, 3 valid digests",
        "21 verdicts kept in the table `verdicts`",
    ]


def test_what_was_changed_deleted_and_broken_is_named_and_the_exit_code_is_4(archive, root):
    changed, deleted, broken = CHAIN.logs[0], CHAIN.logs[1], CHAIN.digests[2]
    path_of(root, changed).write_bytes(tamperings.gzipped(b"{}"))
    path_of(root, deleted).unlink()
    path_of(root, broken).write_bytes(b"x")
    ended = verify(root)
    assert ended.code == 4
    lines = ended.stdout.decode().splitlines()
    url = "s3://{}/{}".format
    assert any(line.startswith(f"Log file\t{url(*changed)}\tINVALID: hash value doesn't match") for line in lines)
    assert any(line.startswith(f"Log file\t{url(*deleted)}\tINVALID: not found") for line in lines)
    assert any(line.startswith(f"Digest file\t{url(*broken)}\tINVALID: invalid format") for line in lines)
    assert "2/3 digest files valid, 1/3 digest files INVALID" in lines
    assert "2/4 log files valid, 2/4 log files INVALID" in lines
    assert "archive: 6 of 9 objects have the SHA-256 they were recorded with" in lines
    assert any(line.startswith("UNCOVERED: 2 log files held") for line in lines)


def test_verbose_names_what_is_valid_too(archive, root):
    said = verify(root, "--verbose").stdout.decode()
    for kind, place in (("Digest file", CHAIN.digests[0]), ("Log file", CHAIN.logs[0]), ("Archive", CHAIN.logs[0])):
        assert f"{kind}\ts3://{place[0]}/{place[1]}\tvalid\n" in said


@pytest.mark.parametrize("wanted", ["json", "jsonl", "csv", "parquet"])
def test_every_format_gives_a_row_for_each_thing_checked(archive, root, wanted, tmp_path):
    import duckdb

    out = tmp_path / f"verdicts.{wanted}"
    ended = verify(root, "--format", wanted, "-o", out)
    assert (ended.code, ended.stdout) == (0, b"")
    reader = "read_csv" if wanted == "csv" else "read_parquet" if wanted == "parquet" else "read_json"
    found = duckdb.sql(
        f"SELECT kind, status, message, count(object) FROM {reader}('{out}') GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    sound = [("archive", "VALID", "valid", 9), ("digest", "VALID", "valid", 3), ("log", "VALID", "valid", 6)]
    assert [row for row in found if row[0] not in {"custody", "key"}] == sound
    assert {row[:2] for row in found if row[0] in {"custody", "key"}} == {("custody", "VALID"), ("key", "VALID")}


def test_the_text_report_goes_into_a_file_too(archive, root, tmp_path):
    verify(root, "-o", tmp_path / "report.txt")
    assert "3/3 digest files valid\n" in (tmp_path / "report.txt").read_text()


def test_verdicts_are_kept_and_replaced_and_the_custody_log_tells_of_it(archive, root):
    verify(root)
    path_of(root, CHAIN.logs[0]).unlink()
    assert verify(root).code == 4
    held = sql(root, "SELECT kind, status, count(*) FROM verdicts WHERE status <> 'VALID' GROUP BY ALL ORDER BY ALL")
    assert held == [("archive", "MISSING_LOG", 1), ("log", "MISSING_LOG", 1)]
    assert sql(root, "SELECT count(*) FROM verdicts WHERE kind = 'custody'") == [(1,)]
    assert sql(root, "SELECT value FROM about WHERE name = 'verified_at'")[0][0].endswith("Z")
    entries = [json.loads(line) for line in (root / "custody.jsonl").read_text().splitlines()]
    assert [entry["command"] for entry in entries] == ["sync", "verify", "verify"]
    assert entries[2]["counts"]["log_missing_log"] == 1


def test_a_tampered_custody_log_fails(archive, root):
    verify(root)
    verify(root)
    log = root / "custody.jsonl"
    log.write_text(log.read_text().replace('"log_valid":6', '"log_valid":7', 1))
    ended = verify(root)
    assert ended.code == 4
    assert "Custody\tcustody.jsonl line 3\tINVALID:" in ended.stdout.decode()


def test_an_edited_manifest_does_not_make_an_edited_object_good(archive, root):
    place = CHAIN.logs[0]
    manifest = (root / "manifest.jsonl").read_text()
    was = signer.sha256(path_of(root, place).read_bytes())
    (root / "manifest.jsonl").write_text(manifest.replace(was, "0" * 64))
    assert wrong(rows(root)) == [("archive", "INVALID_HASH")]


def test_an_object_that_the_database_was_made_to_forget_is_named(archive, root):
    import duckdb

    gone, forgotten = CHAIN.logs[:2]
    with duckdb.connect(str(root / "trailscan.duckdb")) as connection:
        connection.execute("DELETE FROM objects WHERE key IN (?, ?)", [gone[1], forgotten[1]])
    path_of(root, gone).unlink()
    found = [(each["object"].rpartition("/")[2], each["status"]) for each in rows(root) if each["kind"] == "archive"]
    assert [pair for pair in found if pair[1] != "VALID"] == sorted(
        [(gone[1].rpartition("/")[2], "MISSING_LOG"), (forgotten[1].rpartition("/")[2], "UNCOVERED")]
    )


def test_since_and_until_choose_the_digests(archive, root):
    found = rows(root, "--since", "2026-03-01T01:14:05Z", "--until", "2026-03-01T02:14:05Z")
    assert [each["object"].rpartition("_")[2] for each in found if each["kind"] == "digest"] == ["20260301T021405Z.json.gz"]
    assert sum(each["kind"] == "log" for each in found) == 2


def test_an_archive_without_digests_says_so_and_is_no_failure(root):
    write_archive({place: CHAIN.objects[place] for place in CHAIN.logs}, [], root)
    ended = verify(root)
    assert ended.code == 0
    said = ended.stdout.decode()
    assert "nothing could be checked against CloudTrail's signatures, since no digests are held" in said
    assert "NOT_VERIFIABLE: 6 log files held" in said
    assert "INVALID" not in said


def test_keys_that_cannot_be_used_are_a_verdict_and_the_rest_goes_on(archive, root):
    (root / "keys/eu-west-1.json").write_text("{")
    found = rows(root)
    assert ("archive", "BAD_KEY") in wrong(found)
    assert sum(each["status"] == "NOT_VERIFIABLE" and each["kind"] == "digest" for each in found) == 3
    assert sum(each["kind"] == "archive" and each["status"] == "VALID" for each in found) == 9


def test_an_archive_that_cannot_be_written_is_verified_all_the_same(archive, root):
    with archive.lock():
        ended = run("verify", "--archive", str(root))
    assert ended.code == 0
    assert "the verdicts were not kept" in ended.err
    assert "3/3 digest files valid" in ended.out


def test_nothing_that_a_log_says_steers_the_terminal(root):
    place = ("example-trail", "AWSLogs/\x1b[2J/x\ny.json.gz")
    write_archive({place: signer.Stored(b"x")}, [], root)
    (next((root / "objects").rglob("*.gz"))).write_bytes(b"y")
    said = verify(root).stdout.decode()
    assert "\x1b" not in said
    assert "Archive\ts3://example-trail/AWSLogs/\\x1b[2J/x\\ny.json.gz\tINVALID" in said


def test_a_folder_of_copies_is_verified_where_it_lies(tmp_path, root):
    write_bucket(CHAIN.objects, tmp_path / "download")
    run("load", str(tmp_path / "download"), "--archive", str(root))
    write_keys(root)
    found = rows(root)
    assert wrong(found) == [("digest", "NOT_VERIFIABLE"), ("log", "NOT_VERIFIABLE"), ("log", "NOT_VERIFIABLE")]
    assert {each["object"] for each in found if each["kind"] == "log"} == {
        str(tmp_path / "download" / bucket / key) for bucket, key in CHAIN.logs
    }


def test_a_tar_that_was_changed_after_it_was_loaded_is_named(tmp_path, root):
    import tarfile

    write_bucket(CHAIN.objects, tmp_path / "download")
    with tarfile.open(tmp_path / "case.tar", "w") as tar:
        tar.add(tmp_path / "download", "download")
    run("load", str(tmp_path / "case.tar"), "--archive", str(root))
    write_keys(root)
    body = CHAIN.objects[CHAIN.logs[0]].body
    data = (tmp_path / "case.tar").read_bytes()
    (tmp_path / "case.tar").write_bytes(data.replace(body, body[:-4] + b"\0\0\0\0"))
    assert {("archive", "INVALID_HASH"), ("log", "INVALID_FORMAT")} <= set(wrong(rows(root)))


def test_a_replica_is_verified_where_it_lies(case: Case):
    chain = build_chain(3, 2)
    write_bucket({(case.bucket, f"copied/{key}"): stored for (_, key), stored in chain.objects.items()}, case.folder.parent)
    case.serve()
    case.sync()
    write_keys(case.archive)
    ended = verify(case.archive)
    said = ended.stdout.decode().splitlines()
    assert "3/3 digest files valid" in said
    assert "6/6 log files valid" in said
    assert "copies: 3 digest files elsewhere than where CloudTrail delivered them: checked for the place they name" in said
    assert ended.code == 0
    covered = trailscan("coverage", "--archive", case.archive, "--by", "hour", "--format", "jsonl")
    found = {json.loads(line)["state"] for line in covered.stdout.splitlines()}
    assert found == {"held", "held, digests in part", "empty, digests in part"}


def test_what_cannot_be_verified_ends_with_3_and_is_not_called_invalid(root):
    write_archive(CHAIN.objects, [], root)
    ended = verify(root)
    assert ended.code == 3
    said = ended.stdout.decode()
    assert "0/3 digest files valid, 3/3 digest files NOT_VERIFIABLE" in said
    assert "NOT_VERIFIABLE: 3 digest files held, and what it takes to verify it is not" in said
    assert "INVALID" not in said
    assert "3 digests, keys and files could not be verified" in ended.stderr
    path_of(root, CHAIN.logs[0]).unlink()
    assert verify(root).code == 4


def write_keys(root: Path) -> None:
    from trailscan.archive.folder import ArchiveFolder

    signer.keep_keys(ArchiveFolder(str(root)), "eu-west-1", KEYS)


def test_a_synced_archive_is_verified_and_what_the_sync_left_out_is_not_called_missing(case: Case):
    days = build_chain(60, 1, trail=Trail(bucket=case.bucket))
    write_bucket(days.objects, case.folder.parent)
    gone = next(place for place in days.logs if "20260302T12" in place[1])
    (case.folder / gone[1]).unlink()
    case.serve()
    case.sync("--since", "2026-03-02T06:00", "--until", "2026-03-02T12:00")
    write_keys(case.archive)
    found = rows(case.archive)
    expected = [("digest", "NOT_SYNCED"), ("log", "MISSING_LOG"), ("log", "NOT_SYNCED")]  # the last: of the evening before
    assert [status for status in wrong(found) if status[1] != "UNCOVERED"] == expected
    assert [each["object"] for each in found if each["status"] == "MISSING_LOG"] == [f"s3://{gone[0]}/{gone[1]}"]


@pytest.mark.parametrize(
    ("arguments", "covered"),
    [
        ({"source": "s3://example-trail"}, True),
        ({"source": "s3://other-trail"}, False),
        ({"source": "s3://example-trail/AWSLogs/"}, True),
        ({"source": "s3://example-trail/mirror/"}, False),
        ({"source": "s3://example-trail", "since": "2026-03-01T00:00:00Z", "until": None}, True),
        ({"source": "s3://example-trail", "since": "2026-03-02T01:00:01Z", "until": None}, False),
        ({"source": "s3://example-trail", "since": None, "until": "2026-02-28T00:00:00Z"}, True),  # a day later is listed, too
        ({"source": "s3://example-trail", "since": None, "until": "2026-02-27T00:00:00Z"}, False),
        ({"source": "s3://example-trail", "account": ["111122223333"], "region": ["eu-west-1"]}, True),
        ({"source": "s3://example-trail", "account": ["444455556666"], "region": []}, False),
        ({"source": "s3://example-trail", "account": None, "region": ["us-east-1"]}, False),
        ({"source": "s3://example-trail", "stopped": True}, False),
        ({"source": "s3://example-trail", "keys": "keys.txt"}, False),
        ({"source": "elsewhere"}, False),
        ({"source": "s3://example-trail", "since": "soon"}, False),
    ],
)
def test_what_a_sync_covered_is_read_from_the_custody_log(arguments, covered, archive):
    from trailscan.archive.custody_log import CustodyLog

    log = CustodyLog(archive)
    log.append("sync", arguments, {})
    place, at = CHAIN.logs[0], START.replace(tzinfo=None)
    assert any(scope.covers(place, at) for scope in scopes_of(log.entries())) == covered


def test_a_sync_does_not_cover_what_was_delivered_after_it():
    at = START.replace(tzinfo=None)
    scope = SyncScope("example-trail", "", None, None, (), (), at)
    assert scope.covers(CHAIN.logs[0], at)
    assert not scope.covers(CHAIN.logs[0], at + HOUR)
