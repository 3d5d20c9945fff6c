"""Sync in one process: its funnel adds up whatever the bucket does, and every object is where it is said to be."""

import hashlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import world
from tests.support.served import Served
from tests.support.standin import FaultName, Rule
from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.origin import Origin, name_of, state_of
from trailscan.aws import s3
from trailscan.aws.s3 import Bucket, ObjectRefused
from trailscan.aws.s3_pages import Listed
from trailscan.errors import ArchiveError, CredentialsError
from trailscan.fetch.download import Download, MissingObject
from trailscan.fetch.listing import ListingScope, ListingSurvey, parts_of
from trailscan.fingerprints import FingerprintIndex

ALL = ListingScope()
WHEN = world.START
FOLDER = f"AWSLogs/{world.ACCOUNT}/CloudTrail/{world.REGION}/2026/03"
NUMBERS = count()


def _run(
    bucket: Bucket, archive: ArchiveFolder, held: FingerprintIndex, scope: ListingScope = ALL, prefix: str = ""
) -> tuple[Download, list[Origin | MissingObject]]:
    sync, survey = Download(bucket, archive, held, lambda: False), ListingSurvey()
    found = sync.run(parts_of(bucket, prefix, scope, survey, 4), survey.loose, scope)
    return sync, [each for arrived in found for each in arrived or []]


def _held(arrived: list[Origin | MissingObject]) -> FingerprintIndex:
    return FingerprintIndex((name_of(found), state_of(found)) for found in arrived if isinstance(found, Origin))


def _got(served: Served, key: str, *faults: Rule) -> bytes:
    return served.open(*faults).get(Listed(key, None, None, None)).data


