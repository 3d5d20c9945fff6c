"""The story of an event or a session: whole, in order, with where it lies, whence its credential came and what went on."""

import hashlib
import json
import shlex
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from tests.fixtures.invented import NODE, event_id
from tests.query.plot import ANA, BEN, DEEP, ENDLESS, HOSTILE, OBJECTS, OPS, SHELL, STARTED, STRAY
from tests.query.running import trailscan
from tests.support.world import object_bytes
from trailscan.errors import UsageError
from trailscan.investigate.activity import Sought, Window, machine_session, query_of, shifted
from trailscan.investigate.credential_lineage import LONGEST
from trailscan.investigate.lookup import story_of
from trailscan.investigate.subject import NotFound, Subject, subject_of
from trailscan.store.database import Database


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The case of `plot`, loaded: its root."""
    folder = tmp_path_factory.mktemp("case")
    (folder / "logs").mkdir()
    for name, records in OBJECTS.items():
        (folder / "logs" / f"{name}.json.gz").write_bytes(object_bytes(records))
    assert trailscan("load", folder / "logs", "--archive", folder / "archive", "--jobs", 1).code == 0
    return folder / "archive"


def counted(command, archive):
    """What a query that was suggested counts, in a process of its own: this one has the database open, otherwise configured."""
    words = [sys.executable, "-m", *command, "--archive", str(archive), "--count"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def database(archive):
    with Database(str(archive / "trailscan.duckdb")).reading() as connection:
        yield connection


@pytest.fixture(scope="module")
def told(database):
    """Tells the story of an id."""

    def tell(text, minutes=15, kind=None):
        return story_of(database, subject_of(database, text, kind), timedelta(minutes=minutes), str)

    return tell


@contextmanager
def holding(folder, records):
    """An open database that holds some records."""
    (folder / "x.json.gz").write_bytes(object_bytes(records))
    assert trailscan("load", folder / "x.json.gz", "--archive", folder / "archive", "--jobs", 1).code == 0
    with Database(str(folder / "archive/trailscan.duckdb")).reading() as connection:
        yield connection


def section(story, name):
    (found,) = [each for each in story.report.sections if each.name == name]
    return found


def rows(story, name):
    """A section's rows as dictionaries."""
    grid = section(story, name).grid
    return [dict(zip([column.name for column in grid.columns], row, strict=True)) for row in grid.rows] if grid else []


def notes(story, name):
    return " | ".join(section(story, name).notes)


def labels(story, name, *wanted):
    """Which of the labels of `plot` a section's rows are, in order."""
    known = {event_id(label): label for label in wanted}
    return [known.get(row["event_id"], "?") for row in rows(story, name)]


# What an id names


def test_an_id_or_what_it_begins_with_names_an_event_or_a_session(database):
    assert subject_of(database, STARTED).id == STARTED
    assert subject_of(database, STARTED[:13]) == Subject("event", STARTED)
    assert subject_of(database, SHELL[:6]) == Subject("session", SHELL, "111122223333", "eu-west-1")


@pytest.mark.parametrize("text", ["a", "abc", ""])
def test_too_few_characters_are_wrong_usage(database, text):
    with pytest.raises(UsageError, match="too short"):
        subject_of(database, text)


def test_what_names_nothing_says_where_to_look(database):
    with pytest.raises(NotFound) as caught:
        subject_of(database, "nosuchid")
    assert caught.value.exit_code == 1
    assert "trailscan query" in caught.value.hint


def test_wildcards_of_sql_are_plain_characters(database):
    for text in ("____", "%%%%", "deep%", "****"):
        with pytest.raises(NotFound):
            subject_of(database, text)


def test_an_ambiguous_prefix_names_its_candidates(tmp_path):
    records = [OBJECTS["two"][0] | {"eventID": f"abcd-{number}"} for number in range(7)]
    with holding(tmp_path, [*records, OBJECTS["two"][0] | {"eventID": "abcd"}]) as connection:
        assert subject_of(connection, "abcd").id == "abcd"
        with pytest.raises(UsageError, match=r"event abcd-0, event abcd-1, .*, and more") as caught:
            subject_of(connection, "abcd-")
        assert "give more" in caught.value.hint


def test_kind_decides_between_an_event_and_a_session_of_one_id(tmp_path):
    shell = [record for record in OBJECTS["one"] if record["eventID"] == STARTED]
    with holding(tmp_path, [*shell, OBJECTS["two"][0] | {"eventID": SHELL}]) as connection:
        with pytest.raises(UsageError) as caught:
            subject_of(connection, SHELL)
        assert "--kind" in caught.value.hint
        assert subject_of(connection, SHELL, "event").kind == "event"
        assert subject_of(connection, SHELL, "session").kind == "session"


