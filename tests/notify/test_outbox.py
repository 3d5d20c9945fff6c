"""What is owed is sent once, kept through failures, and remembered when it cannot be marked."""

import shutil
import threading
import time
from datetime import datetime

import pytest

from tests.notify.making import SHELL
from tests.query.running import trailscan
from tests.support.deliveries import take_in
from tests.support.world import object_bytes
from trailscan.archive.folder import ArchiveFolder
from trailscan.detect import finding_table as stored
from trailscan.errors import ArchiveBusy
from trailscan.notify import outbox
from trailscan.notify.notifier import NotSent
from trailscan.notify.outbox import Outbox
from trailscan.store.arrow import rows_as_arrow
from trailscan.store.database import Database, run

NOW = datetime.fromisoformat("2026-03-02")


class Kept:
    """A notifier that keeps what it is sent; `refuses` are the findings it does not take."""

    def __init__(self, name, refuses=()):
        self.name = self.shown = name
        self.got = []
        self.tried = []
        self.refuses = set(refuses)

    def send(self, notice):
        self.tried.append(notice.finding.finding_id)
        if notice.finding.finding_id in self.refuses:
            raise NotSent("not now")
        self.got.append((notice.finding.finding_id, notice.event and notice.event["event_name"]))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    root = tmp_path_factory.mktemp("case") / "archive"
    take_in(root, "trail", "one.json.gz", object_bytes([SHELL]))
    assert trailscan("rebuild", "--archive", root, "--jobs", 1).code == 0
    return root


@pytest.fixture
def archive(loaded, tmp_path):
    shutil.copytree(loaded, tmp_path / "archive")
    return ArchiveFolder(str(tmp_path / "archive"))


def find(archive, *numbers, told):
    """Store findings that cite the archive's one event, and owe them."""
    rows = [
        {"finding_id": f"f{number}", "rule_id": "r", "title": "t", "level": "low", "language": "sigma", "found_at": NOW}
        | {"account_id": SHELL["recipientAccountId"], "event_id": SHELL["eventID"], "event_time": NOW.replace(minute=number)}
        for number in numbers
    ]
    with Database(archive.database).writing() as connection:
        stored.add(
            connection,
            rows_as_arrow(stored.KINDS, [tuple(map(row.get, stored.KINDS)) for row in rows]),
            [each.name for each in told],
        )


def notices(archive):
    with Database(archive.database).reading() as connection:
        return run(
            connection, "SELECT finding_id, notifier, sent_at IS NOT NULL, attempts, last_error FROM notices ORDER BY ALL"
        )


def never():
    return False


def test_each_finding_is_sent_once_to_each_also_by_another_process(archive):
    one, other = Kept("one"), Kept("other")
    find(archive, 1, 2, told=[one, other])
    delivery = Outbox(archive, [one, other]).send(never)
    assert delivery.sent == {"one": 2, "other": 2}
    assert one.got == other.got == [("f1", "StartSession"), ("f2", "StartSession")]
    assert Outbox(archive, [one, other]).send(never).sent == {}
    assert notices(archive)[0] == ("f1", "one", True, 1, None)


def test_more_notices_than_are_held_at_once_are_all_sent(archive, monkeypatch):
    monkeypatch.setattr(outbox, "AT_ONCE", 3)
    one = Kept("one")
    find(archive, *range(10), told=[one])
    Outbox(archive, [one]).send(never)
    assert sorted(finding for finding, _ in one.got) == sorted(f"f{number}" for number in range(10))


def test_who_fails_hinders_nobody_is_owed_it_still_and_rests(archive, monkeypatch):
    good, bad = Kept("good"), Kept("bad", refuses=[f"f{number}" for number in range(9)])
    find(archive, *range(9), told=[good, bad])
    box = Outbox(archive, [bad, good])
    delivery = box.send(never)
    assert (delivery.sent["good"], delivery.failed, delivery.waiting) == (9, {"bad": "not now"}, {"bad": 9})
    assert len(bad.tried) == outbox.PATIENCE
    assert ("f0", "bad", False, 1, "not now") in notices(archive)
    assert outbox.FIRST_REST - 5 < box.next_try() <= outbox.FIRST_REST
    box.send(never)
    assert len(bad.tried) == outbox.PATIENCE + 1, "while it rests, one that was not tried yet tells whether it is back"
    bad.refuses.clear()
    monkeypatch.setattr("trailscan.notify.outbox.time.monotonic", lambda: 1e9)
    assert box.send(never).sent == {"bad": 9}
    assert sorted(finding for finding, _ in bad.got) == [f"f{number}" for number in range(9)]
    assert box.next_try() is None


def test_one_notice_that_always_fails_does_not_stand_before_the_others(archive):
    one = Kept("one", refuses=["f0"])
    find(archive, 0, 1, 2, told=[one])
    box = Outbox(archive, [one])
    assert box.send(never).sent == {"one": 2}
    find(archive, 3, told=[one])
    box.send(never)
    assert one.tried == ["f0", "f1", "f2", "f3", "f0"]


def test_what_was_sent_and_could_not_be_marked_is_marked_later_and_not_sent_again(archive):
    one = Kept("one")
    find(archive, 1, told=[one])
    box = Outbox(archive, [one])
    with archive.lock(), pytest.raises(ArchiveBusy):
        box.send(never)
    assert notices(archive) == [("f1", "one", False, 0, None)]
    box.send(never)
    assert notices(archive) == [("f1", "one", True, 1, None)]
    assert one.got == [("f1", "StartSession")]


def test_stopping_leaves_the_rest_for_the_next_time(archive):
    stop = threading.Event()

    class Stopping(Kept):
        def send(self, notice):
            super().send(notice)
            stop.set()

    one = Stopping("one")
    find(archive, 1, 2, told=[one])
    assert Outbox(archive, [one]).send(stop.is_set).sent == {"one": 1}
    stop.clear()
    assert Outbox(archive, [one]).send(never).sent == {"one": 1}


def test_a_slow_notifier_goes_on_in_the_next_spell(archive):
    class Slow(Kept):
        def send(self, notice):
            super().send(notice)
            time.sleep(0.1)

    one = Slow("one")
    find(archive, *range(5), told=[one])
    box = Outbox(archive, [one])
    sent = box.send(never, 0.15).sent["one"]
    assert 1 <= sent <= 2  # one where the machine is busy
    assert box.next_try() == 0
    assert box.send(never, 5).sent == {"one": 5 - sent}
    assert box.next_try() is None
