"""What each account, region and day is said to be, from real archives; and random deliveries against a plain model."""

import contextlib
from datetime import datetime, timedelta
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.query.running import trailscan
from tests.support import signer
from tests.support.deliveries import ACCOUNT, BUCKET, REGION, Deliveries
from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.origin import Origin
from trailscan.errors import UsageError
from trailscan.render.calendar import GLYPHS
from trailscan.store.database import Database, run, scratch
from trailscan.store.rows import insert_objects, unread_row
from trailscan.store.verdict import GONE, INVALID
from trailscan.verify.coverage import STATES, CoverageScope, coverage

at = datetime.fromisoformat
NOW = at("2026-04-01")
OTHER = "444455556666"


@pytest.fixture
def deliveries(tmp_path):
    return Deliveries(tmp_path / "case")


def rebuilt(deliveries):
    assert trailscan("rebuild", "--archive", deliveries.root).code in {0, 3}
    return ArchiveFolder(str(deliveries.root))


@contextlib.contextmanager
def asked(archive, **scope):
    with Database(archive.database).reading() as connection:
        yield coverage(connection, CoverageScope(NOW, **scope), archive.place)


def cells_of(found):
    return [dict(zip(found.table.names, row, strict=True)) for chunk in found.table.chunks for row in chunk]


def cells(deliveries, **scope):
    with asked(rebuilt(deliveries), **scope) as found:
        return cells_of(found)


def states(deliveries, **scope):
    return [cell["state"] for cell in cells(deliveries, **scope)]


def full_day(deliveries, day, logs=(), **more):
    deliveries.digest(str(at(day) + timedelta(days=1)), logs, hours=24, **more)


def change(archive, statement, parameters=()):
    with Database(archive.database).writing() as connection:
        run(connection, statement, parameters)


def judge(archive, kind, status):
    verdict = "SELECT ? AS kind, key AS object, ? AS status, '' AS message, object_id FROM objects"
    change(archive, f"INSERT INTO verdicts BY NAME {verdict}", [kind, status])


def test_every_state_can_be_drawn():
    assert set(STATES) == set(GLYPHS)


def test_a_day_without_digests_is_held_but_unproven_and_one_without_anything_is_unknown(deliveries):
    deliveries.log("2026-03-01T09:15")
    deliveries.log("2026-03-03T09:15")
    assert states(deliveries) == ["held, no digest", "unknown", "held, no digest"]


def test_a_day_is_held_when_digests_cover_it_and_all_they_name_is_there(deliveries):
    full_day(deliveries, "2026-03-01", [deliveries.log("2026-03-01T09:15"), deliveries.log("2026-03-01T09:20")])
    [cell] = cells(deliveries)
    assert (cell["state"], cell["objects"], cell["named"], cell["records"]) == ("held", 2, 2, 2)
    assert (cell["missing"], cell["damaged"], cell["digests"], cell["digested_minutes"]) == (0, 0, 1, 1440)


def test_a_day_is_empty_only_when_digests_cover_all_of_it_and_name_nothing(deliveries):
    full_day(deliveries, "2026-03-01")
    deliveries.digest("2026-03-02T10:14:05")
    first, second = cells(deliveries)
    assert (first["state"], first["digested_minutes"]) == ("empty", 1440)
    assert (second["state"], second["digested_minutes"]) == ("empty, digests in part", 60)


def test_digests_of_a_part_of_the_day_are_said_to_be_that(deliveries):
    log = deliveries.log("2026-03-01T09:15")
    deliveries.digest("2026-03-01T10:14:05", [log])
    [cell] = cells(deliveries)
    assert (cell["state"], cell["digested_minutes"]) == ("held, digests in part", 60)


def test_digests_of_two_trails_do_not_count_the_same_hour_twice(deliveries):
    for trail in ("main", "copy"):
        full_day(deliveries, "2026-03-01", trail=trail)
    [cell] = cells(deliveries)
    assert (cell["state"], cell["digests"], cell["digested_minutes"]) == ("empty", 2, 1440)


