"""Tars and zips made to hang, crash or hide: each names what is wrong, within bounds, and loses none of its neighbours."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import resource
import signal
import struct
import tarfile
import threading
import time
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.files.test_folder import find, put, reasons, tar_of, zip_of
from trailscan.errors import SourceError
from trailscan.files import tar
from trailscan.files.folder import read_bytes
from trailscan.files.inflated_stream import InflatedStream

GOOD = [("first.json", b"1" * 700), ("last.json", b"2" * 1500)]
HUGE = {"2^80": 1 << 80, "2^63": 1 << 63, "10^23": 10**23}


@pytest.fixture(autouse=True)
def bounded():
    """Ten seconds and some hundred megabytes are enough for any of these."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def late(*_):
        raise TimeoutError("it took more than ten seconds")

    handler = signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, handler)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10


def header(name="evil.json", size=0, flag=b"0", field=None):
    """A ustar header; `field` is put where the size stands, as it is."""
    block = bytearray(512)
    block[: len(name)] = name.encode()
    block[100:108], block[136:148] = b"0000644\0", b"00000000000\0"
    block[124:136] = field if field is not None else b"%011o\0" % size
    block[156:157], block[257:265], block[148:156] = flag, b"ustar\x0000", b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def binary(number):
    return (
        b"\x80" + number.to_bytes(11, "big", signed=True)
        if number >= 0
        else b"\xff" * 4 + number.to_bytes(8, "big", signed=True)
    )


