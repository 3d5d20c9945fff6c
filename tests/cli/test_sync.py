"""`trailscan sync` from a bucket that behaves, run as a user runs it."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.cli.conftest import ACCESS_KEY, SECRET, Case, run
from tests.support import world

DIGEST = (
    "AWSLogs/o-exampleorg1/111122223333/CloudTrail-Digest/eu-west-1/2026/03/01/"
    "111122223333_CloudTrail-Digest_eu-west-1_org-trail_eu-west-1_20260301T100000Z.json.gz"
)
SIGNATURE = {
    "signature": "00ff" * 128,
    "signature-algorithm": "SHA256withRSA",
    "start-time-algorithm": "none",
}
EMPTY_DIGEST = json.dumps(
    {
        "awsAccountId": "111122223333",
        "digestStartTime": "2026-03-01T09:00:00Z",
        "digestEndTime": "2026-03-01T10:00:00Z",
        "digestS3Bucket": "example-trail",
        "digestS3Object": DIGEST,
        "digestPublicKeyFingerprint": "0" * 32,
        "previousDigestSignature": None,
        "logFiles": [],
    }
).encode()
ORGANIZATION = {"organization": "o-exampleorg1", "prefix": "logs"}


def _client(url: str, service: str = "s3") -> Any:
    return boto3.client(
        service, endpoint_url=url, region_name="us-east-1", aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET
    )


@pytest.fixture
def moto_bucket(case: Case, moto_url: str) -> Any:
    """The case's bucket, in moto; `fill` puts there what was put into the case."""
    client = _client(moto_url)
    client.create_bucket(Bucket=case.bucket)

    def fill(metadata: dict[str, dict[str, str]] | None = None) -> None:
        for path in sorted(case.folder.rglob("*.gz")):
            key = path.relative_to(case.folder).as_posix()
            client.put_object(Bucket=case.bucket, Key=key, Body=path.read_bytes(), Metadata=(metadata or {}).get(key, {}))

    return fill


def test_an_organization_trail_in_moto_is_synced_whole_and_a_second_time_not_at_all(
    case: Case, moto_bucket: Any, moto_url: str
) -> None:
    keys = [
        case.log(account=account, region=region, **ORGANIZATION)
        for account in ("111122223333", "444455556666")
        for region in ("eu-west-1", "us-east-1")
    ]
    case.put("logs/AWSLogs/o-exampleorg1/111122223333/Config/eu-west-1/2026/3/1/a.json.gz", b"")
    digest = case.put(f"logs/{DIGEST}", world.gzipped(EMPTY_DIGEST))
    moto_bucket({digest: SIGNATURE})

    first = case.sync("--endpoint-url", moto_url)
    assert first.code == 0, first.err
    assert first.out == ""
    assert "objects: 5 listed = 5 fetched" in first.err
    assert "left alone: 1 folder of other services (Config)" in first.err
    assert "no public keys for eu-west-1, so its digests cannot be verified yet" in first.err
    assert "records: 8 read = 8 loaded" in first.err
    rows = case.sql("SELECT key, path, sha256 FROM objects ORDER BY key")
    assert [row[0] for row in rows] == sorted([*keys, digest])
    for key, path, _ in rows:
        assert (case.archive / str(path)).read_bytes() == (case.folder / str(key)).read_bytes()
    [(metadata,)] = case.sql("SELECT metadata::VARCHAR FROM objects WHERE kind = 'digest'")
    assert json.loads(str(metadata)) == SIGNATURE

    second = case.sync("--endpoint-url", moto_url)
    assert second.code == 0
    assert "objects: 5 listed = 5 held already" in second.err
    assert "nothing to fetch: the archive holds each of them with the ETag that the bucket shows" in second.err
    assert len(case.sql("FROM objects")) == 5


