import bz2
import gzip
import lzma
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailscan.records.inflate import inflate

PLAIN = b'{"Records":[]}' + bytes(range(32, 127)) * 400
GZ = gzip.compress(PLAIN, mtime=0)


def whats(data: bytes, limit: int = 1 << 20) -> list[str]:
    return [damage.what for damage in inflate(data, limit).damage]


@given(st.binary(min_size=1).filter(lambda raw: raw[:2] not in (b"\x1f\x8b", b"BZ", b"\x28\xb5", b"\xfd7")))
def test_gzip_is_undone_and_plain_bytes_pass(raw):
    assert inflate(gzip.compress(raw)).raw == raw
    assert inflate(raw).raw == raw
    assert inflate(raw).layers == ()


@given(st.lists(st.binary(max_size=5000), min_size=2, max_size=6))
def test_members_are_joined(parts):
    found = inflate(b"".join(map(gzip.compress, [b"x", *parts])))
    assert found.raw == b"x" + b"".join(parts)
    assert found.damage == ()


def test_gzip_within_gzip_is_undone():
    found = inflate(gzip.compress(GZ))
    assert (found.raw, found.layers, found.damage) == (PLAIN, ("gzip", "gzip"), ())


@pytest.mark.parametrize(("compress", "name"), [(bz2.compress, "bzip2"), (lzma.compress, "xz")])
def test_other_compressions_are_undone_and_capped(compress, name):
    data = compress(PLAIN)
    assert (inflate(data).raw, inflate(data).layers) == (PLAIN, (name,))
    assert inflate(compress(b"") or data).damage == ()
    assert whats(data[:-9]) == ["truncated"]
    assert (inflate(data, 100).raw, whats(data, 100)) == (PLAIN[:100], ["too-large"])
    assert whats(data[:20] + b"\xff" * 20 + data[40:]) == [f"corrupt-{name}"]


def test_zero_padding_is_silent_and_other_bytes_are_not():
    assert (inflate(GZ + bytes(512)).raw, whats(GZ + bytes(512))) == (PLAIN, [])
    assert (inflate(GZ + b"junk").raw, whats(GZ + b"junk")) == (PLAIN, ["trailing-bytes"])


@pytest.mark.parametrize("cut", [3, 9, 10, 11, 50, len(GZ) - 9, len(GZ) - 8, len(GZ) - 5, len(GZ) - 1])
def test_a_cut_stream_keeps_what_inflated(cut):
    found = inflate(GZ[:cut])
    assert [damage.what for damage in found.damage] == ["truncated"]
    assert PLAIN.startswith(found.raw)
    assert found.raw == PLAIN or cut < len(GZ) - 8


@pytest.mark.parametrize("place", [-1, -8])
def test_a_wrong_checksum_or_length_keeps_all_bytes(place):
    broken = bytearray(GZ)
    broken[place] ^= 255
    assert (inflate(bytes(broken)).raw, whats(bytes(broken))) == (PLAIN, ["checksum"])
    assert inflate(bytes(broken) + GZ).raw == PLAIN * 2


def test_a_broken_block_keeps_the_bytes_before_it():
    noise = bytes((n * n * 31 + n // 7) % 256 for n in range(60_000))
    data = bytearray(gzip.compress(b"first" + noise + b"second" * 1000))
    data[len(data) // 2] ^= 255
    found = inflate(bytes(data))
    assert found.damage
    assert found.raw.startswith(b"first")


def test_header_fields_do_not_hide_the_bytes_behind_a_wrong_checksum():
    header = b"\x1f\x8b\x08\x1e" + bytes(6) + b"\x03\x00abc" + b"name\0" + b"note\0" + b"\0\0"
    body = GZ[10:-8] + bytes(8)
    assert inflate(header + body).raw in (PLAIN, b"")
    assert inflate(header + body).damage


def test_a_bomb_stops_at_the_limit_without_the_memory():
    bomb = gzip.compress(bytes(64 << 20))
    tracemalloc.start()
    found = inflate(bomb, 1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(found.raw), [damage.what for damage in found.damage]) == (1 << 20, ["too-large"])
    assert peak < 8 << 20


def test_a_hostile_length_reserves_nothing():
    tracemalloc.start()
    inflate(GZ[:-4] + b"\xff\xff\xff\xff")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_many_small_members_take_linear_time():
    assert inflate(gzip.compress(b"x") * 20_000).raw == b"x" * 20_000


def test_nothing_and_zstd_are_damage():
    assert whats(b"") == ["empty"]
    assert whats(b"\x28\xb5\x2f\xfd....") == ["unsupported-compression"]
    assert whats(gzip.compress(b"\x28\xb5\x2f\xfd....")) == ["unsupported-compression"]


@given(st.binary(max_size=300), st.sampled_from([b"\x1f\x8b\x08", b"BZh91AY&SY", b"\xfd7zXZ\0", b""]))
def test_random_bytes_never_raise(raw, magic):
    assert len(inflate(magic + raw, 1000).raw) <= 1000


@given(st.integers(0, len(GZ) - 1), st.integers(1, 255))
def test_flipped_bytes_never_raise(position, bits):
    data = bytearray(GZ)
    data[position] ^= bits
    inflate(bytes(data), 1 << 20)