# An event


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_every_record_is_shown_as_it_was_delivered(told, name):
    for record in [each for each in OBJECTS[name] if "T11:5" not in each["eventTime"]]:  # not sixty of one kind
        story = told(record["eventID"], kind="event")
        documents = [json.loads(each.document) for each in story.report.sections if each.document]
        assert record in documents
        assert story.lost == ()


def test_an_event_says_where_it_lies(told, archive):
    (held,) = rows(told(STARTED), "objects")
    path = archive.parent / "logs" / "one.json.gz"
    assert (held["object"], held["sha256"]) == (str(path), hashlib.sha256(path.read_bytes()).hexdigest())
    assert held["now"] == "the bytes have this SHA-256 still"
    assert held["verdict"] == "not verified yet: run `trailscan verify`"
    facts = rows(told(STARTED), "event")[0]
    assert OBJECTS["one"][facts["record_index"]]["eventID"] == STARTED


def test_copies_are_listed_and_told_from_versions_that_differ(told):
    copied, torn = told(event_id("copied")), told(event_id("torn"))
    assert (copied.conflicts, copied.objects, torn.conflicts, torn.objects) == (0, 2, 1, 2)
    assert [row["is_copy"] for row in rows(copied, "copies")] == [False, True]
    assert [row["is_copy"] for row in rows(torn, "copies")] == [False, False]
    addresses = [json.loads(section(torn, name).document)["sourceIPAddress"] for name in ("record", "record_2")]
    assert sorted(addresses) == ["198.51.100.7", "203.0.113.99"]
    assert "at most one is what CloudTrail wrote" in notes(torn, "conflict")
    assert "conflict" not in [each.name for each in copied.report.sections]


def test_an_event_that_lies_in_one_place_has_no_list_of_copies(told):
    assert "copies" not in [each.name for each in told(STARTED).report.sections]


# A session


def test_a_session_is_told_from_start_to_end(told):
    story = told(SHELL)
    life = rows(story, "session")[0]
    assert (life["outcome"], life["target"], life["resumes"], life["duration_s"]) == ("opened", NODE, 1, 900)
    assert labels(story, "events", "shell starts", "shell resumes", "shell ends") == [
        "shell starts",
        "shell resumes",
        "shell ends",
    ]
    assert (story.events, story.objects) == (3, 1)


def test_a_session_of_one_second_starts_before_it_ends(tmp_path):
    shell = [record | {"eventTime": "2026-03-01T09:15:00Z"} for record in OBJECTS["one"] if SHELL in json.dumps(record)]
    with holding(tmp_path, shell) as connection:
        story = story_of(connection, subject_of(connection, SHELL), timedelta(minutes=1), str)
    assert [row["event_name"] for row in rows(story, "events")] == ["StartSession", "ResumeSession", "TerminateSession"]


def test_what_its_principal_did_before_meanwhile_and_after(told):
    story = told(SHELL)
    found = labels(story, "principal", "just before", "meanwhile", "just after")
    assert list(zip([row["when"] for row in rows(story, "principal")], found, strict=True)) == [
        ("before", "just before"),
        ("meanwhile", "meanwhile"),
        ("after", "just after"),
    ]
    assert DEEP["arn"] in notes(story, "principal")


def test_around_decides_how_far_to_look(told):
    assert labels(told(SHELL, minutes=16), "principal", "too early")[0] == "too early"
    assert labels(told(SHELL, minutes=1), "principal", "just before", "meanwhile") == ["just before", "meanwhile"]
    assert len(rows(told(SHELL, minutes=60 * 24 * 7 * 10**6), "principal")) == 4


def test_what_the_machine_did_while_the_session_went_on(told):
    assert labels(told(SHELL), "target", "machine", "machine at the end") == ["machine", "machine at the end"]


def test_without_an_end_the_machine_is_looked_at_for_an_hour_and_it_is_said(told):
    story = told(ENDLESS)
    assert labels(story, "target", "machine an hour on", "machine later still") == ["machine an hour on"]
    assert "no end was recorded" in notes(story, "target")
    assert "no end was recorded" not in notes(told(SHELL), "target")


def test_a_session_without_a_start_is_told_as_far_as_it_is_known(told):
    story = told(STRAY)
    assert rows(story, "session")[0]["started_at"] is None
    assert notes(story, "target") == "no target is known"
    assert "2026-03-01 13:45:00 up to 2026-03-01 14:15:00" in notes(story, "principal")


def test_more_than_is_shown_is_told_with_a_query_that_shows_all(told, archive):
    story = told(ENDLESS)
    assert len(rows(story, "principal")) == 50
    times = [row["event_time"] for row in rows(story, "principal")]
    assert times == sorted(times)
    assert times[-1] == datetime.fromisoformat("2026-03-01T11:59:05")
    command = notes(story, "principal").partition("all of them: ")[2]
    assert counted(shlex.split(command), archive) == "60\n"


# Where a credential came from


