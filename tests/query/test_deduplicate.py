"""Copies of one event are shown once; versions that differ under one id are all shown, and said to be."""

import json

import pytest

from tests.query.conftest import START
from tests.query.running import trailscan
from tests.support.world import ACCOUNT, REGION, World, gzipped, object_bytes


@pytest.fixture
def event():
    return World(5).start_session(START, ACCOUNT, REGION) | {
        "apiVersion": "2014-11-06",
        "requestParameters": {"target": "i-0aaa", "n": 1},
    }


@pytest.fixture
def asked(tmp_path):
    """Lay records into objects, one list an object, ask for them over files and from an archive; both must agree."""

    def ask(*objects, copies=()):
        folder = tmp_path / f"objects{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for number, content in enumerate(objects):
            raw = content if isinstance(content, bytes) else object_bytes(content)
            (folder / f"{number}.json.gz").write_bytes(raw)
        root = tmp_path / "archives" / folder.name
        assert trailscan("load", folder, "--archive", root, "--jobs", 1).code in {0, 3}
        words = ["query", "--format", "jsonl", "--columns", "event_id,request_parameters", *copies]
        one, other = trailscan(*words, folder, "--jobs", 1), trailscan(*words, "--archive", root)
        assert (one.code, one.stdout) == (other.code, other.stdout)
        assert one.stderr.partition(";")[0] == other.stderr.partition(";")[0]  # damage is named here, pointed to there
        return one

    return ask


def shown(ended):
    return len(ended.stdout.splitlines())


def as_object(text):
    return gzipped(b'{"Records":[' + text.encode() + b"]}")


def backwards(value):
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(inner) for inner in value] if isinstance(value, list) else value


def test_identical_copies_are_shown_once_and_counted(event, asked):
    ended = asked([event], [event, event])
    assert (shown(ended), ended.code) == (1, 0)
    assert ended.stderr == "1 event in 1 of 2 objects; 2 copies hidden (--all-copies)\n"


def test_all_copies_shows_them_all(event, asked):
    ended = asked([event], [event, event], copies=["--all-copies"])
    assert (shown(ended), ended.code) == (3, 0)
    assert ended.stderr == "3 events in 2 of 2 objects\n"


@pytest.mark.parametrize(
    "spelt",
    [
        lambda event: json.dumps(backwards(event)),
        lambda event: json.dumps(event, indent=4, ensure_ascii=False),
        lambda event: json.dumps(event, sort_keys=True, separators=(",", ":")),
    ],
)
def test_a_copy_that_a_tool_spelt_anew_is_hidden(event, asked, spelt):
    ended = asked([event], as_object(spelt(event)))
    assert (shown(ended), ended.code) == (1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"eventName": "DescribeSessions"},
        {"sourceIPAddress": "203.0.113.99"},
        {"requestParameters": {"target": "i-0bbb", "n": 1}},
        {"requestParameters": {"target": "i-0aaa", "n": "1"}},
        {"requestParameters": {"target": "i-0aaa", "n": True}},
        {"requestParameters": {"target": "i-0aaa", "n": 1, "more": None}},
        {"apiVersion": "2014-11-07"},
        {"eventTime": "2026-03-02T10:00:00.000Z"},
        {"responseElements": ["i", "ii"]},
    ],
)
def test_versions_that_differ_under_one_id_are_all_shown(event, asked, change):
    ended = asked([event], [event | change], [event])
    assert (shown(ended), ended.code) == (2, 3)
    assert "beware: 1 event in versions that differ under one event id; all are shown\n" in ended.stderr
    assert ended.stderr.startswith("2 events in 2 of 3 objects; 1 copy hidden")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"n":12345678901234567890123}', '{"n":12345678901234567890124}'),
        ('{"n":1e400}', '{"n":1e401}'),
        ('{"target":"i-0aaa","target":"i-0bbb"}', '{"target":"i-0bbb"}'),
        ('{"target":"i-0aaa","target":"i-0bbb"}', '{"target":"i-0bbb","target":"i-0aaa"}'),
        ('{"a":{"b":[{"c":1,"c":2}]}}', '{"a":{"b":[{"c":2}]}}'),
    ],
)
def test_what_parsers_would_confuse_is_no_copy(event, asked, one, other):
    texts = [json.dumps(event | {"requestParameters": "?"}).replace('"?"', written) for written in (one, other)]
    ended = asked(*map(as_object, texts))
    assert (shown(ended), ended.code) == (2, 3)


def test_the_two_sides_of_a_call_across_accounts_are_two_events(event, asked):
    sides = [
        event | {"sharedEventID": "s-1"},
        event
        | {"sharedEventID": "s-1", "eventID": "11111111-2222-4333-8444-555566667777", "recipientAccountId": "444455556666"},
    ]
    assert (shown(asked(sides)), asked(sides).code) == (2, 0)


def test_one_id_in_two_accounts_is_two_events(event, asked):
    assert shown(asked([event, event | {"recipientAccountId": "444455556666"}])) == 2


def test_records_without_an_id_are_never_copies(event, asked):
    del event["eventID"]
    ended = asked([event], [event, event | {"eventID": None}])
    assert (shown(ended), ended.code) == (3, 0)


def test_deeply_nested_versions_are_told_apart(event, asked):
    nested = "[" * 900 + "]" * 900
    texts = [json.dumps(event | {"responseElements": {"n": n, "x": "?"}}).replace('"?"', nested) for n in (1, 2)]
    assert shown(asked(*map(as_object, texts))) == 2