def test_a_log_that_is_named_and_not_held_is_missing_on_the_day_of_its_own_name(deliveries):
    lost = deliveries.log("2026-03-01T23:55", held=False)
    deliveries.digest("2026-03-02T00:14:05", [lost])
    first, second = cells(deliveries)
    assert (first["state"], first["named"], first["missing"]) == ("missing", 1, 1)
    assert second["state"] == "empty, digests in part"


def test_a_log_that_a_listing_showed_and_that_was_not_fetched_is_missing_once(deliveries):
    log = deliveries.log("2026-03-01T09:15")
    deliveries.log("2026-03-01T09:20")
    full_day(deliveries, "2026-03-01", [log])
    archive = rebuilt(deliveries)
    change(archive, "UPDATE objects SET status = 'failed' WHERE kind = 'log'")
    with asked(archive) as found:
        [cell] = cells_of(found)
    assert (cell["state"], cell["objects"], cell["missing"]) == ("missing", 0, 2)


def test_damage_is_seen_but_does_not_hide_what_is_missing(deliveries):
    deliveries.log("2026-03-01T09:15", cut=9)
    deliveries.log("2026-03-02T09:15", cut=9)
    deliveries.digest("2026-03-02T10:00", [deliveries.log("2026-03-02T09:20", held=False)])
    first, second = cells(deliveries)
    assert (first["state"], first["damaged"]) == ("damaged", 1)
    assert (second["state"], second["damaged"], second["missing"]) == ("missing", 1, 1)


@pytest.mark.parametrize("broken", [b"", b"\x1f\x8b", b"{}", b'{"logFiles":', b"\0" * 40])
def test_a_digest_that_cannot_be_read_is_named_and_the_rest_goes_on(deliveries, broken):
    key = deliveries.digest("2026-03-01T11:00")
    deliveries.digest("2026-03-01T12:00")
    deliveries.put(key, broken)
    with asked(rebuilt(deliveries)) as found:
        [cell] = cells_of(found)
    [(name, reason)] = found.hearing.unreadable
    assert (name, bool(reason), found.hearing.read) == (f"s3://{BUCKET}/{key}", True, 1)
    assert (cell["state"], cell["damaged"], cell["digested_minutes"]) == ("damaged", 1, 60)


def test_a_digest_whose_file_is_gone_is_named(deliveries):
    key = deliveries.digest("2026-03-01T11:00")
    archive = rebuilt(deliveries)
    (deliveries.root / "objects" / BUCKET / key).unlink()
    with asked(archive) as found:
        assert [name for name, _ in found.hearing.unreadable] == [f"s3://{BUCKET}/{key}"]


@pytest.mark.parametrize(
    ("status", "state", "unverified", "invalid"),
    [
        ("VALID", "empty", 0, 0),
        *((status, "unknown", 0, 1) for status in sorted(INVALID)),
        ("NOT_VERIFIABLE", "unknown", 0, 0),
    ],
)
def test_a_digest_that_was_found_invalid_says_nothing(deliveries, status, state, unverified, invalid):
    full_day(deliveries, "2026-03-01")
    archive = rebuilt(deliveries)
    judge(archive, "digest", status)
    with asked(archive) as found:
        assert [cell["state"] for cell in cells_of(found)] == [state]
    assert (found.hearing.unverified, found.hearing.invalid) == (unverified, invalid)


