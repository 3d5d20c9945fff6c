"""`load`: what goes in is counted to the last record, once, wherever it lies; what is odd is named."""

import gzip
import io
import json
import os
import re
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.query.conftest import START
from tests.query.running import trailscan
from tests.support.world import ACCOUNT, REGION, World, gzipped, log_bytes, object_bytes
from trailscan.store.database import Database, run

WORLD = World(21)


def events(number, name=None):
    made = [WORLD.record(START, ACCOUNT, REGION) for _ in range(number)]
    return [record | {"eventName": name} for record in made] if name else made


@pytest.fixture
def load(tmp_path):
    """Load into the archive `tmp_path/archive`."""

    def load(*words):
        ended = trailscan("load", *words, "--archive", tmp_path / "archive", "--jobs", 1)
        assert ended.stdout == b""
        return ended

    return load


def ask(tmp_path, statement):
    with Database(str(tmp_path / "archive" / "trailscan.duckdb")).reading() as connection:
        return run(connection, statement)


def lay(tmp_path, **objects):
    folder = tmp_path / "logs"
    folder.mkdir(exist_ok=True)
    for name, content in objects.items():
        (folder / f"{name}.json.gz").write_bytes(content if isinstance(content, bytes) else object_bytes(content))
    return folder


def funnel(said, what):
    """`what: 12 read = 10 loaded + 2 copies ...` as (12, {"loaded": 10, ...})."""
    (line,) = [line for line in said.splitlines() if line.startswith(f"{what}: ")]
    total, parts = re.fullmatch(rf"{what}: ([\d,]+) \w+ = (.*)", line).groups()
    numbers = [part.partition(" ") for part in parts.split(" + ")]
    return int(total.replace(",", "")), {name: int(number.replace(",", "")) for number, _, name in numbers if name}


def test_the_same_files_again_load_nothing(tmp_path, load):
    folder = lay(tmp_path, a=events(3), b=events(2))
    assert funnel(load(folder).stderr, "objects") == (2, {"loaded": 2})
    again = load(folder)
    assert again.code == 0
    assert funnel(again.stderr, "objects") == (2, {"held already": 2})
    assert ask(tmp_path, "SELECT count(*) FROM events") == [(5,)]


def test_a_new_file_beside_held_ones_is_loaded(tmp_path, load):
    load(lay(tmp_path, a=events(3)))
    assert funnel(load(lay(tmp_path, b=events(4))).stderr, "objects") == (2, {"loaded": 1, "held already": 1})
    assert ask(tmp_path, "SELECT count(*) FROM events") == [(7,)]


def test_a_file_that_changed_is_kept_in_both_versions_and_named(tmp_path, load):
    load(lay(tmp_path, a=events(3)))
    ended = load(lay(tmp_path, a=events(5)))
    assert ended.code == 3
    assert "a.json.gz: an object of this name was held already, with other content; both are kept" in ended.stderr
    assert ask(tmp_path, "SELECT loaded, (SELECT list(what) FROM damage) FROM objects ORDER BY object_id") == [
        (3, ["changed"]),
        (5, ["changed"]),
    ]