def test_an_object_changed_to_one_of_the_same_size_is_kept_beside_the_first(
    case: Case, moto_bucket: Any, moto_url: str
) -> None:
    key = case.put(world.key("111122223333", "eu-west-1", world.START, "a" * 16), world.gzipped(b'{"Records":[]}'))
    moto_bucket()
    assert case.sync("--endpoint-url", moto_url).code == 0
    before = (case.folder / key).read_bytes()
    case.put(key, before[:-1] + bytes([before[-1] ^ 1]))  # another length in gzip's trailer
    moto_bucket()

    ended = case.sync("--endpoint-url", moto_url)
    assert ended.code == 3, ended.err
    assert "beware: 1 object changed in the bucket since first fetched; both are kept" in ended.err
    assert ("changed", key) in case.damage()
    paths = [case.archive / str(path) for (path,) in case.sql("SELECT path FROM objects ORDER BY object_id")]
    assert [path.read_bytes() for path in paths] == [before, (case.folder / key).read_bytes()]
    assert case.sync("--endpoint-url", moto_url).code == 0


def test_a_role_is_assumed_with_the_credentials_that_are_found(case: Case, moto_bucket: Any, moto_url: str) -> None:
    case.log()
    moto_bucket()
    role = "arn:aws:iam::111122223333:role/Reader"
    ended = case.sync("--endpoint-url", moto_url, "--role-arn", role, AWS_ENDPOINT_URL_STS=moto_url)
    assert ended.code == 0, ended.err
    assert "1 listed = 1 fetched" in ended.err


def test_a_digests_metadata_and_its_records_come_from_the_stand_in_too(case: Case) -> None:
    digest = case.put(DIGEST, world.gzipped(EMPTY_DIGEST))
    Path(f"{case.folder}.metadata.json").write_text(json.dumps({digest: SIGNATURE}))
    case.log()
    case.serve()
    ended = case.sync()
    assert ended.code == 0, ended.err
    assert "no public keys for eu-west-1" in ended.err
    assert case.sql("SELECT metadata->>'signature' FROM objects WHERE kind = 'digest'") == [(SIGNATURE["signature"],)]


def test_a_late_object_is_found_by_the_next_run_which_fetches_nothing_else(case: Case) -> None:
    case.log("2026-03-02T09:15")
    case.serve()
    assert case.sync().code == 0
    late = case.log("2026-03-01T09:15")
    case.serve()
    ended = case.sync()
    assert ended.code == 0
    assert "2 listed = 1 held already + 1 fetched" in ended.err
    assert case.fetches == 1
    assert case.sql("SELECT key FROM objects ORDER BY object_id DESC LIMIT 1") == [(late,)]
    case.serve()
    assert "nothing to fetch" in case.sync().err
    assert case.fetches == 0


def test_a_dry_run_says_what_there_is_and_writes_nothing(case: Case) -> None:
    for hour in range(3):
        case.log(f"2026-03-01T0{hour}:15")
    case.log(account="444455556666", region="us-east-1")
    case.serve()
    ended = case.sync("--dry-run")
    assert ended.code == 0
    assert not case.archive.exists()
    assert case.fetches == 0
    told = [line.split()[:3] for line in ended.out.splitlines() if line.strip()[:1].isdigit()]
    assert ["111122223333", "eu-west-1", "3"] in told
    assert ["444455556666", "us-east-1", "1"] in told
    assert "objects: 4 listed = 4 to fetch" in ended.err
    case.sync()
    assert "objects: 4 listed = 4 held already" in case.sync("--dry-run").err


def test_what_was_fetched_with_no_load_is_loaded_by_the_next_sync(case: Case) -> None:
    case.log()
    case.log("2026-03-01T10:15")
    case.serve()
    ended = case.sync("--no-load")
    assert ended.code == 0, ended.err
    assert "not loaded, as --no-load asked" in ended.err
    assert case.statuses() == {"fetched": 2}
    assert case.sql("SELECT count(*) FROM events") == [(0,)]
    ended = case.sync()
    assert ended.code == 0, ended.err
    assert "records: 4 read = 4 loaded" in ended.err
    assert case.fetches == 2
    assert case.statuses() == {"ok": 2}