def pax(**records):
    lines = []
    for key, value in records.items():
        line = f" {key}={value}\n".encode()
        length = len(line) + len(str(len(line) + 3))
        lines.append(b"%d" % (length if len(b"%d" % length) + len(line) == length else length + 1) + line)
    content = b"".join(lines)
    return header("pax", len(content), b"x") + content.ljust(-(-len(content) // 512) * 512, b"\0")


def around(evil, ending=b"\0" * 1024):
    """A tar whose second member is hostile."""
    first, last = (header(name, len(content)) + content.ljust(-(-len(content) // 512) * 512, b"\0") for name, content in GOOD)
    return first + evil + last + ending


def check(path, *, named=None):
    """The good neighbours are found and read; something is told, of the hostile member where it has a name."""
    found, survey = find(path)
    read = {obj.name: read_bytes(obj) for obj in found if obj.name in dict(GOOD)}
    assert read == dict(GOOD)
    assert survey.problems
    if named:
        assert any(problem.path.endswith(named) for problem in survey.problems), survey.problems
    return survey.problems


@pytest.mark.parametrize("number", [*HUGE.values(), -1, -512, -(1 << 40)])
@pytest.mark.parametrize("ending", [".tar", ".tgz"])
def test_a_tar_member_of_an_impossible_size_is_named_and_its_neighbours_are_read(tmp_path, number, ending):
    content = around(header(field=binary(number)))
    problems = check(
        put(tmp_path / f"case{ending}", gzip.compress(content) if ending == ".tgz" else content), named="evil.json"
    )
    assert "a size that no file has" in problems[0].reason


@pytest.mark.parametrize("size", ["99999999999999999999999", "-7", "1e9", "0x10", "", "٣"])
def test_an_impossible_size_in_a_pax_header_is_named(tmp_path, size):
    check(put(tmp_path / "case.tar", around(pax(size=size) + header(size=3))), named="evil.json")


def test_a_size_that_is_no_number_is_named(tmp_path):
    check(put(tmp_path / "case.tar", around(header(field=b"not a number"[:12]))))


@pytest.mark.parametrize(
    "content",
    [
        b"9" * 200_000,
        b"1" * 100_000 + b" a=b\n",
        b"5 a=b\n" * 3,
        b"0 a=b\n",
        b"11 path=x\n" * 2,
        b"7 \xff=\n\n" + b" " * 90_000,
        b"3 =\n4",
    ],
    ids=["digits", "long length", "wrong length", "zero", "two paths", "spaces", "no key"],
)
def test_a_crafted_pax_header_takes_no_time(tmp_path, content):
    padded = content.ljust(-(-len(content) // 512) * 512, b"\0")
    found, _ = find(put(tmp_path / "case.tar", around(header("pax", len(content), b"x") + padded + header(size=0))))
    assert {obj.name for obj in found} >= {"first.json", "last.json"}


def test_a_terabyte_of_nothing_behind_the_end_is_passed_quickly(tmp_path):
    path = put(tmp_path / "case.tar", tar_of(*GOOD))
    os.truncate(path, 1 << 40)
    found, _ = find(path)
    assert [read_bytes(obj) for obj in found] == [content for _, content in GOOD]


def test_a_terabyte_of_nothing_as_a_member_is_not_read(tmp_path):
    path = put(tmp_path / "case.tar", header("big.json", 1 << 39))
    os.truncate(path, (1 << 39) + 512)
    with open(path, "ab") as file:
        file.write(tar_of(*GOOD))
    found, _ = find(path)
    assert [obj.name for obj in found] == ["big.json", "first.json", "last.json"]
    with pytest.raises(SourceError, match="more than the limit"):
        read_bytes(found[0])


@pytest.mark.parametrize(("pack", "ending"), [(gzip.compress, ".tgz"), (bz2.compress, ".tbz2"), (lzma.compress, ".txz")])
def test_a_packed_tar_that_inflates_without_end_is_stopped(tmp_path, monkeypatch, pack, ending):
    monkeypatch.setattr("trailscan.files.inflated_stream.LEAST_LIMIT", 8 << 20)
    bomb = pack(around(header("big.json", 1 << 33) + b"\0" * (20 << 20), ending=b""))
    found, survey = find(put(tmp_path / f"case{ending}", bomb))
    assert read_bytes(found[0]) == GOOD[0][1]
    assert "inflates to more than" in survey.problems[0].reason


def test_an_xz_header_that_asks_for_gigabytes_is_refused(tmp_path):
    greedy = lzma.compress(tar_of(*GOOD), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
    at = greedy.index(b"\x21\x01")
    block_header = bytearray(greedy[12:24])
    block_header[at - 12 + 2] = 40  # a dictionary of 4 GB, minus one byte
    block_header[8:12] = struct.pack("<I", zlib.crc32(bytes(block_header[:8])))
    _, survey = find(put(tmp_path / "case.txz", greedy[:12] + bytes(block_header) + greedy[24:]), put(tmp_path / "a.json"))
    assert "limit" in survey.problems[0].reason


def test_thousands_of_broken_headers_end(tmp_path):
    _, survey = find(put(tmp_path / "case.tar", header(field=binary(-1)) * 20_000))
    assert len(survey.problems) == tar.MOST_FLAWS + 1


def test_a_pipe_that_is_named_is_told_and_its_neighbours_are_read(tmp_path):
    for name in ("pipe", "pipe.tar", "pipe.zip"):
        os.mkfifo(tmp_path / name)
    found, survey = find(*(tmp_path / name for name in ("pipe", "pipe.tar", "pipe.zip")), put(tmp_path / "a.json"))
    assert [obj.name for obj in found] == ["a.json"]
    assert [reason for _, reason in reasons(survey)] == ["neither a file nor a folder"] * 3


def test_a_file_that_became_a_pipe_is_an_error(tmp_path):
    (found,), _ = find(put(tmp_path / "a.json"))
    os.remove(tmp_path / "a.json")
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(SourceError, match="a pipe or a device is not read"):
        read_bytes(found)


# Zips


def zip64(path, size):
    """A zip whose second member claims a size in its zip64 field."""
    zip_of(path, GOOD[0], ("evil.json", b"x" * 50), GOOD[1])
    whole = path.read_bytes()
    at = whole.index(b"PK\x01\x02", whole.index(b"PK\x01\x02") + 4)
    entry = bytearray(whole[at : at + 46])
    name_length, extra_length = struct.unpack_from("<HH", entry, 28)
    struct.pack_into("<L", entry, 24, 0xFFFFFFFF)
    extra = struct.pack("<HHQ", 1, 8, size)
    struct.pack_into("<H", entry, 30, extra_length + len(extra))
    grown = whole[:at] + bytes(entry) + whole[at + 46 : at + 46 + name_length] + extra + whole[at + 46 + name_length :]
    end = bytearray(grown[-22:])
    struct.pack_into("<L", end, 12, struct.unpack_from("<L", end, 12)[0] + len(extra))
    return put(path, grown[:-22] + bytes(end))


@pytest.mark.parametrize("size", [1 << 63, (1 << 64) - 1, 1 << 45])
def test_a_zip_member_of_an_impossible_size_is_named(tmp_path, size):
    check(zip64(tmp_path / "case.zip", size), named="evil.json")


def test_members_that_overlap_are_named(tmp_path):
    path = zip_of(tmp_path / "case.zip", GOOD[0], ("evil.json", b"x" * 5000), GOOD[1])
    whole = path.read_bytes()
    at = whole.index(b"PK\x01\x02", whole.index(b"PK\x01\x02") + 4)
    put(path, whole[: at + 20] + struct.pack("<L", 5_000) + whole[at + 24 :])
    assert "overlap" in check(path, named="evil.json")[0].reason


def test_a_large_member_that_unfolds_a_thousandfold_is_named_unread(tmp_path):
    path = tmp_path / "case.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(*GOOD[0])
        with packed.open("evil.json", "w") as member:
            for _ in range(80):
                member.write(b"\0" * (1 << 20))
        packed.writestr(*GOOD[1])
    assert "unfold" in check(path, named="evil.json")[0].reason


def test_a_directory_of_gigabytes_is_refused_unread(tmp_path):
    path = zip_of(tmp_path / "case.zip", *GOOD)
    end = bytearray(path.read_bytes()[-22:])
    struct.pack_into("<LL", end, 12, 1 << 30, 0)
    os.truncate(path, 2 << 30)
    with open(path, "ab") as file:
        file.write(end)
    assert "its directory claims" in find(path)[1].problems[0].reason


@pytest.mark.parametrize("method", [1, 9, 14, 93, 99])
def test_a_member_in_a_compression_that_is_not_known_or_broken_is_an_error_of_its_own(tmp_path, method):
    path = zip_of(tmp_path / "case.zip", GOOD[0], ("evil.json", b"x" * 500), GOOD[1])
    whole = path.read_bytes()
    local = whole.index(b"PK\x03\x04", 4)
    at = whole.index(b"PK\x01\x02", whole.index(b"PK\x01\x02") + 4)
    changed = struct.pack("<H", method)
    put(path, whole[: local + 8] + changed + whole[local + 10 : at + 10] + changed + whole[at + 12 :])
    found, _ = find(path)
    assert [read_bytes(obj) for obj in found if obj.name != "evil.json"] == [content for _, content in GOOD]
    with pytest.raises(SourceError, match=r"evil\.json"):
        read_bytes(found[1])


# Any bytes at all


@given(st.lists(st.tuples(st.integers(0, 4095), st.binary(min_size=1, max_size=12)), max_size=6), st.integers(0, 4096))
def test_a_tar_with_any_bytes_changed_ends_and_never_goes_back(edits, cut):
    content = bytearray(tar_of(*GOOD, ("x" * 120, b"3"))[:4096])
    for at, piece in edits:
        content[at : at + len(piece)] = piece
    content = content[:cut]
    stream = io.BytesIO(content)
    offsets = []
    with contextlib.suppress(EOFError):
        offsets += [found.offset for found in tar.members(stream, len(content)) if isinstance(found, tar.Member)]
    assert offsets == sorted(offsets)
    assert len(offsets) <= len(content) // 512


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=200).filter(lambda name: "\0" not in name), st.binary(max_size=1100)), max_size=5
    ),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_what_others_write_is_read(given_members, form):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as written:
        for name, content in given_members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            written.addfile(info, io.BytesIO(content))
    with tarfile.open(fileobj=io.BytesIO(buffer.getvalue())) as peer:
        expected = [(info.name, info.size, info.offset_data) for info in peer if info.isreg()]
    found = [
        each for each in tar.members(io.BytesIO(buffer.getvalue()), len(buffer.getvalue())) if isinstance(each, tar.Member)
    ]
    names = [(each.name.rstrip("/"), each.size, each.offset) for each in found if each.kind is tar.Kind.FILE]
    assert names == [(name.rstrip("/"), size, offset) for name, size, offset in expected]  # the peer drops slashes of pax names


@given(
    st.binary(max_size=3000),
    st.sampled_from([(gzip.compress, "gzip"), (bz2.compress, "bzip2"), (lzma.compress, "xz")]),
    st.integers(1, 3),
)
def test_an_inflated_stream_gives_the_bytes_at_any_position(tmp_path_factory, content, packing, times):
    pack, name = packing
    path = tmp_path_factory.mktemp("stream") / "packed"
    path.write_bytes(pack(content) * times)
    stream = InflatedStream(str(path), name)
    whole = content * times
    assert stream.read(len(whole) + 1) == whole
    for at in (0, len(whole) // 2, 7):
        stream.seek(at)
        assert stream.read(100) == whole[at : at + 100]
    stream.close()


def test_a_stop_is_heard_while_a_hostile_tar_is_read(tmp_path):
    started = time.monotonic()
    done = threading.Event()
    path = put(tmp_path / "case.tar", around(header("pax", 300_000, b"x") + b"1" * 300_032 + header()))
    thread = threading.Thread(target=lambda: (find(path), done.set()), daemon=True)
    thread.start()
    assert done.wait(5)
    assert time.monotonic() - started < 5