@pytest.mark.parametrize("status", sorted(INVALID))
@pytest.mark.parametrize("kind", ["log", "archive"])
def test_a_log_that_was_found_invalid_is_not_drawn_as_held(deliveries, kind, status):
    full_day(deliveries, "2026-03-01", [deliveries.log("2026-03-01T09:15")])
    full_day(deliveries, "2026-03-02", [deliveries.log("2026-03-02T09:15")])
    archive = rebuilt(deliveries)
    change(
        archive,
        "INSERT INTO verdicts BY NAME SELECT ? AS kind, key AS object, ? AS status, '' AS message, object_id FROM objects "
        "WHERE kind = 'log' AND day(delivered_at) = 1",
        [kind, status],
    )
    with asked(archive) as found:
        first, second = cells_of(found)
    state = ("missing", 1, 0, 0) if status in GONE else ("damaged", 0, 1, 1)
    assert (first["state"], first["missing"], first["damaged"], first["objects"]) == state
    assert second["state"] == "held"


def test_a_verdict_on_what_was_fetched_again_since_says_nothing(deliveries):
    full_day(deliveries, "2026-03-01", [deliveries.log("2026-03-01T09:15")])
    archive = rebuilt(deliveries)
    judge(archive, "log", "INVALID_HASH")
    change(archive, "INSERT OR REPLACE INTO about VALUES ('verified_at', '2026-03-05T00:00:00Z')")
    for fetched_at, state in (("2026-03-04", "damaged"), ("2026-03-06", "held")):
        change(archive, "UPDATE objects SET fetched_at = ?", [at(fetched_at)])
        with asked(archive) as found:
            assert [cell["state"] for cell in cells_of(found)] == [state]


def test_what_a_digest_names_is_missing_even_where_it_could_not_be_verified(deliveries):
    full_day(deliveries, "2026-03-01", [deliveries.log("2026-03-01T09:15", held=False)])
    archive = rebuilt(deliveries)
    judge(archive, "digest", "NOT_VERIFIABLE")
    with asked(archive) as found:
        assert [(cell["state"], cell["missing"]) for cell in cells_of(found)] == [("missing", 1)]
    assert found.hearing.unchecked == 1


def chained(hours=48, **more):
    return signer.build_chain(hours, 1, trail=signer.Trail(**more), start=signer.START)


def held_of(tmp_path, objects):
    return signer.write_archive(objects, [], tmp_path / "case")


@pytest.mark.parametrize("more", [{}, {"name": "a.b_c"}, {"backfill": True}], ids=str)
def test_digests_that_are_gone_are_missing_in_all_the_time_they_may_speak_of(tmp_path, more):
    chain = chained(**more)
    gone = {*chain.digests[10:13], *chain.logs[10:13]}
    archive = held_of(tmp_path, {place: stored for place, stored in chain.objects.items() if place not in gone})
    with asked(archive, unit="hour") as found:
        missing = [str(cell["starts_at"]) for cell in cells_of(found) if cell["state"] == "missing"]
    assert missing == [f"2026-03-01 {hour}:00:00" for hour in range(10, 14)]
    assert (found.missing_digests, found.digest_reaches) == (1, 4)
    for unit, since, until in (("day", "2026-03-01", "2026-03-02"), ("hour", "2026-03-01T11:00", "2026-03-01T12:00")):
        with asked(archive, unit=unit, since=at(since), until=at(until)) as found:
            assert [(cell["state"], cell["missing"]) for cell in cells_of(found)] == [("missing", 1)]


def test_all_digests_of_a_window_and_before_it_gone_are_missed_in_the_window(tmp_path):
    chain = chained()
    archive = held_of(tmp_path, {place: chain.objects[place] for place in [*chain.digests[30:], *chain.logs]})
    with asked(archive, since=at("2026-03-01"), until=at("2026-03-02")) as found:
        assert [cell["state"] for cell in cells_of(found)] == ["missing"]


@pytest.mark.parametrize("covered", [True, False])
def test_a_digest_that_was_never_asked_for_is_not_missing(tmp_path, covered):
    chain = chained(4)
    archive = held_of(tmp_path, {place: chain.objects[place] for place in [*chain.digests[1:], *chain.logs[1:]]})
    with Database(archive.database).reading() as connection:
        found = coverage(connection, CoverageScope(NOW), archive.place, lambda _place, _at: covered)
        assert [cell["state"] for cell in cells_of(found)] == ["missing" if covered else "held, digests in part"]
    assert (found.missing_digests, found.unasked_digests) == (int(covered), int(not covered))


