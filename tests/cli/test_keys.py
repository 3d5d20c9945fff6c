"""`trailscan keys`, `verify --public-keys`, and the keys that a sync asks for, as a user sees them."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.conftest import Case
from tests.query.running import trailscan
from tests.support import signer
from tests.support.cloudtrail import CloudTrail, Offered
from tests.support.signer import HOUR, START, Stored, Trail, build_chain, resigned, write_archive, write_bucket

CHAIN = build_chain(3, 1)
MAIN = signer.signer()
OTHER = signer.signer("other")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "case"


def verify(root, *more):
    return trailscan("verify", "--archive", root, "--jobs", "1", *more)


def rows(root, *more):
    return [json.loads(line) for line in verify(root, "--format", "jsonl", *more).stdout.splitlines()]


def statuses(found, kind="digest"):
    return [each["status"] for each in found if each["kind"] == kind]


def custody(root):
    return [json.loads(line) for line in (root / "custody.jsonl").read_text().splitlines()]


def listed(*made, since=1771545600, until=1774137600):
    """What `aws cloudtrail list-public-keys` prints."""
    keys = [made_key.public_key() for made_key in made]
    fields = [
        {"Value": key["value"], "ValidityStartTime": since, "ValidityEndTime": until, "Fingerprint": key["fingerprint"]}
        for key in keys
    ]
    return json.dumps({"PublicKeyList": fields}, indent=4)


TIMES = {
    "v1": (1771545600.0, 1774137600.0),
    "v1-text": ("1771545600", "1774137600.0"),
    "v2": ("2026-02-20T00:00:00+00:00", "2026-03-22T01:00:00+01:00"),
    "v2-fractions": ("2026-02-20T00:00:00.123000Z", "2026-03-22T00:00:00.5+00:00"),
}


@pytest.mark.parametrize("name", TIMES)
def test_what_aws_printed_is_taken_in_whatever_its_notation_of_times(root, tmp_path, name):
    write_archive(CHAIN.objects, [], root)
    since, until = TIMES[name]
    (tmp_path / "keys.json").write_text(listed(MAIN, since=since, until=until))
    ended = verify(root, "--public-keys", tmp_path / "keys.json")
    assert (ended.code, "3/3 digest files valid" in ended.stdout.decode()) == (0, True)
    assert f"given with --public-keys {tmp_path / 'keys.json'}; not kept" in ended.stdout.decode()
    assert verify(root).code == 3
    ended = trailscan("keys", "import", tmp_path / "keys.json", "--region", "eu-west-1", "--archive", root)
    assert (ended.code, "1 public key imported" in ended.stderr) == (0, True)
    found = rows(root)
    assert statuses(found) == ["VALID"] * 3
    assert {each["message"] for each in found if each["kind"] == "digest"} == {
        f"valid: its key was imported from {tmp_path / 'keys.json'}"
    }
    ended = verify(root)
    assert ended.code == 0
    assert f"{MAIN.fingerprint}: imported from {tmp_path / 'keys.json'} at 20" in ended.stdout.decode()
    [entry] = [entry for entry in custody(root) if entry["command"] == "keys import"]
    assert (entry["arguments"]["from"], list(entry["sums"])) == (
        str(tmp_path / "keys.json"),
        [f"key eu-west-1 {MAIN.fingerprint}"],
    )
    assert "2026-02-20" in (root / "keys/eu-west-1.json").read_text()


def test_keys_of_a_folder_count_for_the_region_that_their_file_names(root, tmp_path):
    write_archive(CHAIN.objects, [], root)
    folder = tmp_path / "keys-of-all-regions"
    folder.mkdir()
    (folder / "public-keys.us-east-1.json").write_text(listed(MAIN))
    assert trailscan("keys", "import", folder, "--archive", root).code == 0
    assert statuses(rows(root)) == ["NOT_VERIFIABLE"] * 3
    (folder / "public-keys.eu-west-1.json").write_text(listed(MAIN))
    assert trailscan("keys", "import", folder, "--archive", root).stderr.startswith("1 public key imported")
    assert statuses(rows(root)) == ["VALID"] * 3


def test_another_archives_keys_come_with_where_that_one_had_them_from(root, tmp_path):
    write_archive(CHAIN.objects, [MAIN.public_key()], tmp_path / "other")
    write_archive(CHAIN.objects, [], root)
    assert trailscan("keys", "import", tmp_path / "other", "--archive", root).code == 0
    assert verify(root).code == 0
    there = custody(root)[-2]["arguments"]["there"]
    assert there[f"eu-west-1 {MAIN.fingerprint}"].startswith("from CloudTrail by ListPublicKeys at 20")


def test_keys_are_listed_with_where_they_came_from(root, tmp_path):
    archive = write_archive(CHAIN.objects, [MAIN.public_key()], root)
    (tmp_path / "eu-west-1.json").write_text(listed(OTHER))
    trailscan("keys", "import", tmp_path / "eu-west-1.json", "--archive", root)
    archive.save_keys("us-east-1", [MAIN.public_key()])
    ended = trailscan("keys", "list", "--archive", root, "--format", "jsonl")
    found = {(row["region"], row["fingerprint"]): row["source"] for row in map(json.loads, ended.stdout.splitlines())}
    assert found == {
        ("eu-west-1", MAIN.fingerprint): "ListPublicKeys",
        ("eu-west-1", OTHER.fingerprint): str(tmp_path / "eu-west-1.json"),
        ("us-east-1", MAIN.fingerprint): None,
    }
    assert (ended.code, "1 of which custody does not know" in ended.stderr) == (3, True)


@pytest.mark.parametrize(
    "text", ["", "{", "[]x", '{"PublicKeyList": 7}', "[1]", '{"PublicKeyList":[{"Value":"AAAA"}]}', "[" * 99_999]
)
def test_a_file_without_keys_is_refused_in_words(root, tmp_path, text):
    (tmp_path / "keys.json").write_text(text)
    ended = trailscan("keys", "import", tmp_path / "keys.json", "--archive", root)
    assert (ended.code, "holds no public key" in ended.stderr) == (1, True)
    assert trailscan("keys", "import", tmp_path / "none.json", "--archive", root).code == 1


def test_an_altered_key_among_others_is_named_and_left_out(root, tmp_path):
    write_archive(CHAIN.objects, [], root)
    text = listed(MAIN, OTHER).replace(OTHER.fingerprint, "0" * 32)
    (tmp_path / "keys.json").write_text(text)
    ended = trailscan("keys", "import", tmp_path / "keys.json", "--archive", root)
    assert (ended.code, "it was altered" in ended.stderr) == (3, True)
    assert statuses(rows(root)) == ["VALID"] * 3


def test_a_planted_key_is_named_and_proves_nothing(root):
    """Every digest says that nothing was delivered, soundly signed, by somebody who put his own key beside CloudTrail's."""
    archive = write_archive(CHAIN.objects, [MAIN.public_key()], root)
    forged, before = {}, None
    for hour, place in enumerate(CHAIN.digests):
        content = signer.digest_content(Trail(), START + hour * HOUR, START + (hour + 1) * HOUR, {}, before, OTHER)
        before = (place, signer.sign(content, OTHER))
        forged[place] = before[1]
    write_archive(forged, [MAIN.public_key()], root.with_name("forged")).save_keys("eu-west-1", [OTHER.public_key()])
    ended = verify(root.with_name("forged"))
    assert ended.code == 3
    assert f"{OTHER.fingerprint}\tNOT_VERIFIABLE: custody does not know where it came from" in ended.stdout.decode()
    covered = trailscan("coverage", "--archive", root.with_name("forged"), "--by", "hour", "--format", "jsonl")
    assert {json.loads(line)["state"] for line in covered.stdout.splitlines()} == {"unknown"}
    archive.save_keys("eu-west-1", [MAIN.public_key() | {"valid_until": "2036-01-01T00:00:00+00:00"}])
    assert verify(root).code == 3  # edited: it would be valid for longer