FATES = st.lists(
    st.sampled_from(["there", "held", "changed", "denied", "archived", "length", "beyond", "flat", "odd"]), max_size=12
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fates=FATES)
def test_the_funnel_adds_up_and_agrees_with_what_arrived_and_what_is_on_disk(
    served: Served, tmp_path: Path, fates: list[str]
) -> None:
    number = next(NUMBERS)
    archive = ArchiveFolder(str(tmp_path / f"case-{number}"))
    archive.create()
    places = {"beyond": "09/x", "flat": "", "odd": "01/odd name "}
    rules: list[Rule] = []
    keys: dict[str, str] = {}
    for at, fate in enumerate(fates):
        name = f"{world.ACCOUNT}_CloudTrail_{world.REGION}_20260301T0005Z_{number:08}{at:08}.json.gz"
        key = f"{number}/flat/{name}" if fate == "flat" else f"{number}/{FOLDER}/{places.get(fate, '01/')}{name}"
        keys[served.put(key, f"first {at}".encode())] = fate
        if fate in {"denied", "archived", "length"}:
            rules.append(Rule(name, fate, -1))  # type: ignore[arg-type]
    _, before = _run(served.open(), archive, FingerprintIndex(()), prefix=f"{number}/")
    known = [found for found in before if isinstance(found, Origin) and keys[found.key] in {"held", "changed"}]
    for key, fate in keys.items():
        if fate == "changed":
            served.put(key, b"other" + (served.folder / key).read_bytes()[5:])
    archive = ArchiveFolder(archive.root)
    scope = ListingScope(until=WHEN)
    sync, arrived = _run(served.open(*rules), archive, _held(list(known)), scope, f"{number}/")

    counts = sync.counts
    assert sync.error is None
    assert counts.listed == len(fates) == counts.held + counts.wanted + counts.beyond
    assert counts.wanted == counts.fetched + counts.missing == len(arrived) == sum(sync.by_place.values())
    assert counts.held == fates.count("held")
    assert counts.beyond == fates.count("beyond")
    assert counts.changed == fates.count("changed")
    whats = {"denied": "access-denied", "archived": "archived", "length": "wrong-length"}
    for found in arrived:
        if isinstance(found, MissingObject):
            assert found.what == whats[keys[found.origin.key]]
            continue
        data = Path(archive.place(found.path)).read_bytes()
        assert found.path.startswith(f"objects/{served.folder.name}/")
        assert data == (served.folder / found.key).read_bytes()
        assert (found.sha256, found.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
        assert found.changed == (keys[found.key] == "changed")
    assert {origin.key for origin, _ in archive.recorded()} == set(keys)


def test_the_same_bytes_under_another_etag_are_no_change(served: Served, archive: ArchiveFolder) -> None:
    key = served.put(f"{FOLDER}/01/x.json.gz")
    archive.put(f"objects/{served.folder.name}/{key}", b"x", None)
    sync, [found] = _run(
        served.open(), archive, FingerprintIndex([(f"s3://{served.folder.name}/{key}", '"of another encryption"')])
    )
    assert isinstance(found, Origin)
    assert not found.changed
    assert sync.counts.changed == 0


@pytest.mark.parametrize("name", ["incoming", "keys", "objects"])
def test_a_bucket_named_as_the_archives_own_folders_are_is_as_safe_as_any(
    served: Served, archive: ArchiveFolder, buckets: Path, name: str
) -> None:
    alike = Served(served.standin, buckets / name)
    key = alike.put(f"{FOLDER}/01/x.json.gz", b"body")
    _, [found] = _run(alike.open(), archive, FingerprintIndex(()))
    with archive.lock():  # which sweeps incoming/
        assert isinstance(found, Origin)
        assert Path(archive.place(found.path)).read_bytes() == b"body"
        assert found.path == f"objects/{name}/{key}"


def test_a_plan_counts_the_same_as_a_run_and_fetches_nothing(served: Served, archive: ArchiveFolder) -> None:
    for number in range(5):
        served.put(f"{FOLDER}/01/{number}.json.gz", b"x" * number)
    bucket, survey = served.open(), ListingSurvey()
    plan = Download(bucket, archive, FingerprintIndex(()), lambda: False)
    plan.plan(parts_of(bucket, "", ALL, survey, 4), survey.loose, ALL)
    assert (plan.counts.wanted, plan.counts.wanted_bytes) == (5, 10)
    assert served.asked("GetObject") == 0
    sync, _ = _run(bucket, archive, FingerprintIndex(()))
    assert sync.by_place == plan.by_place
    assert sync.bytes_by_place == plan.bytes_by_place


def test_expired_credentials_end_the_run_and_what_was_fetched_is_passed_on(served: Served, archive: ArchiveFolder) -> None:
    for number in range(200):
        served.put(f"{FOLDER}/01/{number:03}.json.gz")
    sync, arrived = _run(served.open(Rule("1[0-9][0-9].json", "expired", -1)), archive, FingerprintIndex(()))
    assert isinstance(sync.error, CredentialsError)
    assert 0 < len(arrived) == sync.counts.fetched <= 100
    assert sync.counts.wanted > sync.counts.fetched


def test_a_disk_that_refuses_ends_the_run(served: Served, archive: ArchiveFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        served.put(f"{FOLDER}/01/{number:03}.json.gz")

    def refuse(*_: object) -> None:
        raise ArchiveError("cannot write", "is the disk full?")

    monkeypatch.setattr(archive, "put_all", refuse)
    sync, arrived = _run(served.open(), archive, FingerprintIndex(()))
    assert arrived == []
    assert isinstance(sync.error, ArchiveError)


def test_a_run_that_is_stopped_ends_with_a_funnel_that_adds_up(served: Served, archive: ArchiveFolder) -> None:
    for number in range(500):
        served.put(f"{FOLDER}/01/{number:03}.json.gz")
    bucket, survey, asked = served.open(), ListingSurvey(), iter(range(1_000_000))
    sync = Download(bucket, archive, FingerprintIndex(()), lambda: next(asked) > 100)
    arrived = list(_flat(sync.run(parts_of(bucket, "", ALL, survey, 4), survey.loose, ALL)))
    assert sync.counts.fetched == len(arrived) < 500
    assert sync.counts.listed == sync.counts.wanted == 500


def _flat(lists: Iterator[list[Origin | MissingObject] | None]) -> Iterator[Origin | MissingObject]:
    for arrived in lists:
        yield from arrived or []


@pytest.mark.parametrize("fault", ["slowdown", "reset", "short"])
def test_what_passes_is_tried_again(served: Served, fault: FaultName) -> None:
    key = served.put("k.gz", b"body" * 1_000)
    assert _got(served, key, Rule("", fault, 2)) == b"body" * 1_000
    assert served.asked("GetObject") == 3


def test_a_server_that_falls_silent_is_asked_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    key = served.put("k.gz", b"body")
    monkeypatch.setattr(s3, "_READ_TIMEOUT", "300ms")
    assert _got(served, key, Rule("", "stall", 1, seconds=30)) == b"body"
    assert served.asked("GetObject") == 2


@pytest.mark.parametrize(("fault", "what"), [("denied", "access-denied"), ("archived", "archived")])
def test_one_object_that_cannot_be_had_is_refused_by_name(served: Served, fault: FaultName, what: str) -> None:
    for key in ("k.gz", "a//k.gz"):  # the fast way and the slow one
        Path(f"{served.folder}.keys.json").write_text('{"k.gz": "x", "a//k.gz": "x"}')
        with pytest.raises(ObjectRefused) as refused:
            _got(served, key, Rule("", fault, -1))
        assert refused.value.what == what


def test_an_object_that_is_gone_is_refused_and_no_other_is_fetched_in_its_place(served: Served) -> None:
    served.put("k.gz", b"another")
    for key in ("gone.gz", "/k.gz", "k.gz/", "//k.gz"):
        with pytest.raises(ObjectRefused):
            _got(served, key)
