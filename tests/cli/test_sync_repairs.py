"""`trailscan sync` puts right what is gone or altered in the archive, keeps what it found there, and no hash ever follows."""

import hashlib
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Case, run
from tests.support import world


def _held(case: Case, count: int = 4) -> list[str]:
    keys = [case.log(f"2026-03-01T{hour:02}:15") for hour in range(count)]
    case.serve()
    assert case.sync().code == 0
    return keys


def _file(case: Case, key: str) -> Path:
    return case.archive / "objects" / case.bucket / key


def _edited(path: Path, keep_size: bool = False, keep_time: bool = False) -> bytes:
    found = path.stat()
    body = path.read_bytes()
    altered = body[:-9] + b"X" + body[-8:] if keep_size else body + b"more"
    path.write_bytes(altered)
    if keep_time:
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    return altered


def _aside(case: Case) -> dict[str, bytes]:
    top = case.archive / "altered"
    return {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def _verified(case: Case) -> int:
    return run("verify", "--archive", str(case.archive)).code


def test_what_is_gone_or_altered_is_fetched_again_kept_aside_and_counted(case: Case) -> None:
    keys = _held(case)
    gone, larger, same_size, sound = map(_file, [case] * 4, keys)
    gone.unlink()
    bodies = {keys[1]: _edited(larger, keep_time=True), keys[2]: _edited(same_size, keep_size=True)}
    ended = case.sync()
    assert ended.code == 3, ended.err
    assert "4 listed = 1 held already + 3 fetched" in ended.err
    assert "3 objects held, gone or altered in the archive, fetched again" in ended.err
    for key in keys:
        assert _file(case, key).read_bytes() == (case.folder / key).read_bytes()
    names = {f"{case.bucket}/{key}~{hashlib.sha256(body).hexdigest()}": body for key, body in bodies.items()}
    assert _aside(case) == names
    assert case.damage() == [("repaired", key) for key in keys[:3]]
    assert '"repaired":3' in (case.archive / "custody.jsonl").read_text()
    assert case.sql("SELECT count(*), count(DISTINCT key) FROM objects") == [(4, 4)]
    assert case.sql("SELECT count(*) FROM events") == [(8,)]
    assert sound.exists()
    assert case.query("--count").code == 0
    assert _verified(case) == 0
    case.serve()
    ended = case.sync()
    assert (ended.code, case.fetches) == (0, 0), ended.err


def test_an_edit_that_keeps_size_and_time_is_repaired_once_a_verification_found_it(case: Case) -> None:
    keys = _held(case)
    _edited(_file(case, keys[0]), keep_size=True, keep_time=True)
    assert _verified(case) == 4
    ended = case.sync()
    assert ended.code == 3, ended.err
    assert _file(case, keys[0]).read_bytes() == (case.folder / keys[0]).read_bytes()
    assert len(_aside(case)) == 1
    assert case.sql("SELECT count(*) FROM verdicts WHERE status = 'INVALID_HASH'") == [(0,)]
    assert _verified(case) == 0
    assert case.sync().code == 0


def test_a_copied_archive_whose_times_are_all_new_is_hashed_and_not_fetched_again(case: Case) -> None:
    for key in _held(case):
        os.utime(_file(case, key), (1, 1))
    case.serve()
    ended = case.sync()
    assert (ended.code, case.fetches) == (0, 0), ended.err


@pytest.mark.parametrize("how", ["altered", "gone"])
def test_other_bytes_in_the_bucket_never_take_the_place_of_those_recorded(case: Case, how: str) -> None:
    key = _held(case, 1)[0]
    recorded = (case.folder / key).read_bytes()
    altered = _edited(_file(case, key)) if how == "altered" else b""
    if not altered:
        _file(case, key).unlink()
    other = world.object_bytes([world.World(5).record(world.START, "111122223333", "eu-west-1")])
    case.put(key, other)
    case.serve()
    ended = case.sync()
    assert ended.code == 3, ended.err
    assert "changed in the bucket since first fetched; both are kept" in ended.err
    beside = _file(case, f"{key}~{hashlib.sha256(other).hexdigest()[:16]}")
    assert beside.read_bytes() == other != recorded
    assert _file(case, key).exists() == bool(altered)
    assert _verified(case) == 4
    assert ("changed", key) in case.damage()


def test_a_recorded_hash_that_the_bucket_contradicts_stays_and_is_told_each_time(case: Case) -> None:
    key = _held(case, 1)[0]
    body = _file(case, key).read_bytes()
    manifest = case.archive / "manifest.jsonl"
    own = hashlib.sha256(body).hexdigest()
    manifest.write_text(manifest.read_text().replace(own, "0" * 64))
    _file(case, key).unlink()
    for _ in range(3):
        ended = case.sync()
        assert ended.code == 3, ended.err
        assert not _file(case, key).exists()
        assert _file(case, f"{key}~{own[:16]}").read_bytes() == body
        held = case.sql("SELECT count(*) FROM objects WHERE status <> 'failed'")
        assert held == [(2,)]


def test_a_link_or_a_folder_in_the_place_of_an_object_is_put_aside(case: Case, tmp_path: Path) -> None:
    keys = _held(case)
    outside = tmp_path / "outside"
    outside.write_bytes(b"not ours")
    _file(case, keys[0]).unlink()
    _file(case, keys[0]).symlink_to(outside)
    _file(case, keys[1]).unlink()
    _file(case, keys[1]).mkdir()
    ended = case.sync()
    assert ended.code == 3, ended.err
    assert outside.read_bytes() == b"not ours"
    for key in keys[:2]:
        assert not _file(case, key).is_symlink()
        assert _file(case, key).read_bytes() == (case.folder / key).read_bytes()


def test_a_repair_without_loading_is_loaded_by_the_next_sync(case: Case) -> None:
    keys = _held(case)
    _file(case, keys[0]).unlink()
    assert case.sync("--no-load").code == 3
    assert case.statuses() == {"ok": 3, "fetched": 1}
    ended = case.sync()
    assert case.statuses() == {"ok": 4}, ended.err
    assert case.sql("SELECT count(*) FROM events") == [(8,)]


def test_a_dry_run_counts_what_it_would_repair(case: Case) -> None:
    keys = _held(case)
    _file(case, keys[0]).unlink()
    ended = case.sync("--dry-run")
    assert "4 listed = 3 held already + 1 to fetch" in ended.err
    assert not _file(case, keys[0]).exists()


def test_what_is_held_and_no_longer_in_the_bucket_is_counted_and_named_within_what_was_listed(case: Case) -> None:
    keys = _held(case)
    other = case.log("2026-03-05T01:15", region="us-east-1")
    case.serve()
    assert case.sync().code == 0
    for key in (*keys[:2], other):
        (case.folder / key).unlink()
    (case.folder / other).parent.rmdir()
    case.serve()
    ended = case.sync()
    assert ended.code == 0, ended.err
    assert "3 objects held are no longer in the bucket:" in ended.err
    assert all(key in ended.err for key in (*keys[:2], other))
    assert '"no_longer_listed":3' in (case.archive / "custody.jsonl").read_text()
    assert "1 object held is no longer in the bucket:" in case.sync("--region", "us-east-1").err
    assert "2 objects held are no longer" in case.sync("--until", "2026-03-02").err
    assert "no longer in the bucket" not in case.sync("--since", "2026-03-08").err
    assert all(_file(case, key).exists() for key in (*keys, other))
