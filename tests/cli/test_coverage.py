"""`trailscan coverage` as a shell sees it: the picture, the formats, the exit code, the last words."""

import csv
import io
import json
from datetime import datetime

import pytest
from pyarrow import parquet

from tests.cli.conftest import Case, run
from tests.query.running import trailscan
from tests.support.deliveries import ACCOUNT, REGION, Deliveries
from tests.support.standin import Rule

OTHER = "444455556666"


@pytest.fixture
def deliveries(tmp_path):
    return Deliveries(tmp_path / "case")


def covered(deliveries, *more):
    assert trailscan("rebuild", "--archive", deliveries.root, "--quiet").code in {0, 3}
    return trailscan("coverage", "--archive", deliveries.root, *more)


@pytest.fixture
def gaps(deliveries):
    """Of three days one is whole, one lacks an object, one was never told of; another account ends early, damaged."""
    deliveries.digest("2026-03-02T00:00", [deliveries.log("2026-03-01T09:15", names="StartSession")], hours=24)
    deliveries.digest("2026-03-02T10:00", [deliveries.log("2026-03-02T09:15", held=False)])
    deliveries.log("2026-03-04T09:15")
    deliveries.log("2026-03-01T09:15", account=OTHER, cut=9)
    return deliveries


def test_the_picture(gaps):
    ended = covered(gaps)
    assert ended.stdout.decode().splitlines() == [
        "           1   5    10   15   20   25   30",
        f"{ACCOUNT} {REGION}",
        "  2026-03  █!?▒                             1 missing, 1 unknown",
        f"{OTHER} {REGION}",
        "  2026-03  x                                1 damaged",
        "",
        "█ held  ▒ held, no digest  ! missing  x damaged  ? unknown",
    ]
    assert ended.stderr.splitlines() == [
        "5 cells (account x region x day of delivery, UTC) = 1 held + 1 held, no digest + 1 missing + 1 damaged + 1 unknown",
        "1 object missing: delivered, as digests or listings say, and not held",
        "1 object damaged (`trailscan status`)",
        "2 digests read, not verified: `trailscan verify`",
        f"last delivery more than a day before the latest: {OTHER} {REGION} 2026-03-01 09:15Z",
        "accounts and regions of which nothing is held cannot be seen from here",
    ]
    assert ended.code == 3


def test_the_picture_is_ascii_where_stdout_is(gaps):
    trailscan("rebuild", "--archive", gaps.root)
    ended = run("coverage", "--archive", str(gaps.root), PYTHONIOENCODING="ascii")
    assert "  2026-03  #!?=" in ended.out


def test_a_sound_archive_ends_with_nothing_to_complain_of(deliveries):
    deliveries.digest("2026-03-02T00:00", [deliveries.log("2026-03-01T09:15")], hours=24)
    ended = covered(deliveries)
    assert (ended.code, "missing" in ended.stderr, "= 1 held\n" in ended.stderr) == (0, False, True)


def test_all_formats_agree(gaps, tmp_path):
    found = json.loads(covered(gaps, "--format", "json", "--event", "Start*").stdout)
    lines = covered(gaps, "--format", "jsonl", "--event", "Start*").stdout.splitlines()
    assert [json.loads(line) for line in lines] == found
    written = list(csv.DictReader(io.StringIO(covered(gaps, "--format", "csv", "--event", "Start*").stdout.decode())))
    assert written == [{name: "" if cell is None else str(cell) for name, cell in row.items()} for row in found]
    ended = covered(gaps, "--format", "parquet", "--event", "Start*", "-o", tmp_path / "cells.parquet")
    columns = parquet.read_table(tmp_path / "cells.parquet").to_pylist()
    assert [{name: _as_json(cell) for name, cell in row.items()} for row in columns] == found
    assert (ended.code, ended.stdout) == (3, b"")
    assert list(found[0]) == [
        "account_id", "region", "starts_at", "state", "objects", "records", "digests", "named", "missing", "damaged", "hits",
        "first_event", "last_event", "digested_minutes",
    ]  # fmt: skip


def _as_json(cell):
    return f"{cell:%Y-%m-%dT%H:%M:%SZ}" if isinstance(cell, datetime) else cell


def test_hits_are_drawn_and_counted(gaps):
    ended = covered(gaps, "--event", "StartSession")
    assert "  hits     1\n" in ended.stdout.decode()
    assert "1 event of StartSession, by the time of the event\n" in ended.stderr


def test_a_name_that_is_misspelt_gets_a_suggestion(gaps):
    ended = covered(gaps, "--event", "startsession")
    assert "0 events of startsession" in ended.stderr
    assert "did you mean StartSession" in ended.stderr


def test_an_unreadable_digest_is_named_and_ends_with_3(deliveries):
    key = deliveries.digest("2026-03-01T10:00")
    deliveries.digest("2026-03-01T11:00")
    deliveries.put(key, b"\x1f\x8b\x08")
    ended = covered(deliveries)
    assert ended.code == 3
    assert "1 digest read, not verified" in ended.stderr
    assert "1 digest unreadable:\n" in ended.stderr
    assert key in ended.stderr


def test_without_digests_it_says_that_nothing_vouches(deliveries):
    deliveries.log("2026-03-01T09:15")
    assert (
        "no digests are held: what was delivered and is missing cannot be told from what never was"
        in covered(deliveries).stderr
    )


def test_where_nothing_is_held_it_says_so(gaps):
    ended = covered(gaps, "--account", "000000000000")
    assert (ended.code, ended.stdout) == (0, b"")
    assert "nothing is held of these accounts, regions and times" in ended.stderr


def test_more_cells_than_anybody_can_read_are_wrong_usage(gaps):
    ended = covered(gaps, "--by", "hour", "--until", "9999-12-31")
    assert (ended.code, "cells" in ended.stderr) == (2, True)


def test_by_hour_into_a_file(gaps, tmp_path):
    ended = covered(
        gaps, "--by", "hour", "--since", "2026-03-02", "--until", "2026-03-03", "--region", REGION, "-o", tmp_path / "a"
    )
    text = (tmp_path / "a").read_text(encoding="utf-8")
    assert "  2026-03-02  ?????????!??????????????  1 missing, 23 unknown" in text
    assert (ended.stdout, "48 cells" in ended.stderr) == (b"", True)


def test_what_could_not_be_fetched_is_missing(case: Case):
    case.log("2026-03-01T09:15")
    refused = case.log("2026-03-02T09:15")
    case.serve(Rule(refused, "denied", -1))
    case.sync()
    ended = run("coverage", "--archive", str(case.archive))
    assert "  2026-03  ▒!" in ended.out
    assert ended.code == 3


def test_zero_found_points_here(deliveries):
    deliveries.log("2026-03-01T09:15")
    trailscan("rebuild", "--archive", deliveries.root)
    found = trailscan("query", "--archive", deliveries.root, "--event", "NoSuchEvent")
    assert "what is held and what is missing: `trailscan coverage`" in found.stderr
    scanned = trailscan("query", deliveries.root / "objects", "--event", "NoSuchEvent")
    assert "coverage" not in scanned.stderr
