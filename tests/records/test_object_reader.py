import gzip
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.records.shapes_of_records import native, record
from trailscan.records.object_reader import read_object
from trailscan.records.prefilter import Needles, Prefilter

RAW = native([record(1), record(2)])
GZ = gzip.compress(RAW, mtime=0)


def test_one_call_gives_records_hashes_and_sizes():
    reading = read_object(GZ)
    assert (reading.shape, reading.status, list(reading.indexes)) == ("records", "ok", [0, 1])
    assert reading.sha256 == hashlib.sha256(GZ).hexdigest()
    assert reading.sha256_raw == hashlib.sha256(RAW).hexdigest()
    assert reading.raw_bytes == len(RAW)


def test_an_object_that_a_sieve_spares_is_hashed_only_on_demand():
    sieve = Prefilter(Needles.of([["NoSuchEventAnywhere"]]))
    for hash_all in (True, False):
        reading = read_object(GZ, sieve=sieve, hash_all=hash_all)
        assert (reading.shape, reading.status, reading.read, list(reading.records)) == ("sifted", "ok", None, [])
        assert (reading.sha256 is None) is not hash_all


@pytest.mark.parametrize(
    ("data", "status", "what"),
    [
        (gzip.compress(b'{"Records":[]}', mtime=0), "empty", []),
        (GZ[:-1], "partial", ["truncated"]),
        (GZ + b"junk", "partial", ["trailing-bytes"]),
        (gzip.compress(RAW[:-40], mtime=0), "partial", ["truncated"]),
        (b"", "damaged", ["empty"]),
        (gzip.compress(b"", mtime=0), "damaged", ["empty"]),
        (b"\x1f\x8b", "damaged", ["truncated"]),
        (b"neither", "not-cloudtrail", ["not-cloudtrail"]),
    ],
)
def test_the_status_says_what_could_be_had(data, status, what):
    reading = read_object(data)
    assert (reading.status, [damage.what for damage in reading.damage]) == (status, what)


def test_records_beyond_the_limit_are_missing_and_told():
    reading = read_object(GZ, limit=len(RAW) - 20)
    assert [json.loads(bytes(one)) for one in reading.records] == [record(1)]
    assert [damage.what for damage in reading.damage] == ["too-large", "truncated"]


@given(st.binary(max_size=200))
def test_random_bytes_never_raise(data):
    reading = read_object(data)
    assert (reading.status in ("damaged", "partial", "not-cloudtrail")) == bool(reading.damage)
