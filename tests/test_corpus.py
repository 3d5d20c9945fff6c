"""Every file of the corpus reads as its maker said, and the corpus is what its maker makes."""

import gzip
import hashlib
import json
import os
import zlib
from pathlib import Path

import pytest

from tests.fixtures import large
from tests.fixtures.make import CORPUS, corpus
from tests.fixtures.odd_bytes import GZ, RECORDS
from trailscan.cloudtrail.object_keys import contradictions, parse_key
from trailscan.files.folder import find_objects
from trailscan.files.local_objects import Survey
from trailscan.records.object_reader import Reading, read_object
from trailscan.records.prefilter import Needles, Prefilter

EXPECTED = json.loads((CORPUS / "expected.json").read_bytes())
OTHER_ZLIB = "ng" in zlib.ZLIB_RUNTIME_VERSION
SHELL = "111122223333_CloudTrail_eu-west-1_20260301T0920Z_shell"
BUCKET_LOGS = [path for path in EXPECTED if path.startswith("bucket/") and "Digest" not in path]
DIGESTS = [path for path in EXPECTED if path.startswith("bucket/") and "Digest" in path]
NO_FIXTURES = {"expected.json", "bucket.metadata.json"}


def parsed(record: object) -> dict:
    """A record as a dict; numbers stay text, for some have thousands of digits."""
    return json.loads(bytes(record), parse_int=str)


def is_start(record: dict) -> bool:
    return record.get("eventSource") == "ssm.amazonaws.com" and record.get("eventName") == "StartSession"


def summary(reading: Reading) -> dict:
    return {
        "shape": reading.shape,
        "status": reading.status,
        "records": len(reading.records),
        "damage": [damage.what for damage in reading.damage],
        "starts": sum(is_start(parsed(record)) for record in reading.records),
    }


