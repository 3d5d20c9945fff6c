"""The archive's folder: whole objects, safe places, a manifest that survives, one writer."""

import hashlib
import os
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailscan.archive.folder import ArchiveFolder, _is_torn
from trailscan.archive.origin import Origin
from trailscan.errors import ArchiveBusy, ArchiveError, NoArchive


def _origin(key: str) -> Origin:
    return Origin("s3", key, f"objects/b/{key}", 3, bucket="b", etag='"e"', metadata={"signature": "00"})


def test_an_object_lies_under_its_path_with_its_hash_and_time(archive: ArchiveFolder) -> None:
    moment = datetime(2026, 3, 1, 9, 15)  # noqa: DTZ001 - UTC without zone, as everywhere
    path, digest = archive.put("objects/b/k", b"body", moment)
    file = Path(archive.place(path))
    assert (path, digest) == ("objects/b/k", hashlib.sha256(b"body").hexdigest())
    assert file.read_bytes() == b"body"
    assert file.stat().st_mtime == 1772356500


def test_other_content_under_the_same_path_is_laid_beside_it_and_the_same_content_once(archive: ArchiveFolder) -> None:
    first, _ = archive.put("objects/b/k", b"one", None)
    second, digest = archive.put("objects/b/k", b"two", None)
    assert archive.put("objects/b/k", b"one", None)[0] == first
    assert archive.put("objects/b/k", b"two", None)[0] == second == f"{first}~{digest[:16]}"
    assert Path(archive.place(first)).read_bytes() == b"one"
    assert Path(archive.place(second)).read_bytes() == b"two"


@given(st.permutations(["a", "a/b", "a/b/c", "a/b/c/d", "e"]))
def test_keys_that_are_folders_of_others_all_have_their_place(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str]
) -> None:
    archive = ArchiveFolder(str(tmp_path_factory.mktemp("case")))
    archive.create()
    places = {key: archive.put(f"objects/b/{key}", key.encode(), None)[0] for key in keys}
    assert len(set(places.values())) == len(keys)
    for key, path in places.items():
        assert Path(archive.place(path)).read_bytes() == key.encode()
        assert archive.put(f"objects/b/{key}", key.encode(), None)[0] == path


def test_many_threads_write_versions_and_folders_at_once_and_each_finds_its_own(archive: ArchiveFolder) -> None:
    places: dict[tuple[str, bytes], str] = {}

    def write(number: int) -> None:
        key, body = ("a", "a/b", f"a/b/{number % 5}")[number % 3], b"body %d" % (number % 4)
        places[key, body] = archive.put(f"objects/b/{key}", body, None)[0]

    threads = [threading.Thread(target=write, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for (_, body), path in places.items():
        assert Path(archive.place(path)).read_bytes() == body


def test_a_disk_that_refuses_is_an_error_that_says_where(archive: ArchiveFolder) -> None:
    with pytest.raises(ArchiveError, match="cannot write"):
        archive.put("objects/b/" + "x" * 300, b"", None)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20)), st.integers(0, 200))
def test_the_manifest_gives_back_all_lines_but_those_that_were_cut_off(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str], cut: int
) -> None:
    archive = ArchiveFolder(str(tmp_path_factory.mktemp("case")))
    archive.create()
    origins = [_origin(key) for key in keys]
    archive.record(origins)
    manifest = Path(archive.manifest)
    whole = manifest.read_bytes()
    kept = whole[: max(0, len(whole) - cut)]
    manifest.write_bytes(kept)
    with archive.lock():
        archive.record([_origin("next")])
    lines = whole.split(b"\n")[: len(origins)]
    left = kept.split(b"\n")  # a line that lacks no more than its line break is whole
    expected = [origin for origin, line, found in zip(origins, lines, left, strict=False) if line == found]
    assert [origin for origin, _ in archive.recorded()] == [*expected, _origin("next")]


def test_the_manifest_is_read_on_from_where_it_was_left(archive: ArchiveFolder) -> None:
    archive.record([_origin("a"), _origin("b")])
    mark = archive.manifest_size()
    archive.record([_origin("c")])
    assert [(origin.key, end) for origin, end in archive.recorded(mark)] == [("c", archive.manifest_size())]


def test_the_lock_sweeps_what_a_killed_run_was_receiving(archive: ArchiveFolder) -> None:
    left = Path(archive.root, "incoming", "1-1")
    left.write_bytes(b"half")
    with archive.lock():
        assert not left.exists()


def test_a_second_writer_is_told_who_the_first_is(archive: ArchiveFolder) -> None:
    holder = (
        "import sys; from trailscan.archive.folder import ArchiveFolder\n"
        "with ArchiveFolder(sys.argv[1]).lock(): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, archive.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(ArchiveBusy, match=f"by process {process.pid}"), archive.lock():
            pass
        process.communicate("")
    with archive.lock():
        pass


def test_public_keys_are_kept_beside_those_kept_before(archive: ArchiveFolder) -> None:
    archive.save_keys("eu-west-1", [{"fingerprint": "a", "value": "1"}])
    archive.save_keys("eu-west-1", [{"fingerprint": "b", "value": "2"}])
    text = Path(archive.keys, "eu-west-1.json").read_text()
    assert '"a"' in text
    assert '"b"' in text


def test_a_folder_that_is_no_archive_is_none_and_a_file_cannot_become_one(tmp_path: Path) -> None:
    with pytest.raises(NoArchive):
        ArchiveFolder(str(tmp_path)).must_exist()
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="cannot be made"):
        ArchiveFolder(str(tmp_path / "file")).create()


def test_every_beginning_of_a_line_is_known_for_one_that_a_killed_process_left():
    moment = datetime.fromisoformat("2026-03-01T01:02:03")
    whole = Origin("s3", "AWSLogs/é/日本.json.gz", "objects/b/k", 12, bucket="b", etag='"x"', last_modified=moment,
                   metadata={"a": "\n\x01", "b": "\\"}, sha256="a" * 64, fetched_at=moment, changed=True)  # fmt: skip
    line = msgspec.json.encode(whole)
    assert all(_is_torn(line[:end]) for end in range(1, len(line)))
    assert not any(map(_is_torn, [line, line + b"\x0b", b"rubbish", b"\xff", line + b" " + line]))


def test_what_a_killed_run_laid_down_and_did_not_record_is_taken_back_and_nothing_else(archive):
    kept, _, _ = archive.put_all([("objects/b/kept", b"kept", None)])[0]
    archive.record([Origin("s3", "kept", kept, 4, bucket="b", etag="1")])
    archive.put("objects/b/planted", b"planted", None)
    archive.put_all([("objects/b/lost", b"lost", None), ("objects/b/kept", b"kept", None), ("objects/b/other", b"x", None)])
    (Path(archive.root) / "objects/b/other").write_bytes(b"other")
    again = ArchiveFolder(archive.root)
    with again.lock():
        assert sorted(os.listdir(Path(archive.root) / "objects/b")) == ["kept", "other", "planted"]
    assert {stray.path for stray in again.strays([])} == {"objects/b/other", "objects/b/planted"}


def test_what_was_recorded_stays_when_the_next_run_begins(archive):
    [(path, _, _)] = archive.put_all([("objects/b/kept", b"kept", None)])
    archive.record([Origin("s3", "kept", path, 4, bucket="b", etag="1")])
    archive.landed()
    with ArchiveFolder(archive.root).lock():
        assert (Path(archive.root) / path).read_bytes() == b"kept"
