"""What `query` says beside the data: what an answer rests on, why there is none, and never a byte that steers a terminal."""

import json
import os
import shutil

import pytest

from tests.query.conftest import START, archive, files, records  # noqa: F401 - fixtures
from tests.query.running import trailscan
from tests.support.world import ACCOUNT, REGION, World, gzipped, object_bytes

HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202egpj\u2066\x9b31m\x00\x7f"
STEERING = set(HOSTILE) - set("[2J]0;ownedgpj31m")


def asked(archive, *words):  # noqa: F811
    return trailscan("query", "--archive", archive, *words)


@pytest.mark.parametrize("words", [[], ["--event", "StartSession"], ["--event", "NoSuchEvent"], ["-f", "json", "--limit", "3"]])
def test_count_is_one_integer_whatever_else_is_asked(archive, words):  # noqa: F811
    rows = asked(archive, *[word for word in words if word not in {"--limit", "3", "-f", "json"}], "-f", "jsonl").stdout.count(
        b"\n"
    )
    ended = asked(archive, *words, "--count")
    assert (ended.code, ended.stdout) == (0, f"{rows}\n".encode())
    assert ended.stderr.startswith(f"{rows:,} event")


def test_by_counts_the_values_of_a_column(archive, records):  # noqa: F811
    rows = json.loads(asked(archive, "--by", "aws_region", "-f", "json").stdout)
    regions = [record["awsRegion"] for record in records]
    assert {row["aws_region"]: row["events"] for row in rows} == {name: regions.count(name) for name in set(regions)}
    assert rows[0]["events"] >= rows[1]["events"]
    assert rows[0].keys() == {"aws_region", "events", "first_event", "last_event"}


def test_a_limit_of_groups_is_told(archive):  # noqa: F811
    assert "shown" in asked(archive, "--by", "event_name", "--limit", "1").stderr


def test_groups_have_no_original_records(archive):  # noqa: F811
    assert asked(archive, "--by", "event_name", "-f", "record").code == 2


@pytest.mark.parametrize("words", [["--columns", "nosuch"], ["--sort", "nosuch"]])
def test_a_column_that_is_not_there_is_wrong_usage_even_where_nothing_is_found(archive, words):  # noqa: F811
    assert asked(archive, "--event", "NoSuchEvent", *words).code == 2


@pytest.mark.parametrize("column", ["event_time", "event_id", "who", "object_id", "read_only"])
def test_sort_orders_both_ways_and_absent_values_come_last(archive, column):  # noqa: F811
    words = ["--columns", f"{column},event_id", "-f", "jsonl"]
    up, down = (
        [json.loads(line)[column] for line in asked(archive, *words, "--sort", sort).stdout.splitlines()]
        for sort in (column, f"-{column}")
    )
    there = [value for value in up if value is not None]
    assert up == sorted(there, key=lambda value: value.encode() if isinstance(value, str) else value) + [None] * (
        180 - len(there)
    )
    assert down == sorted(there, key=lambda value: value.encode() if isinstance(value, str) else value, reverse=True) + [
        None
    ] * (180 - len(there))


@pytest.mark.parametrize(("limit", "shown"), [(0, 0), (7, 7), (179, 179)])
def test_a_limit_says_how_much_there_is(archive, limit, shown):  # noqa: F811
    ended = asked(archive, "--limit", limit, "-f", "jsonl")
    assert len(ended.stdout.splitlines()) == shown
    assert ended.stderr.startswith(f"{shown:,} shown of 180 events in 7 of 7 objects")


def test_a_limit_that_cuts_nothing_says_nothing(archive):  # noqa: F811
    assert asked(archive, "--limit", 180, "-f", "jsonl").stderr == "180 events in 7 of 7 objects\n"


@pytest.mark.parametrize("wanted", ["table", "json", "jsonl", "csv", "record"])
def test_quiet_silences_all_but_data(archive, wanted):  # noqa: F811
    loud, quiet = asked(archive, "-f", wanted), asked(archive, "-f", wanted, "--quiet")
    assert quiet.stderr == ""
    assert quiet.stdout == loud.stdout != b""