def test_in_files_and_in_replicas_a_digest_between_others_is_missed_too(tmp_path):
    chain = chained(6)
    kept = {place: stored for place, stored in chain.objects.items() if place != chain.digests[3]}
    signer.write_bucket(kept, tmp_path / "download")
    assert trailscan("load", tmp_path / "download/example-trail", "--archive", tmp_path / "loaded").code == 0
    replica = held_of(tmp_path, {("a-copy", f"p/{key}"): stored for (_, key), stored in kept.items()})
    for archive in (ArchiveFolder(str(tmp_path / "loaded")), replica):
        with asked(archive, unit="hour") as found:
            missing = [cell["starts_at"].hour for cell in cells_of(found) if cell["state"] == "missing"]
        assert missing == [3, 4]


def test_a_digest_whose_bytes_are_sound_is_not_verified_by_that(deliveries):
    """That its bytes are those once fetched does not make it signed."""
    full_day(deliveries, "2026-03-01")
    archive = rebuilt(deliveries)
    judge(archive, "archive", "VALID")
    with asked(archive) as found:
        assert found.hearing.unverified == 1


def test_by_hour_each_hour_is_told_apart(deliveries):
    logs = [deliveries.log("2026-03-01T09:15"), deliveries.log("2026-03-01T11:15", held=False)]
    deliveries.digest("2026-03-01T12:00", logs, hours=3)
    deliveries.log("2026-03-01T13:00")
    found = cells(deliveries, unit="hour", since=at("2026-03-01T09:00"))
    assert [cell["state"] for cell in found] == ["held", "empty", "missing", "unknown", "held, no digest"]
    assert [cell["starts_at"].hour for cell in found] == [9, 10, 11, 12, 13]


def test_since_and_until_stretch_the_range_in_whole_cells(deliveries):
    deliveries.log("2026-03-02T09:15")
    found = cells(deliveries, since=at("2026-03-01T12:00"), until=at("2026-03-04"))
    assert [cell["starts_at"].day for cell in found] == [1, 2, 3]


def test_account_and_region_choose(deliveries):
    for account, region in ((ACCOUNT, REGION), (ACCOUNT, "us-east-1"), (OTHER, REGION)):
        deliveries.log("2026-03-02T09:15", account=account, region=region)
    archive = rebuilt(deliveries)
    for scope, wanted in (
        ({}, [(ACCOUNT, REGION), (ACCOUNT, "us-east-1"), (OTHER, REGION)]),
        ({"accounts": ("1*",)}, [(ACCOUNT, REGION), (ACCOUNT, "us-east-1")]),
        ({"accounts": (OTHER, ACCOUNT), "regions": (REGION,)}, [(ACCOUNT, REGION), (OTHER, REGION)]),
        ({"regions": ("us_east_1",)}, []),
    ):
        with asked(archive, **scope) as found:
            assert [(cell["account_id"], cell["region"]) for cell in cells_of(found)] == wanted


def test_files_loaded_from_elsewhere_are_held_under_their_names(deliveries, tmp_path):
    log = deliveries.log("2026-03-01T09:15")
    full_day(deliveries, "2026-03-01", [log, deliveries.log("2026-03-01T09:20", held=False)])
    archive = tmp_path / "loaded"
    assert trailscan("load", deliveries.root / "objects", "--archive", archive).code == 0
    with asked(ArchiveFolder(str(archive))) as found:
        [cell] = cells_of(found)
    assert (cell["state"], cell["named"], cell["missing"]) == ("missing", 2, 1)


