"""Rules run over an archive: findings as rows, failures as values, and rounds that tell each finding once."""

import hashlib
import shutil
from datetime import datetime, timedelta

import pytest

from tests.detect.sql_rule import Book, sql_rule
from tests.fixtures.invented import BEN, NODE, call, event_id, start
from tests.query.running import trailscan
from tests.support.deliveries import take_in
from tests.support.world import object_bytes
from trailscan.archive.folder import ArchiveFolder
from trailscan.detect import finding_table as stored
from trailscan.detect.rule import Hit
from trailscan.detect.runner import COLUMNS, Detection, DetectionScope, detect_new
from trailscan.errors import ArchiveBusy, UsageError
from trailscan.store.database import Database, run

STARTS = [start("a", "ana-1", at="09:00:00"), start("b", "ben-2", at="10:00:00", who=BEN), start("c", "ana-3", at="11:00:00")]
OTHERS = [call("d", "StopLogging", at="12:00:00"), call("e", "GetObject", at="never")]
SHELL = sql_rule("Shell", "event_name = 'StartSession'", "high", note="by SSM")
STOP = sql_rule("Stop", "event_name = 'StopLogging'", "critical")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """STARTS in one object, OTHERS and a copy of the first start in another."""
    root = tmp_path_factory.mktemp("case") / "archive"
    put(root, "one", STARTS)
    put(root, "two", [*OTHERS, STARTS[0]])
    return root


@pytest.fixture
def archive(loaded, tmp_path):
    shutil.copytree(loaded, tmp_path / "archive")
    return ArchiveFolder(str(tmp_path / "archive"))


def put(root, name, records):
    """An object more in an archive, and its database made anew."""
    take_in(root, "trail", f"{name}.json.gz", object_bytes(records))
    assert trailscan("rebuild", "--archive", root, "--jobs", 1).code == 0


@pytest.fixture(scope="module")
def connection(loaded):
    with Database(ArchiveFolder(str(loaded)).database).reading() as opened:
        yield opened


def rows(table):
    return [dict(zip(table.names, row, strict=True)) for chunk in table.chunks for row in chunk]


def titles(detection, **more):
    return [row["title"] for row in rows(detection.table(["title"], **more))]


def test_a_finding_tells_its_rule_its_event_and_where_that_lies(connection):
    [found] = rows(Detection(connection, [STOP]).table(COLUMNS))
    assert found["finding_id"] == hashlib.sha256(f"Stop\n{event_id('d')}".encode()).hexdigest()
    assert [found[name] for name in ("rule_id", "title", "level", "author", "tags", "language", "note")] == [
        "Stop", "Stop", "critical", "ana", "a, b", "sigma", None,
    ]  # fmt: skip
    assert (found["event_time"], found["who"], found["bucket"]) == (datetime.fromisoformat("2026-03-01T12:00"), "ana", "trail")
    assert (found["key"], found["record_index"], len(found["sha256"])) == ("two.json.gz", 0, 64)
    assert (found["path"], found["event_id"]) == ("objects/trail/two.json.gz", event_id("d"))


def test_copies_of_an_event_are_one_finding_and_the_counts_say_so(connection):
    detection = Detection(connection, [SHELL, STOP, sql_rule("None", "false")])
    assert titles(detection) == ["Shell", "Shell", "Shell", "Stop"]
    basis = detection.basis
    assert (basis.findings, basis.rules, basis.objects, basis.new, basis.known, basis.level) == (4, 2, 2, 4, 0, "critical")
    assert [basis.reaches(level) for level in ("high", "critical")] == [True, True]
    assert not Detection(connection, [SHELL]).basis.reaches("critical")
    assert not Detection(connection, []).basis.reaches("informational")


def test_rules_are_sorted_by_the_weight_of_their_level(connection):
    detection = Detection(connection, [SHELL, STOP, sql_rule("Low", "event_name = 'StopLogging'", "low")])
    assert titles(detection, sort="level") == ["Low", "Shell", "Shell", "Shell", "Stop"]
    assert titles(detection, sort="-level", limit=2) == ["Stop", "Shell"]


def test_findings_are_counted_by_a_column(connection):
    detection = Detection(connection, [SHELL, STOP])
    assert [(row["who"][:3], row["findings"]) for row in rows(detection.groups("who"))] == [("ana", 3), ("ben", 1)]
    assert detection.number_of_groups("title") == 2
    with pytest.raises(UsageError, match="row_ids"):
        detection.groups("row_ids")
    with pytest.raises(UsageError, match="titel"):
        detection.table(["titel"])


def test_a_scope_is_of_the_cited_event(connection):
    at = datetime.fromisoformat("2026-03-01T10:00")
    rules = [SHELL, sql_rule("All", "event_name IN ('GetObject', 'StopLogging')")]
    bounds = [(at, None), (None, at), (at, at + timedelta(minutes=1)), (None, None)]
    found = [titles(Detection(connection, rules, DetectionScope(*each))) for each in bounds]
    assert found == [["Shell", "Shell", "All"], ["Shell"], ["Shell"], ["Shell"] * 3 + ["All"] * 2]