def test_quiet_does_not_silence_errors(tmp_path):
    ended = asked(tmp_path / "nowhere", "--quiet")
    assert (ended.code, ended.stdout) == (1, b"")
    assert ended.stderr.startswith("error: there is no archive at ")


@pytest.mark.parametrize("words", [["--format", "xml"], ["--limit", "-1"], ["--limit", "x"], ["--nosuch"], ["--jobs", "0"]])
def test_wrong_usage_is_exit_code_2_and_no_data(archive, words):  # noqa: F811
    ended = asked(archive, *words)
    assert (ended.code, ended.stdout) == (2, b"")
    assert "Traceback" not in ended.stderr


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    ended = trailscan("query", tmp_path / "nowhere")
    assert (ended.code, ended.stdout) == (1, b"")
    assert ended.stderr == f"error: cannot read {tmp_path / 'nowhere'}: No such file or directory\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--event", "startSession"], "did you mean StartSession or startsession or StartSessions?"),
        (["--event", "StartSesion"], "did you mean "),
        (["--since", "2027-01-01"], "the events held lie between 2026-03-02 10:00:00Z and 2026-03-02 10:59:40Z"),
        (["--event", "StartSession", "--region", "mars-1"], "each filter alone lets through: --event "),
        (["--event", "StartSession", "--region", "mars-1"], ", --region 0"),
        (["--source-ip", "192.0.99.0/24", "--failed"], "--source-ip 0, --failed "),
    ],
)
def test_nothing_found_is_explained(archive, words, said):  # noqa: F811
    ended = asked(archive, *words)
    assert (ended.code, ended.stdout) == (0, b"")
    assert ended.stderr.startswith("0 events in 0 of 7 objects\n")
    assert said in ended.stderr


@pytest.mark.parametrize("wanted", ["table", "json", "jsonl", "csv", "parquet", "record"])
@pytest.mark.parametrize("place", ["archive", "files"])
def test_nothing_found_is_never_said_without_what_it_rests_on(place, wanted, request):
    where = request.getfixturevalue(place)
    where = ["--archive", where] if place == "archive" else [where, "--jobs", 1]
    for count in ([], ["--count"]):
        ended = trailscan("query", *where, "--event", "NoSuchEvent", "-f", wanted, *count)
        assert (ended.code, ended.stderr.splitlines()[0]) == (0, "0 events in 0 of 7 objects")


def test_an_empty_folder_says_that_nothing_was_searched(tmp_path):
    ended = trailscan("query", tmp_path, "--jobs", 1, "--count")
    assert (ended.code, ended.stdout) == (0, b"0\n")
    assert ended.stderr == "0 events in 0 of 0 objects\nnothing was searched: there is no object here\n"


def test_damage_is_named_and_the_exit_code_is_3(files, tmp_path):  # noqa: F811
    shutil.copy(files / "delivered.json.gz", tmp_path)
    (tmp_path / "cut.json.gz").write_bytes((files / "delivered.json.gz").read_bytes()[:-300])
    (tmp_path / "text.json").write_text("not a log", encoding="utf-8")
    straight = trailscan("query", tmp_path, "--jobs", 1, "--count")
    trailscan("load", tmp_path, "--archive", tmp_path / "a", "--jobs", 1)
    archived = asked(tmp_path / "a", "--count")
    assert (straight.code, archived.code) == (3, 3)
    assert straight.stdout == archived.stdout
    assert "of 3 objects; 1 object damaged; 1 object not CloudTrail" in straight.stderr
    assert f"  {tmp_path / 'cut.json.gz'}: " in straight.stderr
    assert "of 3 objects; 1 object damaged (trailscan status); 1 object not CloudTrail (trailscan status)" in archived.stderr