# What a sync asks for


@pytest.fixture
def cloudtrail():
    with CloudTrail([MAIN.der]) as running:
        yield running


def sync(case: Case, cloudtrail: CloudTrail, *more: str):
    source = f"s3://{case.bucket}/"
    urls = {"AWS_ENDPOINT_URL_S3": case.standin.url, "AWS_ENDPOINT_URL_CLOUDTRAIL": cloudtrail.url}
    from tests.cli.conftest import run

    return run("sync", source, "--archive", str(case.archive), "--jobs", "1", *more, **urls)


def delivered(case: Case, chain, *faults):
    write_bucket({(case.bucket, key): stored for (_, key), stored in chain.objects.items()}, case.folder.parent)
    case.serve(*faults)


def of_bucket(case: Case, hours=3, **more):
    return build_chain(hours, 1, trail=Trail(bucket=case.bucket, **more))


def test_keys_that_were_refused_are_asked_for_by_the_next_sync_though_nothing_new_came(case: Case, cloudtrail):
    delivered(case, of_bucket(case))
    cloudtrail.refuses = True
    ended = sync(case, cloudtrail)
    assert "no public keys for eu-west-1, so its digests cannot be verified yet" in ended.err
    assert statuses(rows(case.archive)) == ["NOT_VERIFIABLE"] * 3
    cloudtrail.refuses = False
    assert "digests of eu-west-1: 1 public key saved" in sync(case, cloudtrail).err
    assert (verify(case.archive).code, statuses(rows(case.archive))) == (0, ["VALID"] * 3)
    asked = len(cloudtrail.asked)
    assert "public key" not in sync(case, cloudtrail).err
    assert len(cloudtrail.asked) == asked
    entry = next(entry for entry in custody(case.archive) if entry["sums"])
    assert (entry["command"], list(entry["sums"])) == ("sync", [f"key eu-west-1 {MAIN.fingerprint}"])


