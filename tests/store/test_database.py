"""The file and who may open it: one writer at a time, readers that wait, and what a killed writer leaves behind."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import duckdb
import pytest

from trailscan.errors import ArchiveBusy, ArchiveError, NoArchive, SchemaMismatch
from trailscan.store.database import SCHEMA_VERSION, Database, run

# Opens the file as the first argument says, writes a row if it may, says so, and waits to be told to go on.
OTHER = """
import sys
from trailscan.store.database import Database, run
with getattr(Database(sys.argv[2]), sys.argv[1])() as connection:
    if sys.argv[1] == "writing":
        run(connection, "INSERT INTO about VALUES ('other', 'was here')")
        run(connection, "INSERT INTO damage SELECT range, 0, 'x', 0, repeat('y', 100) FROM range(200000)")
    print("in", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "trailscan.duckdb")
    Database(path).create()
    return path


@contextmanager
def another(how, path):
    """A process that has the file open."""
    command = [sys.executable, "-c", OTHER, how, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "in\n"
        try:
            yield process
        finally:
            process.kill()


def names_in(path, patience=10.0):
    with Database(path, patience).reading() as connection:
        damage = run(connection, "SELECT count(*) FROM damage")[0][0]
        return {name for (name,) in run(connection, "SELECT name FROM about")}, damage


BEFORE = ({"schema_version", "made_by"}, 0)


def test_a_reader_waits_for_a_writer_and_sees_what_it_wrote(path):
    with another("writing", path) as writer:
        with pytest.raises(ArchiveBusy):
            names_in(path, patience=0.05)
        writer.stdin.write("\n")
        writer.stdin.close()
        assert names_in(path) == (BEFORE[0] | {"other"}, 200_000)


@pytest.mark.parametrize("wanted", ["reading", "writing"])
def test_who_gives_up_names_the_process_that_holds_the_file(path, wanted):
    with another("writing", path) as writer, pytest.raises(ArchiveBusy) as busy, getattr(Database(path, 0.05), wanted)():
        pytest.fail("it was let in")
    assert f"held by process {writer.pid} (" in busy.value.message
    assert busy.value.hint == "try again when it has finished"


def test_a_writer_waits_for_a_reader(path):
    with another("reading", path) as reader:
        with pytest.raises(ArchiveBusy, match=str(reader.pid)), Database(path, 0.05).writing():
            pytest.fail("it was let in")
        reader.stdin.close()
        with Database(path, 10).writing() as connection:
            run(connection, "INSERT INTO about VALUES ('late', '')")
    assert "late" in names_in(path)[0]


def test_two_processes_read_at_once(path):
    with another("reading", path):
        assert names_in(path, patience=0.0) == BEFORE


def test_a_killed_writer_leaves_the_file_as_it_was(path):
    with another("writing", path) as writer:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert names_in(path) == BEFORE
    with Database(path).writing() as connection:
        run(connection, "INSERT INTO about VALUES ('after', '')")
    assert names_in(path) == (BEFORE[0] | {"after"}, 0)


def test_an_error_within_a_transaction_takes_it_back(path):
    with pytest.raises(duckdb.ConstraintException), Database(path).writing() as connection:
        run(connection, "INSERT INTO about VALUES ('half', ''); INSERT INTO about VALUES ('made_by', '')")
    assert names_in(path) == BEFORE


def test_a_reader_cannot_write_nor_look_elsewhere(path, tmp_path):
    (tmp_path / "x.csv").write_text("a\n1\n", encoding="utf-8")
    forbidden = [
        "INSERT INTO about VALUES ('x', 'y')", "DROP TABLE events", f"COPY about TO '{tmp_path}/out.csv'",
        f"SELECT * FROM '{tmp_path}/x.csv'", f"ATTACH '{tmp_path}/other.duckdb'", "INSTALL httpfs", "LOAD httpfs",
        "SET enable_external_access = true", "SET lock_configuration = false", f"EXPORT DATABASE '{tmp_path}/out'",
    ]  # fmt: skip
    before = sorted(os.listdir(tmp_path))
    with Database(path).reading() as connection:
        for statement in forbidden:
            with pytest.raises(duckdb.Error):
                run(connection, statement)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(("version", "said"), [(0, "an older"), (SCHEMA_VERSION + 1, "a newer"), (None, "an older")])
@pytest.mark.parametrize("wanted", ["reading", "writing"])
def test_tables_of_another_version_are_refused_in_words(path, version, said, wanted):
    with Database(path).writing() as connection:
        run(connection, "DELETE FROM about WHERE name = 'schema_version'")
        if version is not None:
            run(connection, "INSERT INTO about VALUES ('schema_version', ?)", [str(version)])
    with (
        pytest.raises(SchemaMismatch, match=f"was written by {said} trailscan: ") as refused,
        getattr(Database(path), wanted)(),
    ):
        pytest.fail("it was let in")
    assert "trailscan rebuild" in refused.value.hint


@pytest.mark.parametrize("content", [b"", b"x", b"junk" * 4096, b"\x1f\x8b" + bytes(20_000)])
@pytest.mark.parametrize("wanted", ["reading", "writing"])
def test_what_is_no_database_is_refused_in_words(tmp_path, content, wanted):
    path = tmp_path / "trailscan.duckdb"
    path.write_bytes(content)
    with pytest.raises(ArchiveError) as refused, getattr(Database(str(path), 0.2), wanted)():
        pytest.fail("it was let in")
    assert not isinstance(refused.value, (ArchiveBusy, NoArchive))
    assert "trailscan rebuild" in refused.value.hint


@pytest.mark.parametrize("wanted", ["reading", "writing"])
def test_a_database_of_others_is_refused_in_words(tmp_path, wanted):
    path = str(tmp_path / "trailscan.duckdb")
    duckdb.connect(path).close()
    with pytest.raises(ArchiveError, match=r"is not a (trailscan|usable) database"), getattr(Database(path), wanted)():
        pytest.fail("it was let in")


def test_where_there_is_no_file_there_is_no_archive(tmp_path):
    with pytest.raises(NoArchive), Database(str(tmp_path / "trailscan.duckdb")).reading():
        pytest.fail("it was let in")


def test_a_broken_file_in_a_folder_named_blocked_is_not_busy(tmp_path):
    path = tmp_path / "blocked" / "trailscan.duckdb"
    path.parent.mkdir()
    path.write_bytes(b"junk" * 4096)
    with pytest.raises(ArchiveError) as refused, Database(str(path), 0.05).reading():
        pytest.fail("it was let in")
    assert not isinstance(refused.value, ArchiveBusy)


@pytest.mark.parametrize("spoilt", [range(4096), range(4096, 12288)])
def test_a_file_whose_head_is_spoilt_is_refused_at_once_in_words(path, spoilt):
    with open(path, "r+b") as file:
        file.seek(spoilt.start)
        file.write(b"\xa5" * len(spoilt))
    with pytest.raises(ArchiveError) as refused, Database(path, 5.0).reading():
        pytest.fail("it was let in")
    assert not isinstance(refused.value, ArchiveBusy)


def test_creating_twice_keeps_what_is_there(path):
    with Database(path).writing() as connection:
        run(connection, "INSERT INTO about VALUES ('kept', '')")
    Database(path).create()
    assert "kept" in names_in(path)[0]
    assert os.listdir(os.path.dirname(path)) == ["trailscan.duckdb"]