def test_a_link_that_leaves_the_folder_is_named_in_both_ways(files, tmp_path):  # noqa: F811
    logs = tmp_path / "logs"
    logs.mkdir()
    os.symlink(files / "delivered.json.gz", logs / "link.json.gz")
    straight = trailscan("query", logs, "--jobs", 1, "--count")
    loaded = trailscan("load", logs, "--archive", tmp_path / "a", "--jobs", 1)
    assert (straight.code, loaded.code, asked(tmp_path / "a", "--count").code) == (3, 3, 3)
    assert "link.json.gz: a link that leaves the folder is not followed" in straight.stderr
    assert "link.json.gz: a link that leaves the folder is not followed" in loaded.stderr


def test_a_key_that_stands_twice_is_told_in_both_ways(tmp_path):
    record = b'{"eventVersion":"1.08","eventID":"e-1","eventName":"DescribeSessions","eventName":"StartSession"}'
    (tmp_path / "twice.json.gz").write_bytes(gzipped(b'{"Records":[' + record + b"]}"))
    assert trailscan("load", tmp_path, "--archive", tmp_path / "a", "--jobs", 1).code == 3
    assert asked(tmp_path / "a", "--count").code == 3
    assert trailscan("query", tmp_path / "twice.json.gz", "--jobs", 1, "--count").code == 3


@pytest.fixture(scope="module")
def traps(tmp_path_factory):
    """A folder with log objects whose every text, and whose names, try to steer a terminal; and an archive of it."""
    root = tmp_path_factory.mktemp("traps")
    record = World(3).start_session(START, ACCOUNT, REGION) | {
        "eventName": f"Start{HOSTILE}", "errorCode": HOSTILE, "sourceIPAddress": HOSTILE, "userAgent": HOSTILE,
        "userIdentity": {"type": "IAMUser", "userName": f"alice{HOSTILE}"}, f"key{HOSTILE}": HOSTILE,
    }  # fmt: skip
    folder = root / "logs\x1b[2J\u202e"
    folder.mkdir()
    (folder / "a\x1b]0;x\x07.json.gz").write_bytes(object_bytes([record]))
    (folder / "b\x1b[31m.json.gz").write_bytes(object_bytes([record])[:-40])
    loaded = trailscan("load", folder, "--archive", root / "archive", "--jobs", 1)
    return folder, root / "archive", loaded


@pytest.mark.parametrize(
    "words",
    [
        [], ["--columns", "event_name,user_name,error_code,source_ip_address,user_agent,other_fields"], ["--by", "user_name"],
        ["--by", "path"], ["--event", "start*"], ["--event", HOSTILE.replace("\0", "")], ["--by", "\x1b[2J"],
        ["--since", "\x1b[2J"], ["--where", "\x1b[2J"], ["--where", "user_agent = 1"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("straight", [True, False])
def test_nothing_that_steers_a_terminal_is_printed(traps, words, straight):
    folder, root, _ = traps
    where = [folder, "--jobs", 1] if straight else ["--archive", root]
    ended = trailscan("query", *where, *words)
    assert STEERING & set(ended.stdout.decode() + ended.stderr) == set()


def test_loading_prints_nothing_that_steers_a_terminal(traps):
    _, _, loaded = traps
    assert loaded.code == 3
    assert STEERING & set(loaded.stderr) == set()
    assert "\\x1b[31m.json.gz" in loaded.stderr


@pytest.mark.parametrize("wanted", ["json", "jsonl", "record"])
def test_json_escapes_what_opens_a_control_sequence(traps, wanted):
    folder, root, _ = traps
    for where in ([folder, "--jobs", 1], ["--archive", root]):
        written = trailscan("query", *where, "-f", wanted).stdout
        assert b"\x1b" not in written
        assert b"\0" not in written


def test_a_name_with_a_line_break_makes_no_line_of_its_own(tmp_path):
    (tmp_path / "x\nrecords: 9 read = 9 loaded\n.json").write_bytes(b"junk")
    loaded = trailscan("load", tmp_path, "--archive", tmp_path / "archive", "--jobs", 1)
    assert "records: 9 read = 9 loaded" not in loaded.stderr.splitlines()
