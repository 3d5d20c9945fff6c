"""`trailscan sessions` from its arguments to its last words: filters, formats, and what is said of the answer."""

import csv
import io
import json

import pytest
from pyarrow import parquet

from tests.fixtures.invented import ANA, BEN, NODE, call, denied, iam_user, plain, resume, start, terminate
from tests.query.running import trailscan
from tests.support.world import object_bytes

MALLORY = iam_user("mallory")
BENS = "ben.o-hara@example.com-2"
EC2 = "arn:aws:ec2:eu-west-1:111122223333"
HOSTILE = "x\x1b[2J\x07\u202e\n=cmd()"
FORWARD = {
    "documentName": "AWS-StartPortForwardingSessionToRemoteHost",
    "parameters": {"host": ["db.example.internal"], "portNumber": ["5432"]},
    "reason": "INC-7",
}
RECORDS = [
    start("a", "ana-1", at="09:00:00"),
    resume("b", "ana-1", at="09:05:00", who=MALLORY, sourceIPAddress="203.0.113.66"),
    terminate("c", "ana-1", at="09:20:00"),
    start("d", BENS, "mi-0123456789abcdef0", at="10:00:00", who=BEN, document=FORWARD, awsRegion="us-east-1"),
    denied("e", f"{EC2}:instance/{NODE}", at="11:00:00", who=MALLORY, sourceIPAddress="2001:db8::7"),
    call("f", "StartSession", at="12:00:00", requestParameters={"target": "i-0ffff"}, errorCode="TargetNotConnected"),
    terminate("g", "erin-3", at="08:00:00"),
    call("h", "SendCommand", at="13:00:00", who=MALLORY, requestParameters={"instanceIds": [NODE, "i-0eeee"]}),
    call("i", "StartSession", at="14:00:00", eventSource="athena.amazonaws.com", responseElements={"sessionId": "ana-1"}),
    *(plain(number) for number in range(20)),
]  # fmt: skip
ALL = ["erin-3", "ana-1", BENS, "denied", "failed"]


def archive_of(folder, *objects):
    (folder / "logs").mkdir()
    for number, content in enumerate(objects):
        (folder / "logs" / f"{number}.json.gz").write_bytes(content if isinstance(content, bytes) else object_bytes(content))
    trailscan("load", folder / "logs", "--archive", folder / "archive", "--jobs", 1)
    return folder / "archive"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return archive_of(tmp_path_factory.mktemp("case"), RECORDS[0::3], RECORDS[1::3], RECORDS[2::3], [*RECORDS[:4]])


@pytest.fixture(scope="module")
def ask(archive):
    return lambda *words: trailscan("sessions", "--archive", archive, *words)


def ids(ended):
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    return [row["session_id"] or (row["outcome"] if row["door"] == "StartSession" else row["door"]) for row in rows]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], ALL),
        (["--user", "ana"], ["erin-3", "ana-1", "failed"]),
        (["--user", "mallory"], ["ana-1", "denied"]),
        (["--user", "erin"], ["erin-3"]),
        (["--user", "ben.*"], [BENS]),
        (["--user", "AWSReservedSSO_Operators_0123456789abcdef"], [BENS]),
        (["--user", "ben.o-hara@example.com (*"], [BENS]),
        (["--arn", "*:user/mallory"], ["ana-1", "denied"]),
        (["--arn", "*role/*"], [BENS]),
        (["--access-key", MALLORY["accessKeyId"]], ["ana-1", "denied"]),
        (["--source-ip", "203.0.113.0/24"], ["ana-1"]),
        (["--source-ip", "2001:db8::/32", "--source-ip", "203.0.113.66"], ["ana-1", "denied"]),
        (["--target", NODE], ["ana-1", "denied"]),
        (["--target", "mi-*"], [BENS]),
        (["--session", "ana-1"], ["ana-1"]),
        (["--session", "*-2", "--session", "erin-3"], ["erin-3", BENS]),
        (["--region", "us-east-1"], [BENS]),
        (["--account", "444455556666"], []),
        (["--event", "ResumeSession"], ["ana-1"]),
        (["--event", "Terminate*"], ["erin-3", "ana-1"]),
        (["--event-source", "ssm.amazonaws.com"], ALL),
        (["--error", "TargetNotConnected"], ["failed"]),
        (["--failed"], ["denied", "failed"]),
        (["--succeeded", "--user", "mallory"], ["ana-1"]),
        (["--since", "2026-03-01T09:00:00Z", "--until", "2026-03-01T11:00:00Z"], ["ana-1", BENS]),
        (["--until", "2026-03-01T08:00:01"], ["erin-3"]),
        (["--where", "purpose LIKE 'forward%' OR flags LIKE '%no-start%'"], ["erin-3", BENS]),
        (["--all-doors", "--target", "i-0eeee"], ["SendCommand"]),
        (["--all-doors", "--since", "2026-03-01T11:30"], ["failed", "SendCommand"]),
        (["--sort", "-duration_s", "--limit", "1"], ["ana-1"]),
        (["--sort", "-started_at"], ALL[::-1]),
    ],
)
def test_filters_let_through_the_sessions_of_which_a_call_matches(ask, words, found):
    ended = ask(*words, "-f", "jsonl")
    assert (ended.code, ids(ended)) == (0, found)
    assert trailscan_count(ask, words) == len(found)