def files_of(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def read(path: str) -> list[dict]:
    return [parsed(record) for record in read_object((CORPUS / path).read_bytes()).records]


def one_of(part: str) -> list[dict]:
    (path,) = [path for path in EXPECTED if part in path]
    return read(path)


@pytest.mark.parametrize("path", EXPECTED)
def test_a_file_reads_as_expected(path):
    assert summary(read_object((CORPUS / path).read_bytes())) == EXPECTED[path]


def test_damage_and_records_share_no_index():
    for path in EXPECTED:
        reading = read_object((CORPUS / path).read_bytes())
        bad = [damage.record_index for damage in reading.damage if damage.record_index is not None]
        assert not set(bad) & set(reading.indexes), path


def test_the_corpus_is_complete_and_small():
    assert files_of(CORPUS) == EXPECTED.keys() | NO_FIXTURES
    assert sum((CORPUS / path).stat().st_size for path in files_of(CORPUS)) < 400_000
    assert len({path.casefold() for path in files_of(CORPUS)}) == len(files_of(CORPUS))  # some file systems ignore case


@pytest.mark.skipif(OTHER_ZLIB, reason="the corpus is compressed by zlib; zlib-ng makes other bytes of the same content")
def test_the_corpus_is_what_its_maker_makes():
    assert corpus() == {path: (CORPUS / path).read_bytes() for path in files_of(CORPUS)}


@pytest.mark.parametrize("path", BUCKET_LOGS)
def test_the_bucket_is_what_any_other_reader_makes_of_it(path):
    document = json.loads(gzip.decompress((CORPUS / path).read_bytes()))
    records = document["Records"] if "Records" in document else document if isinstance(document, list) else [document]
    assert [json.loads(bytes(record)) for record in read_object((CORPUS / path).read_bytes()).records] == records


def test_every_object_of_the_bucket_has_a_key_that_cloudtrail_gives():
    keys = {
        path.removeprefix("bucket/"): parse_key(path.removeprefix("bucket/")) for path in EXPECTED if path.startswith("bucket/")
    }
    assert None not in keys.values()
    assert [key for key, parts in keys.items() if contradictions(parts)] == [
        path.removeprefix("bucket/") for path in DIGESTS if "among-logs" in path
    ]


def test_the_sound_chain_swears_by_what_is_there():
    chain = [json.loads(gzip.decompress((CORPUS / path).read_bytes())) for path in DIGESTS if "main_trail" in path]
    first, second, third = (digest for digest in chain if "backfill" not in digest["digestS3Object"])
    assert first["previousDigestS3Object"] is None
    assert len(second["logFiles"]) > 5
    assert third["logFiles"] == []
    for digest, before in ((second, first), (third, second)):
        raw = gzip.decompress((CORPUS / "bucket" / before["digestS3Object"]).read_bytes())
        assert digest["previousDigestHashValue"] == hashlib.sha256(raw).hexdigest()
        assert digest["digestStartTime"] == before["digestEndTime"]
    for log in second["logFiles"]:
        raw = gzip.decompress((CORPUS / "bucket" / log["s3Object"]).read_bytes())
        assert log["hashValue"] == hashlib.sha256(raw).hexdigest()


def test_the_metadata_are_of_digests():
    metadata = json.loads((CORPUS / "bucket.metadata.json").read_bytes())
    assert {f"bucket/{key}" for key in metadata} == {path for path in DIGESTS if "unsigned" not in path}


@pytest.mark.parametrize("path", EXPECTED)
def test_a_sieve_loses_no_start(path):
    content = (CORPUS / path).read_bytes()
    sieve = Prefilter(Needles.of([["StartSession"], ["ssm.amazonaws.com"]]))
    everything, sifted = read_object(content), read_object(content, sieve=sieve)
    starts = [index for index, one in zip(everything.indexes, everything.records, strict=True) if is_start(parsed(one))]
    assert set(starts) <= set(sifted.indexes)


def test_an_object_lies_under_two_prefixes():
    contents = [file.read_bytes() for file in (CORPUS / "bucket").rglob("*_20260301T0920Z_shell*")]
    assert len(contents) == 2
    assert contents[0] == contents[1]


def test_an_event_is_there_again_identical_and_changed():
    (first,) = [
        record
        for record in one_of(
            "bucket/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/01/111122223333_CloudTrail_eu-west-1_20260301T0920Z"
        )
        if is_start(record)
    ]
    again = one_of("T1015Z_again")[0]
    (changed,) = one_of("T1020Z_changed")
    assert again == first
    assert changed != first
    assert changed["eventID"] == first["eventID"]


@pytest.mark.parametrize("cut", list(large.cuts_of_the_trailer()), ids=len)
def test_no_cut_of_the_trailer_costs_a_record_or_stays_unseen(cut):
    reading = read_object(cut)
    assert [parsed(record) for record in reading.records] == RECORDS
    assert [damage.what for damage in reading.damage] == ["truncated"]


def test_every_cut_of_an_object_is_seen():
    for end in range(1, len(GZ)):
        assert read_object(GZ[:end]).damage, end


def test_an_object_of_17_megabytes_is_read_whole():
    content, count = large.large_object()
    reading = read_object(content)
    assert reading.raw_bytes > 17 << 20
    assert (reading.status, len(reading.records)) == ("ok", count)


def test_a_bomb_goes_off_up_to_the_limit_only():
    reading = read_object(large.bomb(64), limit=1 << 20)
    assert reading.raw_bytes == 1 << 20
    assert [damage.what for damage in reading.damage] == ["too-large", "not-cloudtrail"]


def test_a_bomb_that_opens_like_a_log_is_damage():
    reading = read_object(large.bomb_of_records(64), limit=1 << 20)
    assert [damage.what for damage in reading.damage] == ["too-large", "truncated"]


def test_thousands_of_members_are_read():
    assert len(read_object(large.many_members(3000)).records) == 3000


def test_a_folder_with_links_is_walked_once(tmp_path):
    large.linked_tree(tmp_path)
    survey = Survey()
    (found,) = find_objects([str(tmp_path / "logs")], survey)
    assert "_logs0" in found.name
    assert len(survey.problems) == 2


@pytest.mark.skipif(os.name == "nt", reason="no name can hold a backslash there")
def test_a_windows_path_as_a_name_is_read(tmp_path):
    large.backslash_tree(tmp_path)
    (found,) = find_objects([str(tmp_path)], Survey())
    assert len(read_object(Path(found.path).read_bytes()).records) == len(RECORDS)