@pytest.mark.parametrize("damage", ["deleted", "planted", "broken"])
def test_keys_that_were_lost_or_altered_are_asked_for_again(case: Case, cloudtrail, damage):
    delivered(case, of_bucket(case))
    sync(case, cloudtrail)
    file = case.archive / "keys/eu-west-1.json"
    if damage == "deleted":
        file.unlink()
    else:
        file.write_text("{" if damage == "broken" else file.read_text().replace("2026-03-22", "2036-03-22"))
    assert verify(case.archive).code in {3, 4}
    sync(case, cloudtrail)
    assert verify(case.archive).code == 0


def test_a_fingerprint_that_cloudtrail_does_not_know_is_invalid_and_asked_for_at_every_sync(case: Case, cloudtrail):
    chain = of_bucket(case)
    last = chain.digests[-1]
    forged = resigned(chain.objects[last], OTHER, logFiles=[], digestPublicKeyFingerprint=OTHER.fingerprint)
    delivered(case, signer.Chain(chain.objects | {last: forged}, chain.digests, chain.logs))
    for _ in range(2):
        ended = sync(case, cloudtrail)
    assert f"CloudTrail has none of the 1 fingerprint {OTHER.fingerprint}" in ended.err
    assert statuses(rows(case.archive)) == ["VALID", "VALID", "NO_KEY"]
    cloudtrail.keys.append(Offered(OTHER.der))
    sync(case, cloudtrail)
    assert statuses(rows(case.archive)) == ["VALID"] * 3


def test_backfill_digests_are_asked_for_by_the_time_at_which_they_were_made(case: Case, cloudtrail):
    chain = of_bucket(case, backfill=True)
    made = datetime(2026, 4, 9, 12, tzinfo=UTC)
    late = {"backfill-generation-timestamp": "2026-04-09T12:00:00Z"}
    objects = {
        place: Stored(stored.body, {**stored.metadata, **late}) if place in chain.digests else stored
        for place, stored in chain.objects.items()
    }
    cloudtrail.keys = [Offered(MAIN.der, since=made - timedelta(minutes=30), until=made + timedelta(days=30))]
    delivered(case, signer.Chain(objects, chain.digests, chain.logs))
    sync(case, cloudtrail)
    assert cloudtrail.asked == [("eu-west-1", (made - HOUR).timestamp(), (made + HOUR).timestamp())]
    assert statuses(rows(case.archive)) == ["VALID"] * 3