def trailscan_count(ask, words):
    if "--limit" in words:
        words = words[: words.index("--limit")]
        return min(1, int(ask(*words, "--count").stdout))
    return int(ask(*words, "--count").stdout)


def test_the_table_tells_a_person_who_when_from_where_and_what(ask):
    ended = ask()
    lines = ended.stdout.decode().splitlines()
    assert lines[0].split() == [
        "started_utc",
        "lasted",
        "who_started",
        "from",
        "target",
        "purpose",
        "outcome",
        "flags",
        "session_id",
    ]
    assert lines[1].startswith("before 2026-03-01 08:00:00  terminated by another principal  erin (by session id)")
    assert lines[2].startswith("2026-03-01 09:00:00         00:20:00                         ana ")
    assert "198.51.100.7, 203.0.113.66" in lines[2]
    assert "principal-changed,address-changed" in lines[2]
    assert "no end recorded" in lines[3]
    assert "forward through node to db.example.internal:5432" in lines[3]
    assert ended.stderr == "5 sessions from 7 events in 3 of 4 objects; not opened: 1 denied, 1 failed\n"


def test_all_doors_are_counted_as_doors(ask):
    assert ask("--all-doors").stderr.startswith("6 doors from 8 events in 3 of 4 objects; ")


def test_all_formats_agree_cell_for_cell(ask):
    wrote = {name: ask("--all-doors", "-f", name) for name in ("json", "jsonl", "csv", "parquet")}
    assert {ended.code for ended in wrote.values()} == {0}
    assert len({ended.stderr for ended in wrote.values()}) == 1
    rows = json.loads(wrote["json"].stdout)
    assert len(rows) == 6
    assert [json.loads(line) for line in wrote["jsonl"].stdout.splitlines()] == rows
    assert [plainly(row) for row in csv.DictReader(io.StringIO(wrote["csv"].stdout.decode(), newline=""))] == [
        plainly(row) for row in rows
    ]
    assert [plainly(row) for row in parquet.read_table(io.BytesIO(wrote["parquet"].stdout)).to_pylist()] == [
        plainly(row) for row in rows
    ]


def plainly(row):
    """The cells of any format as one kind of text."""
    return {name: text_of(value) for name, value in row.items()}


def text_of(value):
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, (list, bool, int)):
        return json.dumps(value, separators=(",", ":"))
    return f"{value:%Y-%m-%dT%H:%M:%SZ}"


def test_what_means_something_to_this_database_only_is_not_shown(ask):
    rows = json.loads(ask("-f", "json").stdout)
    assert not {"row_ids", "door_kind"} & set(rows[0])
    assert ask("--columns", "row_ids").code == 2


@pytest.mark.parametrize("words", [["--columns", "nosuch"], ["--sort", "nosuch"], ["--by", "nosuch"], ["--where", "nosuch = 1"],
                                   ["--where", "true; DROP TABLE events"], ["--source-ip", "nowhere"], ["--format", "xml"],
                                   ["--by", "who", "-f", "record"]])  # fmt: skip
def test_wrong_usage_is_exit_code_2_and_no_data(ask, words):
    ended = ask(*words)
    assert (ended.code, ended.stdout) == (2, b"")


