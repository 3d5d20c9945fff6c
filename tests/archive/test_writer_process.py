"""The process that lays objects down: it answers as the archive would, and ends when it is left alone."""

from datetime import datetime

import pytest

from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.writer_process import WriterProcess
from trailscan.errors import ArchiveError

WHEN = datetime(2026, 3, 1)  # noqa: DTZ001 - UTC without zone


@pytest.fixture
def archive(tmp_path):
    archive = ArchiveFolder(str(tmp_path / "case"))
    archive.create()
    return archive


def test_it_lays_objects_as_the_archive_itself_would(archive, tmp_path):
    other = ArchiveFolder(str(tmp_path / "other"))
    other.create()
    arrived = [("objects/b/k", b"one", WHEN), ("objects/b/k", b"two", WHEN), ("objects/b/k/below", b"three", None)]
    with WriterProcess(archive) as laying:
        assert laying.put_all(arrived) == other.put_all(arrived)
    for path, *_ in other.put_all(arrived):
        assert (tmp_path / "case" / path).read_bytes() == (tmp_path / "other" / path).read_bytes()


def test_what_the_disk_refuses_is_told_and_the_rest_goes_on(archive):
    with WriterProcess(archive) as laying:
        with pytest.raises(ArchiveError, match="cannot write"):
            laying.put_all([("objects/" + "x" * 300, b"data", WHEN)])
        assert len(laying.put_all([("objects/b/k", b"data", WHEN)])) == 1


def test_it_ends_quietly_when_nobody_takes_its_answer(archive, capfd):
    with WriterProcess(archive) as laying:
        laying._here.send([("objects/b/k", b"data" * 100_000, WHEN)] * 20)
    assert laying._process.exitcode == 0
    assert capfd.readouterr().err == ""


def test_its_death_is_told(archive):
    with WriterProcess(archive) as laying:
        laying._process.kill()
        laying._process.join()
        with pytest.raises(ArchiveError, match="died"):
            laying.put_all([("objects/b/k", b"data", WHEN)])