def test_a_credential_is_followed_back_to_the_key_that_was_made_for_a_person(told):
    steps = [(row["event_name"], row["issued_key"], row["user_access_key_id"]) for row in rows(told(SHELL), "lineage")]
    assert steps == [
        ("AssumeRole", DEEP["accessKeyId"], OPS["accessKeyId"]),
        ("AssumeRole", OPS["accessKeyId"], ANA["accessKeyId"]),
        ("CreateAccessKey", ANA["accessKeyId"], BEN["accessKeyId"]),
    ]
    assert (
        notes(told(SHELL), "lineage") == f"here the line ends: no AssumeRole that issued {BEN['accessKeyId']} is in the archive"
    )


def test_records_that_are_each_others_ancestors_are_followed_once(told):
    story = told(event_id("loops"))
    assert len(rows(story, "lineage")) == 2
    assert "its own ancestor" in notes(story, "lineage")


def test_a_line_that_begins_without_a_key_says_who_called(told):
    assert "AssumeRoleWithWebIdentity was called without an access key, by pod" in notes(told(event_id("pod calls")), "lineage")


def test_a_long_line_is_cut_off_and_it_is_said(tmp_path):
    keys = [f"ASIAEXAMPLE{number:09}" for number in range(LONGEST + 5)]
    sample = next(record for record in OBJECTS["one"] if record["eventID"] == event_id("ana takes Ops"))
    records = [
        sample
        | {
            "eventID": f"step-{number}",
            "userIdentity": OPS | {"accessKeyId": later},
            "responseElements": {"credentials": {"accessKeyId": key}},
        }
        for number, (key, later) in enumerate(pairwise(keys))
    ]
    with holding(tmp_path, records) as connection:
        story = story_of(connection, Subject("event", "step-0"), timedelta(minutes=1), str)
    assert len(rows(story, "lineage")) == LONGEST
    assert f"cut off: after {LONGEST} steps" in notes(story, "lineage")


def test_rival_claims_to_one_key_are_told(tmp_path):
    sample = next(record for record in OBJECTS["one"] if record["eventID"] == event_id("ana takes Ops"))
    user = next(record for record in OBJECTS["one"] if record["eventID"] == event_id("Ops takes Deep"))
    with holding(tmp_path, [sample, sample | {"eventID": "rival-1"}, user]) as connection:
        story = story_of(connection, subject_of(connection, user["eventID"]), timedelta(minutes=1), str)
    assert "2 different calls claim to have issued ASIAEXAMPLEOPS000000" in notes(story, "lineage")


def test_a_login_near_the_credentials_creation_is_a_hint(told):
    story = told(event_id("carl calls"))
    assert labels(story, "logins", "carl signs in", "carl signed in long before") == ["carl signs in"]
    assert "not linked" in notes(story, "logins")
    assert "logins" not in [each.name for each in told(SHELL).report.sections]


# Odd ones


def test_a_record_that_does_not_say_who_called_or_when_is_still_told(told):
    assert notes(told(event_id("nobody")), "principal") == "the record does not say who called"
    assert notes(told(event_id("nobody")), "lineage") == "the record names no access key"
    assert notes(told(event_id("timeless")), "principal") == "no time is known to look around"


def test_the_suggested_query_is_safe_to_paste_whatever_the_principal_is_called(told, archive):
    story = told(event_id("hostile"), minutes=0)
    assert HOSTILE in notes(story, "principal")
    moment = datetime.fromisoformat("2026-03-01T22:00:00"), datetime.fromisoformat("2026-03-02")
    command = shlex.split(query_of(Sought("user_arn", HOSTILE), Window("before", *moment)))
    assert counted(command, archive) == "1\n"


def test_a_hostile_session_id_is_found_and_told(told):
    story = told(HOSTILE)
    assert labels(story, "events", "hostile session") == ["hostile session"]
    assert "no role session" in notes(story, "target")


@pytest.mark.parametrize(
    ("target", "session"),
    [
        ("i-0aaaabbbbccccdddd", "i-0aaaabbbbccccdddd"),
        ("mi-0aaaabbbbccccdddd", "mi-0aaaabbbbccccdddd"),
        ("ecs:my_own_cluster_0123abcd_0123abcd-99", "0123abcd"),
        ("i-d3720C7af6fCfF2B2", "i-d3720C7af6fCfF2B2"),
        ("ecs:x", None),
        ("i-0aaaabbbbccccdddd; x", None),
        ("", None),
        (None, None),
    ],
)
def test_a_targets_own_role_has_the_name_of_the_machine_or_task(target, session):
    assert machine_session(target) == session


def test_time_ends_where_years_end():
    moment = datetime.fromisoformat("2026-03-01")
    assert shifted(moment, timedelta(days=10**6 * 7)).year == 9999
    assert shifted(moment, -timedelta(days=10**6 * 7)).year == 1