def test_columns_and_groups_have_the_names_of_the_view(ask):
    assert ask("--columns", "who,from,lasted", "-f", "csv", "--session", "ana-1").stdout == (
        b'who,from,lasted\nana,"198.51.100.7, 203.0.113.66",00:20:00\n'
    )
    rows = json.loads(ask("--by", "outcome", "-f", "json").stdout)
    assert [(row["outcome"], row["sessions"]) for row in rows] == [("opened", 2), ("denied", 1), ("failed", 1), ("unknown", 1)]
    assert rows[0]["first_started"] == "2026-03-01T09:00:00Z"
    assert "2 of 4 values shown" in ask("--by", "outcome", "--limit", 2).stderr


def test_records_are_the_originals_session_by_session(ask):
    lines = ask("-f", "record", "--sort", "-started_at", "--succeeded").stdout.splitlines()
    wanted = [RECORDS[index] for index in (3, 0, 1, 2, 6)]
    assert [json.loads(line) for line in lines] == wanted


def test_a_limit_says_how_much_there_is(ask):
    ended = ask("--limit", 2, "-f", "record")
    assert ended.stderr.startswith("2 shown of 5 sessions from 7 events")
    assert len(ended.stdout.splitlines()) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--event", "startsession"], "did you mean StartSession?"),
        (["--since", "2027-01-01"], "the events held lie between 2026-03-01 08:00:00Z and "),
        (["--user", "ana", "--region", "us-east-1"], "each filter alone lets through: --user 3, --region 1"),
    ],
)
def test_nothing_found_is_explained_and_points_at_the_coverage(ask, words, said):
    ended = ask(*words)
    assert (ended.code, ended.stdout) == (0, b"")
    assert ended.stderr.startswith("0 sessions from 0 events in 0 of 4 objects\n")
    assert said in ended.stderr
    assert "trailscan coverage" in ended.stderr


def test_quiet_says_nothing_and_a_file_takes_what_stdout_would(ask, tmp_path):
    loud = ask("-f", "csv")
    ended = ask("-f", "csv", "--quiet", "-o", tmp_path / "shells.csv")
    assert (ended.stdout, ended.stderr) == (b"", "")
    assert (tmp_path / "shells.csv").read_bytes() == loud.stdout


def test_damage_and_contradictions_set_the_exit_code(tmp_path):
    whole = object_bytes(RECORDS)
    ended = trailscan("sessions", "--archive", archive_of(tmp_path, whole, whole[:-60]), "--count")
    assert (ended.code, ended.stdout) == (3, b"5\n")
    assert "; 1 object damaged (trailscan status)" in ended.stderr


def test_versions_of_one_event_that_differ_are_told_of(tmp_path):
    forged = {**RECORDS[0], "sourceIPAddress": "192.0.2.1"}
    ended = trailscan("sessions", "--archive", archive_of(tmp_path, RECORDS, [forged]), "--session", "ana-1")
    assert ended.code == 3
    assert "beware: 1 session with records that contradict each other (see flags)" in ended.stderr
    assert b"conflicting-records" in ended.stdout


def test_a_missing_archive_is_an_error(tmp_path):
    ended = trailscan("sessions", "--archive", tmp_path / "nowhere", "--quiet")
    assert (ended.code, ended.stdout) == (1, b"")


def test_nothing_that_steers_a_terminal_is_printed_and_nothing_runs_in_a_spreadsheet(tmp_path):
    who = {**ANA, "userName": HOSTILE, "arn": HOSTILE}
    records = [
        start("s", f"{HOSTILE}-1", HOSTILE, who=who, sourceIPAddress=HOSTILE, userAgent=HOSTILE, document={"reason": HOSTILE}),
        start("t", "x-2", document={"documentName": HOSTILE, "parameters": {HOSTILE: [HOSTILE]}}),
        start("u", "=cmd()-3", "=cmd()", errorMessage=HOSTILE),
    ]
    root = archive_of(tmp_path, records)
    for words in ([], ["--by", "who"], ["--columns", "reason,document,user_agents"], ["--user", HOSTILE], ["-f", "json"]):
        ended = trailscan("sessions", "--archive", root, *words)
        steering = {"\x1b", "\x07"} if "json" in words else {"\x1b", "\x07", "\u202e"}
        assert steering & set(ended.stdout.decode() + ended.stderr) == set()
    cells = trailscan("sessions", "--archive", root, "-f", "csv", "--columns", "target").stdout.decode()
    assert "'=cmd()" in cells
