import gzip
import hashlib
import os
from array import array
from pathlib import Path

import pytest

from tests.records.shapes_of_records import minified, native, record
from tests.records.test_batches import texts_of
from trailscan.errors import TrailscanError
from trailscan.files.local_objects import LocalObject
from trailscan.records import worker_pool as workers
from trailscan.records.batches import SPOOL_FROM
from trailscan.records.prefilter import Needles
from trailscan.records.worker_pool import CHUNK_BYTES, CHUNK_OBJECTS, Workers, chunked

WIDE = "w" * 1000


def written(folder: Path, name: str, content: bytes) -> LocalObject:
    (folder / name).write_bytes(content)
    return LocalObject(str(folder / name), name, len(content), 0.0)


def logs(folder: Path, count: int) -> list[tuple[int, LocalObject]]:
    """Objects of one, two, three ... records."""
    return [
        (100 + number, written(folder, f"{number}.json.gz", gzip.compress(native([record(n) for n in range(number + 1)]))))
        for number in range(count)
    ]


def no_object(size: int = 0) -> LocalObject:
    return LocalObject("nowhere", "nowhere", size, 0.0)


@pytest.fixture
def in_process(tmp_path, monkeypatch):
    """`_read_chunk` in this process, spooling to a folder of the test."""
    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setattr(workers._Settings, "folder", str(folder))
    return folder


def die(_chunk):
    os._exit(9)


def test_outcomes_and_records_keep_their_order(tmp_path):
    objects = logs(tmp_path, 12)
    with Workers(jobs=2) as pool:
        reads = list(pool.read([objects[start : start + 3] for start in range(0, 12, 3)]))
    outcomes = [outcome for read in reads for outcome in read.outcomes]
    assert [outcome.object_id for outcome in outcomes] == [number for number, _ in objects]
    assert [outcome.kept for outcome in outcomes] == list(range(1, 13))
    rows = [
        row
        for read in reads
        for batch in read.batches
        for row in zip(array("q", batch.object_ids), array("i", batch.indexes), texts_of(batch), strict=True)
    ]
    assert rows == [(100 + number, n, minified(record(n))) for number in range(12) for n in range(number + 1)]


def test_an_outcome_says_what_the_object_was(tmp_path):
    content = gzip.compress(native([record(1), None, record(2)]))
    with Workers(jobs=1) as pool:
        (read,) = pool.read([[(5, written(tmp_path, "odd.json.gz", content))]])
    (outcome,) = read.outcomes
    assert (outcome.object_id, outcome.shape, outcome.status, outcome.read, outcome.kept) == (5, "records", "partial", 3, 2)
    assert outcome.sha256 == hashlib.sha256(content).hexdigest()
    assert [(damage.what, damage.record_index) for damage in outcome.damage] == [("not-a-record", 1)]


def test_objects_that_cannot_be_read_are_damage_and_the_others_are_read(tmp_path):
    good = written(tmp_path, "good.json", native([record(1)]))
    gone = written(tmp_path, "gone.json", b"")
    os.unlink(gone.path)
    (tmp_path / "folder.json").mkdir()
    folder = LocalObject(str(tmp_path / "folder.json"), "folder.json", 10, 0.0)
    with Workers(jobs=1) as pool:
        (read,) = pool.read([[(1, gone), (2, folder), (3, good), (4, written(tmp_path, "empty.json.gz", b""))]])
    assert [(one.object_id, one.status, [damage.what for damage in one.damage]) for one in read.outcomes] == [
        (1, "damaged", ["unreadable"]),
        (2, "damaged", ["unreadable"]),
        (3, "ok", []),
        (4, "damaged", ["empty"]),
    ]
    assert "gone.json" in read.outcomes[0].damage[0].reason
    assert [batch.rows for batch in read.batches] == [1]


def test_a_prefilter_spares_objects_and_drops_records(tmp_path):
    wanted = written(tmp_path, "wanted.json", native([record(1, eventName="Other"), record(2)]))
    other = written(tmp_path, "other.json", native([record(1, eventName="Other")]))
    with Workers(jobs=1, needles=Needles.of([["StartSession"]]), hash_all=False) as pool:
        (read,) = pool.read([[(1, wanted), (2, other)]])
    assert [(one.read, one.kept, one.sha256 is None) for one in read.outcomes] == [(2, 1, False), (None, 0, True)]
    (batch,) = read.batches
    assert array("i", batch.indexes).tolist() == [1]


