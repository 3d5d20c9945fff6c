"""The custody log: a chain that holds what was done, and says where it was touched."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailscan.archive.custody_log import NOTHING, CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.origin import Origin


def _keep(archive: ArchiveFolder, *keys: str) -> None:
    archive.record([Origin("s3", key, f"objects/b/{key}", 3, bucket="b", sha256="00" * 32) for key in keys])


@pytest.fixture
def log(archive: ArchiveFolder) -> CustodyLog:
    """Three lines over a manifest of three objects."""
    custody = CustodyLog(archive)
    for key in "abc":
        _keep(archive, key)
        custody.append("sync", {"source": "s3://b/", "since": None}, {"fetched": 1})
    return custody


def _lines(log: CustodyLog) -> list[bytes]:
    return Path(log.path).read_bytes().splitlines(keepends=True)


def _flaws(log: CustodyLog) -> list[int]:
    return [flaw.line for flaw in log.check()]


def test_an_archive_without_a_log_has_no_lines_and_no_flaws(archive: ArchiveFolder) -> None:
    custody = CustodyLog(archive)
    assert (list(custody.entries()), custody.check(), custody.head()) == ([], [], NOTHING)


def test_lines_are_numbered_chained_and_vouch_for_what_the_manifest_gained(log: CustodyLog, archive: ArchiveFolder) -> None:
    manifest = Path(archive.manifest).read_bytes()
    entries = list(log.entries())
    assert [entry.number for entry in entries] == [1, 2, 3]
    assert [entry.previous for entry in entries] == [NOTHING, *(hashlib.sha256(line).hexdigest() for line in _lines(log)[:2])]
    for entry in entries:
        part = manifest[entry.manifest.start : entry.manifest.end]
        assert part.count(b"\n") == 1
        assert entry.manifest.sha256 == hashlib.sha256(part).hexdigest()
    assert log.check() == []
    assert log.head() == hashlib.sha256(_lines(log)[-1]).hexdigest()


def test_a_line_is_one_json_object_of_the_documented_fields(log: CustodyLog) -> None:
    line = json.loads(_lines(log)[1])
    assert list(line) == ["number", "at", "version", "command", "arguments", "counts", "sums", "manifest", "previous"]
    assert list(line["manifest"]) == ["from", "to", "sha256"]
    assert line["at"].endswith("Z")


@pytest.fixture(scope="module")
def two_lines(tmp_path_factory: pytest.TempPathFactory) -> CustodyLog:
    archive = ArchiveFolder(str(tmp_path_factory.mktemp("case")))
    archive.create()
    log = CustodyLog(archive)
    for key in "ab":
        _keep(archive, key)
        log.append("sync", {"source": "s3://b/"}, {"fetched": 1})
    return log


@given(where=st.integers(min_value=0), by=st.integers(1, 255))
def test_any_byte_that_is_altered_is_found(two_lines: CustodyLog, where: int, by: int) -> None:
    head, path = two_lines.head(), Path(two_lines.path)
    whole = path.read_bytes()
    altered = bytearray(whole)
    altered[where % len(altered)] ^= by
    path.write_bytes(altered)
    found = two_lines.check() or two_lines.head() != head
    path.write_bytes(whole)
    assert found


def test_a_line_taken_out_or_put_elsewhere_is_found(log: CustodyLog) -> None:
    lines = _lines(log)
    for altered in ([lines[0], lines[2]], [lines[1], lines[0], lines[2]], lines[1:], [*lines, lines[2]]):
        Path(log.path).write_bytes(b"".join(altered))
        assert log.check()
    Path(log.path).write_bytes(b"".join(lines[:2]))  # a chain cut at its end is still one: only its head tells
    assert log.check() == []


def test_a_manifest_altered_cut_or_gone_is_found_at_the_lines_that_vouch_for_it(
    log: CustodyLog, archive: ArchiveFolder
) -> None:
    manifest = Path(archive.manifest)
    whole = manifest.read_bytes()
    manifest.write_bytes(whole.replace(b'"key":"b"', b'"key":"x"'))
    assert _flaws(log) == [2]
    manifest.write_bytes(whole[:-1])
    assert _flaws(log) == [3]
    manifest.unlink()
    assert _flaws(log) == [1, 2, 3]


def test_what_the_manifest_gained_after_the_last_line_is_no_flaw_and_counted(log: CustodyLog, archive: ArchiveFolder) -> None:
    before = archive.manifest_size()
    _keep(archive, "d")
    assert log.check() == []
    assert log.uncovered() == archive.manifest_size() - before


def test_a_manifest_that_became_shorter_stays_named_and_is_covered_anew(log: CustodyLog, archive: ArchiveFolder) -> None:
    Path(archive.manifest).write_bytes(b"")
    _keep(archive, "z")
    entry = log.append("sync", {}, {})
    assert (entry.manifest.start, entry.manifest.end) == (0, archive.manifest_size())
    assert _flaws(log) == [1, 2, 3, 4]


def test_a_line_of_the_manifest_cut_short_is_left_for_the_next(archive: ArchiveFolder) -> None:
    _keep(archive, "a")
    whole = archive.manifest_size()
    with open(archive.manifest, "ab") as file:
        file.write(b'{"source":"s3","ke')
    log = CustodyLog(archive)
    assert log.append("sync", {}, {}).manifest.end == whole
    with archive.lock():  # sweeps the line away
        _keep(archive, "b")
        log.append("sync", {}, {})
    assert log.check() == []


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_line_cut_short_by_a_kill_is_named_and_the_next_goes_on_after_it(log: CustodyLog, kept: int) -> None:
    lines = _lines(log)
    Path(log.path).write_bytes(b"".join(lines[:2]) + lines[2][:kept])
    head = log.head()
    entry = log.append("sync", {}, {})
    # Cut of its line feed alone, or of everything, the log has lost nothing.
    assert entry.number == (3 if kept == 0 else 4)
    assert entry.previous == head
    assert _flaws(log) == ([3] if kept > 0 else [])
    assert _lines(log)[:2] == lines[:2]


def test_a_log_of_nothing_but_rubbish_can_be_gone_on_with(archive: ArchiveFolder) -> None:
    Path(archive.custody).write_bytes(b"\xff\xfe rubbish\n{}\n[1]")
    log = CustodyLog(archive)
    assert log.append("verify", {}, {}).number == 4
    assert _flaws(log) == [1, 2, 3]


def test_long_lines_are_found_from_the_end(archive: ArchiveFolder) -> None:
    log = CustodyLog(archive)
    paths = [f"/evidence/{number:040}" for number in range(5000)]
    for _ in range(3):
        log.append("load", {"paths": paths}, {})
    assert [entry.number for entry in log.entries()] == [1, 2, 3]
    assert log.check() == []


def test_flaws_without_end_are_not_all_listed(archive: ArchiveFolder) -> None:
    Path(archive.custody).write_bytes(b"\n" * 5000)
    assert len(CustodyLog(archive).check()) == 1000


def test_credentials_in_arguments_are_struck_out(log: CustodyLog) -> None:
    log.append("sync", {"endpoint_url": "https://alice:hunter2@s3.example.com/", "urls": ["x?X-Amz-Signature=abc123&y=1"]}, {})
    text = _lines(log)[-1].decode()
    assert "https://***@s3.example.com/" in text
    assert "hunter2" not in text
    assert "abc123" not in text


def test_a_name_that_is_not_utf8_is_shown_escaped(log: CustodyLog) -> None:
    log.append("load", {"paths": ["caf\udce9"]}, {})
    assert list(log.entries())[-1].arguments == {"paths": ["caf\\udce9"]}
    assert log.check() == []
