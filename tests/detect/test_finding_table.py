"""Findings and notices in an archive: stored once, owed until sent, found again in a database made anew."""

import shutil
from datetime import datetime, timedelta

import pytest

from tests.fixtures.invented import ACCOUNT, call, event_id, start, without
from tests.query.running import trailscan
from tests.support.deliveries import take_in
from tests.support.world import object_bytes
from trailscan.archive.folder import ArchiveFolder
from trailscan.detect import finding_table as stored
from trailscan.store.arrow import rows_as_arrow
from trailscan.store.database import Database, run
from trailscan.store.record_rebuild import record_of
from trailscan.store.salvage import salvage

NOW = datetime.fromisoformat("2026-03-02")
RECORDS = [start("a", "ana-1"), call("b", "StopLogging"), without(call("c", "DeleteTrail"), "eventID")]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    root = tmp_path_factory.mktemp("case") / "archive"
    take_in(root, "trail", "one.json.gz", object_bytes(RECORDS))
    take_in(root, "trail", "two.json.gz", object_bytes(RECORDS[1:2] + RECORDS[:1]))
    assert trailscan("rebuild", "--archive", root, "--jobs", 1).code == 0
    return root


@pytest.fixture
def database(loaded, tmp_path):
    shutil.copytree(loaded, tmp_path / "archive")
    return Database(ArchiveFolder(str(tmp_path / "archive")).database, patience=0)


def table(*findings):
    return rows_as_arrow(stored.KINDS, [tuple(map(found.get, stored.KINDS)) for found in findings])


def finding(number, *, event=None, key="one.json.gz", index=0, at=NOW, rule="r"):
    return {
        "finding_id": f"f{number}", "rule_id": rule, "title": "t", "level": "high", "language": "sigma", "found_at": NOW,
        "account_id": ACCOUNT, "event_id": event, "event_time": at, "bucket": "trail", "key": key, "record_index": index,
    }  # fmt: skip


def add(database, *findings, notifiers=(), since=None):
    with database.writing() as connection:
        return sorted(stored.add(connection, table(*findings), notifiers, since))


def owed(database, notifier):
    with database.reading() as connection:
        return [notice.finding.finding_id for notice in stored.unsent(connection, notifier)]


def test_a_finding_is_new_once(database):
    assert add(database, finding(1), finding(2), finding(2)) == ["f1", "f2"]
    assert add(database, finding(2), finding(3)) == ["f3"]
    with database.reading() as connection:
        assert run(connection, "SELECT count(*) FROM findings")[0][0] == 3


def test_each_notifier_is_owed_what_is_new_since_it_is_known(database):
    add(database, finding(1), notifiers=["mail"])
    add(database, finding(1), finding(2), notifiers=["mail", "sns", "sns"])
    assert (owed(database, "mail"), owed(database, "sns"), owed(database, "other")) == (["f1", "f2"], ["f2"], [])


def test_only_a_new_notifier_is_spared_what_is_long_past(database):
    old, timeless = finding(1, at=NOW - timedelta(days=9)), finding(3, at=None)
    add(database, old, finding(2), timeless, notifiers=["mail"], since=NOW)
    assert owed(database, "mail") == ["f2", "f3"]
    add(database, finding(4, at=NOW - timedelta(days=9)), notifiers=["mail"], since=NOW)
    assert owed(database, "mail") == ["f4", "f2", "f3"]


def test_a_notice_is_owed_until_it_was_sent(database):
    add(database, finding(1), notifiers=["mail"])
    with database.writing() as connection:
        stored.mark_sent(connection, "f1", "mail", "refused \ud800" + "x" * 9999)
    with database.reading() as connection:
        [notice] = stored.unsent(connection, "mail")
    assert (notice.attempts, notice.last_error[:14], len(notice.last_error) < 600) == (1, "refused \\ud800", True)
    with database.writing() as connection:
        stored.mark_sent(connection, "f1", "mail")
    assert owed(database, "mail") == []
    with database.reading() as connection:
        [(attempts, error, sent_at)] = run(connection, "SELECT attempts, last_error, sent_at FROM notices")
    assert (attempts, error, sent_at is None) == (2, None, False)