def test_in_a_copy_of_the_bucket_logs_are_held_under_their_names(tmp_path):
    copy, original = Deliveries(tmp_path / "case", "a-copy"), Deliveries(tmp_path / "elsewhere", "the-original")
    key = original.digest("2026-03-02T00:00", [copy.log("2026-03-01T09:15")], hours=24)
    copy.put(key, (original.root / "objects" / "the-original" / key).read_bytes())
    assert states(copy) == ["held"]


def test_a_log_of_the_same_name_in_another_bucket_does_not_stand_in_where_the_bucket_is_held(tmp_path):
    trail = Deliveries(tmp_path / "case")
    lost = trail.log("2026-03-01T09:15", held=False)
    trail.digest("2026-03-02T00:00", [lost, trail.log("2026-03-01T09:20")], hours=24)
    Deliveries(tmp_path / "case", "planted").put(lost.key, b'{"Records":[]}')
    assert states(trail) == ["missing"]


def test_hits_are_counted_when_they_happened_and_once_however_many_copies_are_held(deliveries):
    log = deliveries.log("2026-03-02T00:05", events=["2026-03-01T23:58", "2026-03-02T00:01"], names="StartSession")
    held = deliveries.root / "objects" / BUCKET / log.key
    deliveries.put(log.key.replace("0.json.gz", "9.json.gz"), held.read_bytes())
    deliveries.log("2026-03-01T09:15", names="StartSessions")
    first, second = cells(deliveries, events=("StartSession",))
    assert (first["hits"], second["hits"]) == (1, 1)
    assert (second["first_event"], second["last_event"]) == (at("2026-03-01T23:58"), at("2026-03-02T00:01"))


def test_hits_outside_of_the_cells_are_counted(deliveries):
    deliveries.log("2026-03-02T00:05", events=["2026-03-01T23:58"], names="StartSession")
    with asked(rebuilt(deliveries), events=("Start*",)) as found:
        assert [cell["hits"] for cell in cells_of(found)] == [0]
    assert found.hits_outside == 1


def test_a_log_that_is_missing_outside_of_the_cells_is_counted(deliveries):
    lost = deliveries.log("2026-02-20T09:15", held=False)
    deliveries.digest("2026-03-01T10:00", [lost])
    with asked(rebuilt(deliveries)) as found:
        assert [cell["missing"] for cell in cells_of(found)] == [0]
    assert found.missing_outside == 1


def test_times_that_were_not_asked_for_are_not_missed(deliveries):
    deliveries.digest("2026-03-03T00:00", [deliveries.log(f"2026-03-0{day}T09:15", held=False) for day in (1, 2)], hours=48)
    archive = rebuilt(deliveries)
    with asked(archive, since=at("2026-03-02")) as found:
        assert [cell["missing"] for cell in cells_of(found)] == [1]
    assert found.missing_outside == 0
    with asked(archive, until=at("0001-01-01")) as found:
        assert cells_of(found) == []


def test_names_with_impossible_times_do_not_stretch_the_range(deliveries):
    deliveries.log("2026-03-02T00:05")
    deliveries.log("1000-01-01T00:00")
    deliveries.log("9999-12-31T23:55")
    deliveries.put("notes/unknown.json.gz", b'{"Records":[]}')
    with asked(rebuilt(deliveries)) as found:
        assert len(cells_of(found)) == 1
    assert found.unplaced == 3


def test_more_cells_than_anybody_can_read_are_refused(deliveries):
    deliveries.log("2026-03-02T00:05")
    with pytest.raises(UsageError), asked(rebuilt(deliveries), unit="hour", since=at("0001-01-01"), until=at("9999-12-31")):
        pass


def test_a_digest_that_claims_all_of_time_is_measured_by_the_cells(deliveries):
    deliveries.digest("2026-03-02T00:00", digestStartTime="0001-01-01T00:00:00Z", digestEndTime="9999-12-31T23:59:59Z")
    assert [cell["digested_minutes"] for cell in cells(deliveries)] == [1440]


