"""`show`: text and JSON of one story, exit codes, what it rests on, and what becomes of it when the evidence is spoilt."""

import json
import os
import shutil

import duckdb
import pytest

from tests.fixtures.invented import event_id
from tests.query.plot import HOSTILE, OBJECTS, SHELL, STARTED
from tests.query.running import trailscan
from tests.support.world import object_bytes

FIRST = next(record for record in OBJECTS["one"] if record["eventID"] == STARTED)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("case")
    (folder / "logs").mkdir()
    for name, records in OBJECTS.items():
        (folder / "logs" / f"{name}.json.gz").write_bytes(object_bytes(records))
    assert trailscan("load", folder / "logs", "--archive", folder / "archive", "--jobs", 1).code == 0
    return folder


@pytest.fixture
def show(built):
    """Show from an archive that nobody spoils."""
    return lambda *words: trailscan("show", *words, "--archive", built / "archive")


@pytest.fixture
def spoilt(tmp_path):
    """Show from an archive of one's own, of one object that may be spoilt in between."""
    (tmp_path / "one.json.gz").write_bytes(object_bytes(OBJECTS["one"]))
    assert trailscan("load", tmp_path / "one.json.gz", "--archive", tmp_path / "archive", "--jobs", 1).code == 0

    def show(*words, spoil=lambda _: None):
        spoil(tmp_path / "one.json.gz")
        return trailscan("show", *words, "--archive", tmp_path / "archive")

    return show


def sections(ended):
    return json.loads(ended.stdout)["sections"]


def test_an_event_is_shown_with_its_record_and_where_it_lies(show):
    ended = show(STARTED[:8])
    assert (ended.code, ended.stderr) == (0, "1 event in 1 of 3 objects\n")
    shown = ended.stdout.decode()
    assert shown.startswith(f"Event {STARTED} (times are UTC)\n")
    assert f'    "eventID": "{STARTED}",\n' in shown
    assert "sha256" in shown
    assert "not verified yet: run `trailscan verify`" in shown


def test_a_session_is_shown_with_all_of_its_events(show):
    ended = show(SHELL)
    assert (ended.code, ended.stderr) == (0, "3 events in 1 of 3 objects\n")
    assert [line.split()[2] for line in ended.stdout.decode().partition("Its events\n")[2].splitlines()[1:4]] == [
        "StartSession",
        "ResumeSession",
        "TerminateSession",
    ]


def test_json_has_the_record_as_it_was_delivered(show):
    told = json.loads(show(STARTED, "--format", "json").stdout, object_pairs_hook=list)
    assert dict(dict(dict(told)["sections"])["record"])["document"] == json.loads(json.dumps(FIRST), object_pairs_hook=list)


def test_json_and_text_tell_the_same_sections(show):
    told = json.loads(show(SHELL, "-f", "json").stdout)
    assert (told["kind"], told["id"]) == ("session", SHELL)
    titles = [part["title"] for part in told["sections"].values()]
    assert [line for line in show(SHELL).stdout.decode().splitlines() if line and not line.startswith(" ")] == titles


@pytest.mark.parametrize("wanted", ["text", "json"])
def test_a_file_holds_what_stdout_would(show, wanted, tmp_path):
    ended = show(STARTED, "-f", wanted, "-o", tmp_path / "out")
    assert (ended.code, ended.stdout) == (0, b"")
    assert (tmp_path / "out").read_bytes() == show(STARTED, "-f", wanted).stdout


def test_quiet_silences_all_but_data(show):
    assert show(STARTED, "--quiet").stderr == ""


@pytest.mark.parametrize(("words", "code"), [(["nosuchid"], 1), (["abc"], 2), ([STARTED, "--around", "soon"], 2), ([], 2)])
def test_what_cannot_be_shown_says_why(show, words, code):
    ended = show(*words)
    assert (ended.code, ended.stdout) == (code, b"")
    assert ended.stderr != ""


def test_kind_looks_only_there(show):
    assert show(STARTED, "--kind", "session").code == 1
    assert show(STARTED, "--kind", "event").code == 0


def test_around_is_a_span(show):
    assert "09:14:00 up to" in show(STARTED, "--around", "60s").stdout.decode()