@pytest.mark.parametrize(
    ("found", "record", "key"),
    [
        (finding(1, event=event_id("a")), RECORDS[0], "one.json.gz"),
        (finding(1, event=event_id("a"), key="two.json.gz", index=1), RECORDS[0], "two.json.gz"),
        (finding(1, event=event_id("b"), key="gone", index=7), RECORDS[1], "two.json.gz"),
        (finding(1, event=None, index=2), RECORDS[2], "one.json.gz"),
    ],
)
def test_a_notice_holds_the_event_it_cites_and_where_its_record_lies(database, found, record, key):
    add(database, found, notifiers=["mail"])
    with database.reading() as connection:
        [notice] = stored.unsent(connection, "mail")
    assert record_of(notice.event) == record
    assert (notice.event["key"], notice.event["who"], notice.event["sha256"] is None) == (key, "ana", False)


def test_an_event_that_is_no_longer_loaded_is_no_reason_to_forget_the_finding(database):
    add(database, finding(1, event="gone"), finding(2, event=None, key="gone"), notifiers=["mail"])
    with database.reading() as connection:
        assert [notice.event for notice in stored.unsent(connection, "mail")] == [None, None]


def test_unsent_is_bounded(database):
    add(database, *map(finding, range(5)), notifiers=["mail"])
    with database.reading() as connection:
        assert [notice.finding.finding_id for notice in stored.unsent(connection, "mail", 2)] == ["f0", "f1"]


def test_what_others_stored_since_a_notifier_is_known_is_overheard(database):
    add(database, finding(1), notifiers=["mail"])
    by_hand = finding(2, rule="mine") | {"found_at": NOW + timedelta(days=30_000)}
    before = finding(3, rule="mine")
    add(database, by_hand, by_hand | {"finding_id": "f4", "rule_id": "another's"}, before)
    with database.writing() as connection:
        assert stored.overheard(connection, "mail", ["mine"]) == ["f2"]
        stored.owe(connection, "mail", ["f2"])
        assert stored.overheard(connection, "mail", ["mine"]) == []
        assert stored.overheard(connection, "unknown", ["mine"]) == []
    assert owed(database, "mail") == ["f1", "f2"]


def test_a_database_made_anew_takes_findings_and_notices_over(database, tmp_path):
    add(database, finding(1, event=event_id("a")), finding(2), notifiers=["mail"])
    with database.writing() as connection:
        stored.mark_sent(connection, "f2", "mail")
    ended = trailscan("rebuild", "--archive", tmp_path / "archive", "--jobs", 1)
    assert (ended.code, "taken over from the old database: 2 findings" in ended.stderr) == (0, True)
    assert add(database, finding(1), finding(3, at=NOW - timedelta(days=9)), notifiers=["mail"], since=NOW) == ["f3"]
    assert owed(database, "mail") == ["f3", "f1"]


def test_a_broken_database_does_not_stop_a_rebuild(database, tmp_path):
    add(database, finding(1))
    with open(database.path, "r+b") as file:
        file.write(b"\0" * 9999)
    ended = trailscan("rebuild", "--archive", tmp_path / "archive", "--jobs", 1)
    assert ended.code == 0
    assert "findings of the old database were not taken over" in ended.stderr
    assert owed(database, "mail") == []


def test_what_of_a_database_can_be_read_is_saved_and_the_rest_is_said(database):
    add(database, finding(1), finding(2))
    with database.writing() as connection:
        run(connection, "DROP TABLE notices")
    found = salvage(database)
    assert (found.findings, [reason.partition(":")[0] for reason in found.lost]) == (2, ["notices"])
