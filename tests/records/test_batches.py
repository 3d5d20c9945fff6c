import os
from array import array

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailscan.records.batches import SPOOL_FROM, Batch, Packer, spool_folder

LARGE = b"x" * SPOOL_FROM
objects = st.lists(st.tuples(st.integers(0, 2**62), st.lists(st.binary(max_size=9), max_size=4)), max_size=5)


def packed(records, folder) -> Batch:
    packer = Packer()
    packer.add(7, range(len(records)), records)
    return packer.pack(str(folder))


def texts_of(batch: Batch) -> list[bytes]:
    """The records as Arrow sees them, without copying."""
    buffers = [None, pa.py_buffer(batch.offsets), pa.py_buffer(batch.open_data())]
    return pa.Array.from_buffers(pa.binary(), batch.rows, buffers).to_pylist()


@given(objects)
def test_records_come_out_as_they_went_in(found):
    packer = Packer()
    for object_id, records in found:
        packer.add(object_id, range(10, 10 + len(records)), records)
    batch = packer.pack("nowhere: nothing here is large")
    assert texts_of(batch) == [one for _, records in found for one in records]
    assert array("q", batch.object_ids).tolist() == [object_id for object_id, records in found for _ in records]
    assert array("i", batch.indexes).tolist() == [10 + place for _, records in found for place in range(len(records))]
    assert packer.bytes == sum(len(one) for _, records in found for one in records)


def test_a_large_batch_lies_in_a_file_that_goes_when_it_is_opened(tmp_path):
    batch = packed([LARGE, b"end"], tmp_path)
    assert batch.data is None
    assert [str(file) for file in tmp_path.iterdir()] == [batch.spool]
    data = batch.open_data()
    assert not list(tmp_path.iterdir())
    assert bytes(data) == LARGE + b"end"


def test_a_small_batch_needs_no_file(tmp_path):
    batch = packed([LARGE[1:]], tmp_path)
    assert batch.spool is None
    assert not list(tmp_path.iterdir())
    assert packed([], tmp_path).open_data() == b""


def test_only_its_owner_can_read_a_spool_file(tmp_path):
    if os.name != "posix":
        pytest.skip("modes are POSIX's")
    batch = packed([LARGE], tmp_path)
    assert os.stat(batch.spool).st_mode & 0o077 == 0


def test_a_batch_that_nobody_loads_leaves_nothing_and_can_be_discarded_twice(tmp_path):
    batch = packed([LARGE], tmp_path)
    batch.discard()
    batch.discard()
    packed([b"small"], tmp_path).discard()
    assert not list(tmp_path.iterdir())


def test_without_room_for_a_file_the_batch_carries_its_data(tmp_path):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SPOOL_FROM // 2, limits[1]))
    try:
        batch = packed([LARGE], tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert batch.data == LARGE
    assert not list(tmp_path.iterdir())


def test_a_spool_folder_is_new_and_private():
    first, second = spool_folder(), spool_folder()
    try:
        assert first != second
        assert os.name != "posix" or os.stat(first).st_mode & 0o077 == 0
    finally:
        os.rmdir(first)
        os.rmdir(second)