def test_versions_that_differ_are_all_shown_and_exit_3(show):
    ended = show(event_id("torn"))
    assert ended.code == 3
    assert "in versions that differ under one event id" in ended.stderr
    assert ended.stdout.decode().count('"eventName"') == 2


@pytest.mark.parametrize("words", [[HOSTILE], [event_id("hostile")], [HOSTILE, "-f", "json"]])
def test_nothing_of_a_log_steers_a_terminal(show, words):
    ended = show(*words)
    assert ended.code == 0
    assert set(ended.stderr.replace("\n", "")).isdisjoint(set("\x1b\u202e\r"))
    assert set(ended.stdout.decode()).isdisjoint({"\x1b", "\r"})
    assert "json" in words or "\u202e" not in ended.stdout.decode()


def test_a_record_whose_object_is_gone_is_put_together_from_its_row(spoilt):
    ended = spoilt(STARTED, "-f", "json", spoil=os.remove)
    assert ended.code == 3
    assert "missing: cannot read" in ended.stderr
    part = sections(ended)["record"]
    assert part["document"] == FIRST
    assert "the original cannot be had: cannot read" in part["notes"][0]
    assert "cannot read" in sections(ended)["objects"]["rows"][0]["now"]


@pytest.mark.parametrize("what", [STARTED, SHELL])
def test_an_object_that_was_changed_since_is_named_and_not_believed(spoilt, what):
    forged = [record | {"sourceIPAddress": "203.0.113.66"} for record in OBJECTS["one"]]
    ended = spoilt(what, spoil=lambda path: path.write_bytes(object_bytes(forged)))
    assert ended.code == 3
    assert "was changed: its bytes have SHA-256" in ended.stderr
    assert "203.0.113.66" not in ended.stdout.decode()


def test_damage_in_the_object_is_told_and_exit_3(tmp_path):
    (tmp_path / "cut.json.gz").write_bytes(object_bytes(OBJECTS["one"])[:-9])
    assert trailscan("load", tmp_path / "cut.json.gz", "--archive", tmp_path / "archive", "--jobs", 1).code == 3
    ended = trailscan("show", SHELL, "--archive", tmp_path / "archive", "-f", "json")
    assert ended.code == 3
    assert [row["what"] for row in sections(ended)["damage"]["rows"]] == ["truncated"]
    assert "1 object damaged" in ended.stderr


def test_a_stored_verdict_is_shown_plainly_and_counts(built, tmp_path):
    shutil.copytree(built / "archive", tmp_path / "archive")
    with duckdb.connect(str(tmp_path / "archive/trailscan.duckdb")) as connection:
        said = "hash value doesn't match"
        for kind, status, message in (("log", "INVALID_HASH", said), ("archive", "VALID", "as it was recorded")):
            statement = (
                "INSERT INTO verdicts SELECT ?, key, ?, ?, object_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM objects"
            )
            connection.execute(statement, [kind, status, message])
        connection.execute("INSERT INTO about VALUES ('verified_at', '2026-03-05T10:00:00Z')")
    ended = trailscan("show", STARTED, "--archive", tmp_path / "archive", "-f", "json")
    assert ended.code == 3
    assert "verified 2026-03-05T10:00:00Z" in ended.stderr
    verdict = "LOG INVALID_HASH: hash value doesn't match; ARCHIVE VALID: as it was recorded"
    assert sections(ended)["objects"]["rows"][0]["verdict"] == verdict


def test_a_session_of_thousands_of_calls_is_told_whole(tmp_path):
    resumed = next(each for each in OBJECTS["one"] if each["eventName"] == "ResumeSession")
    records = [FIRST, *(resumed | {"eventID": f"resume-{number}"} for number in range(3000))]
    (tmp_path / "x.json.gz").write_bytes(object_bytes(records))
    assert trailscan("load", tmp_path / "x.json.gz", "--archive", tmp_path / "archive", "--jobs", 1).code == 0
    ended = trailscan("show", SHELL, "--archive", tmp_path / "archive", "-f", "json")
    assert len(sections(ended)["events"]["rows"]) == 3001
