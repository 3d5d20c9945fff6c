"""The public API: what a notebook, a web server or a script does with it."""

import datetime as dt
import json
import multiprocessing
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import trailscan
from tests.query.running import trailscan as command
from tests.support import world

SHELL = "i-0123456789abcdef0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three starts of sessions and some other calls, in two objects."""
    folder = tmp_path_factory.mktemp("files")
    made = world.World(3)
    for number, minute in enumerate((5, 10)):
        when = dt.datetime(2026, 3, 1, 9, minute)  # noqa: DTZ001 - naive UTC, as in the archive
        records = [made.record(when, world.ACCOUNT, world.REGION) for _ in range(5)]
        records += [started(f"s-{number}-{each}", when) for each in range(2 - number)]
        (folder / f"{number}.json").write_bytes(world.log_bytes(records))
    return folder


def started(session: str, when: dt.datetime) -> dict[str, object]:
    identity = {"type": "IAMUser", "userName": "ana", "arn": "arn:aws:iam::111122223333:user/ana", "accountId": "111122223333"}
    return {
        "eventVersion": "1.08", "userIdentity": identity, "eventTime": f"{when:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "ssm.amazonaws.com", "eventName": "StartSession", "awsRegion": "eu-west-1",
        "sourceIPAddress": "203.0.113.9", "userAgent": "x", "requestParameters": {"target": SHELL},
        "responseElements": {"sessionId": f"ana-{session}", "tokenValue": "x", "streamUrl": "wss://example.invalid"},
        "eventID": f"{session}-event", "readOnly": False, "eventType": "AwsApiCall", "managementEvent": True,
        "recipientAccountId": "111122223333", "eventCategory": "Management",
    }  # fmt: skip


@pytest.fixture(scope="module")
def case(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> trailscan.Archive:
    root = tmp_path_factory.mktemp("case") / "archive"
    assert command("load", folder, "--archive", root).code == 0
    return trailscan.Archive(root)


def test_importing_it_is_quick_and_brings_nothing_heavy() -> None:
    program = """
        import sys, time
        before = time.perf_counter()
        import trailscan
        trailscan.Archive("case").events
        heavy = [name for name in ("_duckdb", "boto3", "obstore", "pyarrow") if name in sys.modules]
        print(time.perf_counter() - before < 0.5, heavy)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout == "True []\n"


def test_a_question_is_a_description_that_can_be_asked_again(case: trailscan.Archive) -> None:
    shells = case.events(event="StartSession", source_ip=["203.0.113.0/24"], since="2026-03-01", until=dt.date(2026, 3, 2))
    assert shells.count() == shells.count() == 3
    assert {row["target"] for row in shells.rows()} == {SHELL}
    assert list(shells.rows(["event_id"], sort="-event_id", limit=1)) == [{"event_id": "s-1-0-event"}]
    assert [group["events"] for group in shells.group_by("who")] == [3]
    assert json.loads(shells.originals(limit=1)[0])["eventID"] == "s-0-0-event"
    assert "event_time" in shells.columns


def test_the_scope_says_what_was_searched(case: trailscan.Archive) -> None:
    scope = case.sessions(target=SHELL).scope
    assert (scope.objects, scope.damaged, scope.not_loaded, scope.is_whole) == (2, 0, 0, True)
    assert scope.condition is not None


def test_it_answers_as_the_command_line_does(case: trailscan.Archive) -> None:
    told = command("sessions", "--archive", case.root, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["session_id"] for line in told] == [row["session_id"] for row in case.sessions().rows()]


def test_files_are_asked_with_no_archive(folder: Path, case: trailscan.Archive) -> None:
    found = trailscan.scan(folder, event="StartSession")
    assert found.count() == 3
    assert [row["event_id"] for row in found.rows(["event_id"])] == [
        row["event_id"] for row in case.events(event="StartSession").rows(["event_id"])
    ]
    assert found.scope.objects == 2


def test_rules_give_rows(case: trailscan.Archive) -> None:
    found = case.detect(rules=["builtin"])
    assert found.count() == len(list(found.rows())) > 0


def test_one_event_in_full(case: trailscan.Archive) -> None:
    assert case.show("s-0-1-event").kind == "event"


def test_duckdb_is_at_hand_and_locked(case: trailscan.Archive) -> None:
    import duckdb

    with case.connect() as connection:
        assert connection.execute("SELECT count(*) FROM sessions").fetchall() == [(3,)]
        with pytest.raises(duckdb.Error):
            connection.execute("SELECT * FROM read_text('/etc/hostname')")
        with pytest.raises(duckdb.Error):
            connection.execute("CREATE TABLE archive.x (y INT)")


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        (lambda case: case.events(evnt="x"), "did you mean event?"),
        (lambda case: case.events(event=3), ""),
        (lambda case: case.events(since="yesterday"), "write 2026-03-01"),
        (lambda case: list(case.events().rows(["event_nam"])), "did you mean event_name?"),
        (lambda case: case.events(where="1; DROP TABLE events").count(), "trailscan docs tables"),
    ],
)
def test_wrong_usage_is_an_error_with_a_hint(case: trailscan.Archive, asked, hint: str) -> None:
    with pytest.raises(trailscan.UsageError) as caught:
        asked(case)
    assert hint in caught.value.hint


def test_no_archive_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(trailscan.NoArchive):
        trailscan.Archive(tmp_path / "nothing").events().count()


def test_several_threads_ask_at_once_while_rows_are_being_read(case: trailscan.Archive) -> None:
    rows = case.events().rows()
    next(rows)
    start = threading.Barrier(4)

    def ask(_: int) -> int:
        start.wait()
        return case.events(event="StartSession").count()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [3] * 4
    assert len(list(rows)) == 12


def count_in(root: str) -> int:
    return trailscan.Archive(root).events().count()


def test_a_spawned_process_asks(case: trailscan.Archive) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(count_in, (case.root,)) == 13


def test_a_script_without_a_main_guard_and_a_console_read_files(folder: Path, tmp_path: Path) -> None:
    program = f"import duckdb, trailscan\nprint(trailscan.scan({str(folder)!r}, event='StartSession').count())\n"
    (tmp_path / "script.py").write_text(program)
    for how, typed in (([str(tmp_path / "script.py")], None), (["-i", "-q"], program), (["-"], program)):
        done = subprocess.run(
            [sys.executable, *how], input=typed, capture_output=True, text=True, timeout=60, check=True, cwd=Path.cwd()
        )
        assert done.stdout == "3\n", done.stderr


def test_arrow_needs_its_extra_or_gives_a_table(case: trailscan.Archive) -> None:
    pytest.importorskip("pyarrow")
    table = case.sessions().arrow(["session_id", "started_at"])
    assert (table.num_rows, table.column_names) == (3, ["session_id", "started_at"])


def test_the_examples_of_the_documentation_run(
    case: trailscan.Archive, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
    (tmp_path / "case-17").symlink_to(case.root)
    (tmp_path / "download").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in text.split("```python\n")[1:]:
        exec(block.partition("```")[0], names)