def test_hostile_keys_in_a_digest_are_missing_logs_and_nothing_else(deliveries):
    log = deliveries.log("2026-03-01T09:15", held=False)
    named = [{"s3Bucket": "b'\0;--", "s3Object": key, "hashValue": log.sha256, "hashAlgorithm": "SHA-256"}
             for key in ("", "\0", "../../etc/passwd", "'; DROP TABLE objects;--", "\u202e", log.key)]  # fmt: skip
    deliveries.digest("2026-03-01T10:00", logFiles=named)
    [cell] = cells(deliveries)
    assert (cell["named"], cell["missing"]) == (6, 6)


def test_places_that_fall_silent_before_the_rest_are_told(deliveries):
    deliveries.log("2026-03-01T09:15", account=OTHER)
    deliveries.log("2026-03-05T09:15")
    with asked(rebuilt(deliveries)) as found:
        cells_of(found)
    assert found.silent == ((OTHER, REGION, at("2026-03-01T09:15")),)


START = at("2026-03-01")
LOGS = st.lists(st.tuples(st.integers(0, 47), st.booleans(), st.booleans()), max_size=8)
WINDOWS = st.lists(st.tuples(st.integers(1, 48), st.integers(1, 6)), max_size=6, unique_by=lambda window: window[0])


@settings(max_examples=30)
@given(LOGS, WINDOWS)
def test_any_deliveries_are_told_as_a_plain_model_tells_them(tmp_path_factory, logs, windows):
    trail = Deliveries(tmp_path_factory.mktemp("case"))
    delivered = [(hour, trail.log(str(START + timedelta(hours=hour, minutes=30)), held=False), held, named and bool(windows))
                 for hour, held, named in logs]  # fmt: skip
    digests = []
    for number, (end, length) in enumerate(windows):
        sworn = [log for _, log, _, named in delivered if named and number == 0]
        digests.append(trail.digest(str(START + timedelta(hours=end)), sworn, hours=length))
    found = fetched(trail, [*digests, *(log.key for _, log, held, _ in delivered if held)])
    if not windows and not any(held for _, _, held, _ in delivered):
        assert found == []
        return
    assert [cell["starts_at"] for cell in found] == [START + timedelta(hours=hour) for hour in range(48)]
    covered = {hour for end, length in windows for hour in range(end - length, end)}
    for hour, cell in enumerate(found):
        here = [(held, named) for at_hour, _, held, named in delivered if at_hour == hour]
        objects, missing = sum(held for held, _ in here), sum(named and not held for held, named in here)
        assert (cell["objects"], cell["missing"], cell["named"]) == (objects, missing, sum(named for _, named in here))
        assert cell["digested_minutes"] == 60 * (hour in covered)
        assert cell["state"] == plain_state(objects, missing, hour in covered)


def fetched(trail, keys):
    """The cells of two days of which these keys were fetched, and not loaded."""
    places = {key: trail.root / "objects" / trail.bucket / key for key in keys}
    sizes = {key: path.stat().st_size if path.exists() else 0 for key, path in places.items()}
    origins = [Origin("s3", key, str(path), sizes[key], bucket=trail.bucket) for key, path in places.items()]
    with contextlib.closing(scratch()) as connection:
        insert_objects(connection, [unread_row(number, origin, "fetched") for number, origin in enumerate(origins, 1)])
        return cells_of(coverage(connection, CoverageScope(NOW, "hour", START, START + timedelta(days=2)), str))


def plain_state(objects, missing, covered):
    if missing:
        return "missing"
    if objects:
        return "held" if covered else "held, no digest"
    return "empty" if covered else "unknown"


def test_cells_come_by_account_region_and_time(deliveries):
    for account in (OTHER, ACCOUNT):
        for day in (3, 1):
            deliveries.log(f"2026-03-0{day}T09:15", account=account)
    found = cells(deliveries)
    assert [(account, len(list(group))) for account, group in groupby(found, lambda cell: cell["account_id"])] == [
        (ACCOUNT, 3),
        (OTHER, 3),
    ]