def packed_in(kind, path, contents):
    if kind == "folder":
        path.mkdir()
        for name, data in contents.items():
            (path / name).write_bytes(data)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, data in contents.items():
                packed.writestr(f"in/{name}", data)
    else:
        with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as tar:
            for name, data in contents.items():
                member = tarfile.TarInfo(f"in/{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize("kind", ["folder", "tar", "tar.gz", "zip"])
def test_every_container_is_loaded_and_each_row_says_where_it_lies(tmp_path, load, kind):
    made = {"a.json.gz": events(2), "b.json": events(3)}
    contents = {"a.json.gz": object_bytes(made["a.json.gz"]), "b.json": log_bytes(made["b.json"])}
    packed_in(kind, tmp_path / f"case.{kind}", contents)
    assert load(tmp_path / f"case.{kind}").code == 0
    rows = ask(tmp_path, "SELECT event_id, path, member FROM evidence ORDER BY object_id, record_index")
    assert [row[0] for row in rows] == [record["eventID"] for part in made.values() for record in part]
    assert all(path.startswith(str(tmp_path / f"case.{kind}")) for _, path, _ in rows)
    members = {member for *_, member in rows}
    assert members == ({None} if kind == "folder" else {"in/a.json.gz", "in/b.json"})


def test_a_link_that_is_named_is_read_and_one_that_leaves_a_folder_is_told(tmp_path, load):
    real = lay(tmp_path, a=events(2))
    os.symlink(real / "a.json.gz", tmp_path / "link.json.gz")
    assert load(tmp_path / "link.json.gz").code == 0
    (tmp_path / "other").mkdir()
    os.symlink(real / "a.json.gz", tmp_path / "other" / "out.json.gz")
    ended = load(tmp_path / "other")
    assert ended.code == 3
    assert "out.json.gz: a link that leaves the folder is not followed" in ended.stderr
    assert ask(tmp_path, "SELECT object_id, what FROM damage") == [(None, "unreadable-file")]


def test_what_is_not_there_is_an_error_and_makes_no_archive(tmp_path, load):
    ended = load(tmp_path / "nowhere")
    assert (ended.code, os.listdir(tmp_path)) == (1, [])


def mixed():
    return events(2, "StartSession") + events(3, "ResumeSession") + events(4, "GetObject")


def test_only_loads_the_names_it_is_given_and_the_rest_comes_when_asked_for(tmp_path, load):
    folder = lay(tmp_path, a=mixed(), b=events(5, "ListBuckets"))
    first = load("--only", "StartSession", folder)
    assert funnel(first.stderr, "records") == (9, {"loaded": 2, "filtered out": 7})
    assert "1 object hold" in first.stderr
    assert "loaded with --only StartSession" in trailscan("query", "--archive", tmp_path / "archive", "--count").stderr
    assert funnel(load("--only", "StartSession", folder).stderr, "objects") == (2, {"held already": 2})
    load(folder)
    assert ask(tmp_path, "SELECT count(*), count(DISTINCT event_id) FROM events") == [(14, 14)]
    assert ask(tmp_path, "SELECT count(*), count(only_events) FROM objects") == [(2, 0)]
    assert "--only" not in trailscan("query", "--archive", tmp_path / "archive", "--count").stderr


def test_only_takes_globs_and_is_exact_in_case(tmp_path, load):
    folder = lay(tmp_path, a=mixed() + events(1, "startSession"))
    assert funnel(load("--only", "*Session", "--only", "startsession", folder).stderr, "records")[1]["loaded"] == 6


def test_a_record_of_an_escaped_name_is_not_lost_to_only(tmp_path, load):
    (name,) = events(1, "StartSession")
    folder = lay(tmp_path, a=gzipped(log_bytes([name]).replace(b'"StartSession"', rb'"\u0053tart\u0053ession"')))
    assert funnel(load("--only", "StartSession", folder).stderr, "records") == (1, {"loaded": 1})


def test_a_reload_in_full_counts_no_copies_of_what_it_replaces(tmp_path, load):
    folder = lay(tmp_path, a=mixed())
    load("--only", "StartSession", folder)
    assert funnel(load(folder).stderr, "records") == (9, {"loaded": 9})


def test_other_names_later_add_to_those_loaded_before(tmp_path, load):
    folder = lay(tmp_path, a=mixed())
    load("--only", "StartSession", folder)
    load("--only", "ResumeSession", folder)
    names = {name for (name,) in ask(tmp_path, "SELECT event_name FROM events")}
    assert names == {"StartSession", "ResumeSession"}


def test_copies_are_kept_counted_and_shown_once(tmp_path, load):
    made = events(4)
    load(lay(tmp_path, a=made))
    assert funnel(load(lay(tmp_path, b=made[:3], c=events(1))).stderr, "records") == (
        4,
        {"loaded": 1, "copies of events held already": 3},
    )
    assert ask(tmp_path, "SELECT count(*) FROM events") == [(8,)]
    assert trailscan("query", "--archive", tmp_path / "archive", "--count").stdout == b"5\n"


def test_copies_without_a_time_are_counted_too(tmp_path, load):
    made = [record | {"eventTime": "never"} for record in events(2)]
    load(lay(tmp_path, a=made))
    _, parts = funnel(load(lay(tmp_path, b=made)).stderr, "records")
    assert parts == {"copies of events held already": 2}


def test_a_key_that_stands_twice_is_loaded_whole_flagged_and_named(tmp_path, load):
    record = b'{"eventVersion":"1.08","eventID":"e-1","eventName":"DescribeSessions","eventName":"StartSession"}'
    ended = load(lay(tmp_path, a=gzipped(b'{"Records":[' + record + b"]}")))
    assert ended.code == 3
    assert funnel(ended.stderr, "records") == (1, {"loaded": 1})
    assert ask(tmp_path, "SELECT what, record_index FROM damage") == [("duplicate-key", 0)]
    assert ask(tmp_path, "SELECT flags, other_fields FROM events") == [("duplicate-key", record.decode())]


def test_exit_code_3_is_never_given_without_naming_what_is_wrong(tmp_path, load):
    record = b'{"eventVersion":"1.08","eventID":"e-1","eventName":"DescribeSessions","eventName":"StartSession"}'
    assert "a.json.gz: " in load(lay(tmp_path, a=gzipped(b'{"Records":[' + record + b"]}"))).stderr


GOOD, BAD = (
    ("StartSession", "GetObject", "PutObject"),
    (b"5", b'"text"', b"null", b"[]", b'{"eventVersion":"1.0","eventName":"X","eventID":NaN}', b"{}"),
)
elements = st.lists(st.sampled_from(range(12)) | st.sampled_from(BAD), max_size=8)


def element(chosen):
    """A damaged element as it is; a number as the record of that number, so that equal numbers are copies."""
    if isinstance(chosen, bytes):
        return chosen
    record = {
        "eventVersion": "1.08",
        "eventTime": f"2026-03-02T10:00:{chosen:02d}Z",
        "eventID": f"e-{chosen}",
        "eventName": GOOD[chosen % 3],
        "recipientAccountId": ACCOUNT,
    }
    return json.dumps(record).encode()


@settings(max_examples=12)
@given(st.lists(elements, min_size=1, max_size=4), st.sampled_from([(), ("GetObject",), ("*Object",)]), st.booleans())
def test_the_funnel_adds_up(tmp_path_factory, objects, only, twice):
    tmp_path = tmp_path_factory.mktemp("funnel")
    folder = tmp_path / "logs"
    folder.mkdir()
    for number, chosen in enumerate(objects):
        data = b'{"Records":[' + b",".join(map(element, chosen)) + b"]}"
        (folder / f"{number}.json.gz").write_bytes(gzip.compress(data, mtime=0))
    words = [folder, "--archive", tmp_path / "archive", "--jobs", 1, *(word for name in only for word in ("--only", name))]
    ended = trailscan("load", *words)

    total, parts = funnel(ended.stderr, "records")
    assert total == sum(parts.values())
    found, kinds = funnel(ended.stderr, "objects")
    assert found == sum(kinds.values()) == len(objects)
    records = [one for chosen in objects for one in chosen if not isinstance(one, bytes)]
    wanted = [one for one in records if not only or any(GOOD[one % 3].endswith(name.strip("*")) for name in only)]
    assert parts.get("loaded", 0) == len(set(wanted))
    assert parts.get("copies of events held already", 0) == len(wanted) - len(set(wanted))
    if not only:  # the prefilter need not read, and so not count, what cannot hold a wanted name
        assert parts.get("damaged", 0) == sum(len(chosen) for chosen in objects) - len(records)
    assert ask(tmp_path, "SELECT count(*) FROM events") == [(len(wanted),)]
    if twice:
        assert funnel(trailscan("load", *words).stderr, "objects") == (len(objects), {"held already": len(objects)})