def test_a_finding_rests_on_all_events_of_its_hit(connection):
    class Many:
        rule = SHELL.rule

        def hits(self, connection):
            ids = run(connection, "SELECT rowid FROM events WHERE event_name = 'StartSession' ORDER BY event_time DESC")
            yield Hit(tuple(number for (number,) in ids), "all", "many")

    detection = Detection(connection, [Many()])
    assert (detection.basis.findings, detection.basis.events, detection.basis.objects) == (1, 4, 2)
    [found] = rows(detection.table(["event_time", "note"]))
    assert (found["event_time"].hour, found["note"]) == (11, "many")
    assert [row["record_index"] for row in rows(detection.originals())][:2] == [2, 1]


def test_a_rule_that_fails_is_named_and_what_it_found_is_left_out(connection):
    broken = sql_rule("Broken", "true", fails_after=2)
    detection = Detection(connection, [broken, SHELL])
    assert titles(detection) == ["Shell"] * 3
    [failure] = detection.failed
    assert (failure.rule.title, failure.reason) == ("Broken", "the database refused it")
    [failure] = Detection(connection, [sql_rule("Worse", "nonsense")]).failed
    assert failure.reason.startswith("BinderException: ")


def test_texts_of_rules_that_no_encoding_holds_are_shown_by_number(connection):
    odd = sql_rule("x\ud800\0", "event_name = 'StopLogging'", note="\udfff")
    [found] = rows(Detection(connection, [odd]).table(["title", "note", "rule_id"]))
    assert found == {"title": "x\\ud800\0", "note": "\\udfff", "rule_id": "x\\ud800\0"}


def test_only_new_findings_are_shown_where_asked(archive):
    found = detect_new(archive, Book(SHELL))
    assert [each.title for each in found.new] == ["Shell"] * 3
    with Database(archive.database).reading() as opened:
        detection = Detection(opened, [SHELL, STOP], DetectionScope(only_new=True))
        assert (titles(detection), detection.basis.known) == (["Stop"], 3)
        assert detection.to_store().num_rows == 1
        assert Detection(opened, [SHELL, STOP]).to_store(limit=2).num_rows == 0


def owed(archive, notifier="mail"):
    with Database(archive.database).reading() as opened:
        return [(notice.finding.title, notice.event["who"]) for notice in stored.unsent(opened, notifier)]


def test_a_round_owes_each_notifier_what_is_new(archive):
    detect_new(archive, Book(STOP), ["mail"])
    assert owed(archive) == [("Stop", "ana")]
    detect_new(archive, Book(STOP, SHELL, fingerprint="two"), ["mail"])
    assert len(owed(archive)) == 4


def test_a_round_with_nothing_new_is_skipped(archive, tmp_path):
    assert not detect_new(archive, Book(STOP), ["mail"]).skipped
    assert detect_new(archive, Book(sql_rule("Fails", "nonsense")), ["mail"]).skipped
    assert not detect_new(archive, Book(STOP, fingerprint="two"), ["mail"]).skipped
    put(tmp_path / "archive", "three", [call("f", "StopLogging", at="13:00:00")])
    assert [each.event_id for each in detect_new(archive, Book(STOP, fingerprint="two"), ["mail"]).new] == [event_id("f")]
    assert len(owed(archive)) == 2


def test_a_notifier_that_is_new_hears_only_of_what_is_recent(archive):
    later = detect_new(archive, Book(SHELL), ["mail"], datetime.fromisoformat("2026-03-01T09:30"))
    assert (len(later.new), owed(archive)) == (
        3,
        [("Shell", "ben.o-hara@example.com (AWSReservedSSO_Operators_0123456789abcdef)"), ("Shell", "ana")],
    )
    again = detect_new(archive, Book(SHELL), ["mail", "sns"])
    assert (again.new, owed(archive, "sns")) == ((), [])


def test_what_detect_found_by_hand_meanwhile_is_told_all_the_same(archive, tmp_path):
    detect_new(archive, Book(SHELL, STOP), ["mail"])
    put(tmp_path / "archive", "three", [call("f", "StopLogging", at="13:00:00")])
    detect_new(archive, Book(STOP, fingerprint="by hand"))
    assert len(owed(archive)) == 4
    assert detect_new(archive, Book(SHELL, STOP), ["mail"]).new == ()
    assert len(owed(archive)) == 5


def test_a_round_that_cannot_store_loses_nothing(archive):
    with archive.lock(), pytest.raises(ArchiveBusy):
        detect_new(archive, Book(STOP), ["mail"])
    assert len(detect_new(archive, Book(STOP), ["mail"]).new) == 1


def test_a_round_in_which_a_rule_failed_is_done_again(archive):
    broken = sql_rule("Broken", "true", fails_after=0)
    assert len(detect_new(archive, Book(STOP, broken)).failed) == 1
    again = detect_new(archive, Book(STOP, broken))
    assert (len(again.failed), again.new, again.skipped) == (1, (), False)


def test_the_target_and_session_of_a_shell_are_shown(connection):
    found = rows(Detection(connection, [SHELL]).table(["target", "session_id"], sort="session_id"))
    assert [tuple(row.values()) for row in found] == [(NODE, "ana-1"), (NODE, "ana-3"), (NODE, "ben-2")]