def test_the_limit_holds_in_the_processes(tmp_path):
    with Workers(jobs=1, limit=1000) as pool:
        (read,) = pool.read([[(1, written(tmp_path, "bomb.gz", gzip.compress(bytes(1 << 20))))]])
    assert read.outcomes[0].raw_bytes == 1000
    assert "too-large" in [damage.what for damage in read.outcomes[0].damage]


def test_spool_files_are_gone_afterwards_loaded_or_not(tmp_path):
    large = native([record(n, userAgent=WIDE) for n in range(2 * SPOOL_FROM // 1000)])
    with Workers(jobs=2) as pool:
        folder = Path(pool._folder)
        reads = pool.read([[(n, written(tmp_path, f"{n}.json", large))] for n in range(8)])
        (batch,) = next(reads).batches
        assert batch.spool
        assert Path(batch.spool).parent == folder
        data = batch.open_data()
        assert not Path(batch.spool).exists()
    assert not folder.exists()
    assert len(data) > SPOOL_FROM  # what was opened stays readable


def test_an_empty_chunk_comes_back_at_once(tmp_path):
    with Workers(jobs=1) as pool:
        reads = list(pool.read([[], logs(tmp_path, 1), []]))
    assert sorted(len(read.outcomes) for read in reads) == [0, 0, 1]


def test_a_process_that_dies_is_an_error_that_says_so(tmp_path, monkeypatch):
    with Workers(jobs=1) as pool:
        monkeypatch.setattr(workers, "_read_chunk", die)
        with pytest.raises(TrailscanError, match="process died"):
            list(pool.read([logs(tmp_path, 1)]))
    assert not Path(pool._folder).exists()


def test_a_large_object_comes_in_several_batches(tmp_path, in_process, monkeypatch):
    monkeypatch.setattr(workers, "BATCH_BYTES", 10_000)
    records = [record(n, userAgent=WIDE) for n in range(50)]
    read = workers._read_chunk([(1, written(tmp_path, "large.json", native(records)))])
    assert len(read.batches) == 4
    assert all(len(batch.data or b"") < 25_000 for batch in read.batches)
    assert [index for batch in read.batches for index in array("i", batch.indexes)] == list(range(50))
    assert [text for batch in read.batches for text in texts_of(batch)] == [minified(one) for one in records]
    assert [(outcome.read, outcome.kept) for outcome in read.outcomes] == [(50, 50)]


def test_records_of_several_objects_share_a_batch_until_it_is_full(tmp_path, in_process, monkeypatch):
    monkeypatch.setattr(workers, "BATCH_BYTES", 3000)
    content = native([record(n, userAgent=WIDE) for n in range(1)])
    read = workers._read_chunk([(n, written(tmp_path, f"{n}.json", content)) for n in range(5)])
    assert [array("q", batch.object_ids).tolist() for batch in read.batches] == [[0, 1, 2], [3, 4]]


def test_a_large_batch_is_spooled_and_a_chunk_without_records_has_none(tmp_path, in_process):
    large = written(tmp_path, "large.json", native([record(1, userAgent="w" * SPOOL_FROM)]))
    (batch,) = workers._read_chunk([(1, large)]).batches
    assert Path(batch.spool).parent == in_process
    batch.discard()
    assert workers._read_chunk([(2, written(tmp_path, "none.json", b'{"Records":[]}'))]).batches == []
    assert not list(in_process.iterdir())


def test_chunks_end_by_bytes_by_number_and_when_told():
    by_bytes = chunked((n, no_object(CHUNK_BYTES // 2)) for n in range(5))
    assert [len(chunk) for chunk in by_bytes] == [2, 2, 1]
    by_number = chunked((n, no_object()) for n in range(CHUNK_OBJECTS + 1))
    assert [len(chunk) for chunk in by_number] == [CHUNK_OBJECTS, 1]
    told = chunked([None, (1, no_object()), None, (2, no_object())])
    assert [[number for number, _ in chunk] for chunk in told] == [[], [1], [2]]