def test_what_was_loaded_with_only_is_loaded_in_full_by_a_sync_without(case: Case) -> None:
    keys = [case.log(f"2026-03-01T{hour:02}:15", records=40) for hour in range(5)]
    case.serve()
    ended = case.sync("--only", "StartSession", "--only", "Describe*")
    assert ended.code == 0, ended.err
    names = {name for (name,) in case.sql("SELECT DISTINCT event_name FROM events")}
    assert names
    assert all(name == "StartSession" or str(name).startswith("Describe") for name in names)
    ended = case.sync()
    assert ended.code == 0, ended.err
    assert case.sql("SELECT count(*) FROM events") == [(200,)]
    assert case.sql("SELECT count(*), count(DISTINCT key), count(only_events) FROM objects") == [(len(keys), len(keys), 0)]
    assert case.fetches == 5


def test_the_url_of_one_object_fetches_just_that(case: Case) -> None:
    case.log()
    wanted = case.log("2026-03-01T10:15")
    case.serve()
    ended = case.sync(prefix=wanted)
    assert ended.code == 0, ended.err
    assert case.sql("SELECT key FROM objects") == [(wanted,)]
    assert case.fetches == 1
    again = case.sync(prefix=wanted)
    assert again.code == 0
    assert "1 listed = 1 held already" in again.err


def test_keys_from_a_file_and_from_stdin_are_fetched_without_listing(case: Case, tmp_path: Path) -> None:
    keys = [case.log(f"2026-03-01T{hour:02}:15") for hour in range(4)]
    (tmp_path / "keys").write_text(f"{keys[0]}\n\ns3://{case.bucket}/{keys[1]}\n")
    case.serve()
    assert case.sync("--keys", str(tmp_path / "keys")).code == 0
    assert case.sync("--keys", "-", typed=f"{keys[1]}\n{keys[2]}\n").code == 0
    assert sorted(key for (key,) in case.sql("SELECT key FROM objects")) == keys[:3]
    assert "ListObjectsV2" not in case.standin.stats()["requests"]
    missing = case.sync("--keys", "-", typed="AWSLogs/not/there.json.gz\n")
    assert missing.code == 3
    assert "AWSLogs/not/there.json.gz: " in missing.err


def test_quiet_says_nothing(case: Case) -> None:
    case.log()
    case.serve()
    assert (case.sync("--quiet").out, case.sync("--quiet").err) == ("", "")


def test_a_range_of_dates_fetches_what_was_delivered_after_midnight_and_no_more(case: Case) -> None:
    for day in range(1, 8):
        case.log(f"2026-03-0{day}T12:00")
    late = case.log("2026-03-04T00:05", events=["2026-03-03T23:58"])
    case.serve()
    ended = case.sync("--since", "2026-03-03", "--until", "2026-03-04")
    assert ended.code == 0, ended.err
    found = case.query("--until", "2026-03-04", "--format", "jsonl", "--columns", "event_time,key")
    assert late in found.out
    days = {str(key).split("/")[-2] for (key,) in case.sql("SELECT key FROM objects")}
    assert days == {"02", "03", "04", "05"}
    assert "days of delivery from 2026-03-02 to 2026-03-05" in ended.err


def test_accounts_and_regions_that_were_not_asked_for_are_left_out(case: Case) -> None:
    keys = {
        (account, region): case.log(account=account, region=region, organization="o-exampleorg1")
        for account in ("111122223333", "444455556666")
        for region in ("eu-west-1", "us-east-1")
    }
    case.serve()
    ended = case.sync("--account", "444455556666", "--region", "us-east-1")
    assert ended.code == 0, ended.err
    assert case.sql("SELECT key FROM objects") == [(keys["444455556666", "us-east-1"],)]
    assert "left out: 2 folders of accounts or regions that were not asked for" in ended.err
    assert run("query", "--archive", str(case.archive), "--count").out.strip() == "2"
