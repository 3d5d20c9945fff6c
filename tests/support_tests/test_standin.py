import asyncio
import hashlib
import http.client
import json
import os
import socket
import time

import boto3
import obstore
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ResponseStreamingError
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import S3Store

from tests.support.buckets import page_of
from tests.support.standin import Rule, Standin, span_of

HOSTILE = {"a/../b": "dots", "a//b": "empty", "folder/": "", "new\nline&<tag>": "markup", "ü+ %41": "escaped"}
LARGE = os.urandom(3 << 20)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("standin")
    for number in range(2300):
        path = root / "trail" / f"day/{number % 3:02d}" / f"{number:05d}.json.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"object %d" % number)
    (root / "trail" / "large.json.gz").write_bytes(LARGE)
    (root / "trail" / "empty.json.gz").write_bytes(b"")
    (root / "trail.metadata.json").write_text(json.dumps({"large.json.gz": {"signature": "00ff"}}))
    (root / "odd").mkdir()
    (root / "odd.keys.json").write_text(json.dumps(HOSTILE))
    return root


@pytest.fixture(scope="module")
def server(root):
    with Standin(root, region="eu-west-1") as standin:
        yield standin


@pytest.fixture
def standin(server):
    server.refresh(faults=[])
    return server


@pytest.fixture
def s3(standin):
    client = boto3.client(
        "s3",
        endpoint_url=standin.url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="y",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, read_timeout=10),
    )
    yield client
    client.close()


def rust_store(standin, bucket):
    return S3Store(
        bucket,
        endpoint=standin.url,
        access_key_id="x",
        secret_access_key="y",
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


def all_keys(s3, bucket, **asked):
    return [item["Key"] for page in pages(s3, bucket, **asked) for item in page.get("Contents", [])]


def pages(s3, bucket, operation="list_objects_v2", **asked):
    return list(s3.get_paginator(operation).paginate(Bucket=bucket, **asked))


def code_of(call, **asked):
    with pytest.raises(ClientError) as caught:
        call(**asked)
    return caught.value.response["Error"]["Code"]


def test_an_object_comes_with_all_its_headers(s3):
    for _ in range(2):  # from disk, then from memory
        answer = s3.get_object(Bucket="trail", Key="day/01/00001.json.gz")
        assert answer["Body"].read() == b"object 1"
        assert answer["ETag"] == f'"{hashlib.md5(b"object 1").hexdigest()}"'
    large = s3.get_object(Bucket="trail", Key="large.json.gz")
    assert large["Body"].read() == LARGE
    assert large["Metadata"] == {"signature": "00ff"}
    head = s3.head_object(Bucket="trail", Key="large.json.gz")
    assert {key: head[key] for key in ("ETag", "ContentLength", "LastModified", "Metadata")} == {
        key: large[key] for key in ("ETag", "ContentLength", "LastModified", "Metadata")
    }
    assert s3.get_object(Bucket="trail", Key="empty.json.gz")["Body"].read() == b""


@pytest.mark.parametrize("operation", ["list_objects_v2", "list_objects"])
def test_listings_come_in_pages_of_a_thousand_in_byte_order(s3, root, operation):
    listed = pages(s3, "trail", operation)
    assert [len(page["Contents"]) for page in listed] == [1000, 1000, 302]
    keys = [item["Key"] for page in listed for item in page["Contents"]]
    on_disk = [path.relative_to(root / "trail").as_posix() for path in (root / "trail").rglob("*.gz")]
    assert keys == sorted(on_disk, key=str.encode)
    first = listed[0]["Contents"][0]
    assert first["Size"] == 8
    assert first["ETag"] == s3.head_object(Bucket="trail", Key=first["Key"])["ETag"]


def test_listings_obey_prefix_delimiter_and_start_after(s3):
    assert len(all_keys(s3, "trail", Prefix="day/02/")) == 766
    assert all_keys(s3, "trail", Prefix="day/02/", StartAfter="day/02/02290.json.gz") == [
        "day/02/02291.json.gz",
        "day/02/02294.json.gz",
        "day/02/02297.json.gz",
    ]
    for operation in ("list_objects_v2", "list_objects"):
        listed = pages(s3, "trail", operation, Prefix="day/", Delimiter="/", PaginationConfig={"PageSize": 2})
        found = [each["Prefix"] for page in listed for each in page["CommonPrefixes"]]
        assert found == ["day/00/", "day/01/", "day/02/"]


def test_hostile_keys_can_be_listed_and_read(s3, standin):
    assert sorted(all_keys(s3, "odd")) == sorted(HOSTILE)
    for name in ("folder/", "new\nline&<tag>", "ü+ %41"):
        assert s3.get_object(Bucket="odd", Key=name)["Body"].read().decode() == HOSTILE[name]
    connection = http.client.HTTPConnection(standin.url.removeprefix("http://"))
    connection.request("GET", "/odd/a/../b")  # as clients that do not normalise paths ask for it
    assert connection.getresponse().read() == b"dots"
    connection.close()


def test_what_is_not_there_is_named(s3):
    assert code_of(s3.get_object, Bucket="trail", Key="none") == "NoSuchKey"
    assert code_of(s3.list_objects_v2, Bucket="none") == "NoSuchBucket"
    assert code_of(s3.head_bucket, Bucket="none") == "404"
    assert code_of(s3.put_object, Bucket="trail", Key="new", Body=b"x") == "MethodNotAllowed"
    assert s3.head_bucket(Bucket="trail")["BucketRegion"] == "eu-west-1"
    assert s3.get_bucket_location(Bucket="trail")["LocationConstraint"] == "eu-west-1"


def test_ranges_give_their_bytes(s3):
    for asked, expected in [("bytes=2-5", LARGE[2:6]), ("bytes=-9", LARGE[-9:]), ("bytes=3145000-", LARGE[3145000:])]:
        answer = s3.get_object(Bucket="trail", Key="large.json.gz", Range=asked)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert answer["Body"].read() == expected
    assert code_of(s3.get_object, Bucket="trail", Key="large.json.gz", Range="bytes=4000000-") == "InvalidRange"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("slowdown", "SlowDown"),
        ("denied", "AccessDenied"),
        ("expired", "ExpiredToken"),
        ("archived", "InvalidObjectState"),
    ],
)
def test_refusals_strike_as_often_as_told_and_only_what_matches(standin, s3, fault, code):
    standin.refresh(faults=[Rule("00001", fault, times=2)])
    assert s3.get_object(Bucket="trail", Key="day/02/00002.json.gz")["Body"].read() == b"object 2"
    for _ in range(2):
        assert code_of(s3.get_object, Bucket="trail", Key="day/01/00001.json.gz") == code
    assert s3.get_object(Bucket="trail", Key="day/01/00001.json.gz")["Body"].read() == b"object 1"
    assert standin.stats() == {"requests": {"GetObject": 4}, "faults": {fault: 2}}
    listed = s3.list_objects_v2(Bucket="trail", Prefix="day/01/00001")["Contents"][0]
    assert listed["StorageClass"] == ("GLACIER" if fault == "archived" else "STANDARD")


def test_a_listing_can_be_refused_too(standin, s3):
    standin.refresh(faults=[Rule("^day/", "denied", times=-1, operation="ListObjects")])
    assert code_of(s3.list_objects_v2, Bucket="trail", Prefix="day/00/") == "AccessDenied"
    assert s3.list_objects_v2(Bucket="trail", Prefix="large")["KeyCount"] == 1


def test_spoiled_bodies_are_spoiled_as_named(standin, s3):
    names = ("short", "reset", "length", "stall")
    standin.refresh(faults=[Rule(f"0000{n}", name, seconds=0.3) for n, name in enumerate(names)])
    for key, cause in [("day/00/00000.json.gz", "4 more expected"), ("day/01/00001.json.gz", "reset")]:
        with pytest.raises(ResponseStreamingError, match=cause):
            s3.get_object(Bucket="trail", Key=key)["Body"].read()
    assert s3.get_object(Bucket="trail", Key="day/02/00002.json.gz")["Body"].read() == b"obje"
    began = time.monotonic()
    assert s3.get_object(Bucket="trail", Key="day/00/00003.json.gz")["Body"].read() == b"object 3"
    assert time.monotonic() - began >= 0.3
    assert standin.stats()["faults"] == dict.fromkeys(names, 1)


def test_requests_sent_at_once_or_in_pieces_are_answered_in_order(standin):
    host, _, port = standin.url.removeprefix("http://").partition(":")
    sent = b"".join(b"GET /trail/%s.json.gz HTTP/1.1\r\nHost: x\r\n\r\n" % key for key in (b"large", b"day/01/00001"))
    sent += b"GET /trail/day/02/00002.json.gz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, int(port))) as client:
        for piece in (sent[:7], sent[7:60], sent[60:]):
            client.sendall(piece)
            time.sleep(0.01)
        received = b"".join(iter(lambda: client.recv(1 << 20), b""))
    assert received.count(b"HTTP/1.1 200 OK") == 3
    assert LARGE in received
    assert received.index(b"object 1") > received.index(LARGE)
    assert received.endswith(b"object 2")


def test_a_refresh_shows_what_changed_on_disk(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one").write_bytes(b"1")
    with Standin(tmp_path) as standin:
        store = rust_store(standin, "b")
        assert store.get("one").bytes() == b"1"
        (tmp_path / "b" / "one").write_bytes(b"2")
        (tmp_path / "b" / "two").write_bytes(b"2")
        assert [item["path"] for item in store.list().collect()] == ["one"]
        standin.refresh()
        assert [item["path"] for item in store.list().collect()] == ["one", "two"]
        assert store.get("one").bytes() == b"2"


def test_obstore_reads_every_object_at_once(standin):
    store = rust_store(standin, "trail")

    async def fetch_all():
        keys = [item["path"] for item in await store.list("day").collect_async()]
        answers = await asyncio.gather(*(obstore.get_async(store, key) for key in keys))
        return keys, [bytes(await answer.bytes_async()) for answer in answers]

    keys, bodies = asyncio.run(fetch_all())
    assert bodies == [b"object %d" % int(key[7:12]) for key in keys]
    assert standin.stats()["requests"] == {"ListObjectsV2": 3, "GetObject": 2300}


def test_obstore_retries_what_was_slowed_down_or_reset(standin):
    standin.refresh(faults=[Rule("00001", "slowdown"), Rule("large", "reset")])
    store = rust_store(standin, "trail")
    assert store.get("day/01/00001.json.gz").bytes() == b"object 1"
    assert store.get("large.json.gz").bytes() == LARGE
    assert standin.stats() == {"requests": {"GetObject": 4}, "faults": {"slowdown": 1, "reset": 1}}


KEYS = st.lists(st.text("ab/é", min_size=1, max_size=6).map(str.encode), unique=True).map(sorted)


@given(KEYS, st.text("ab/", max_size=2), st.sampled_from(["", "/", "b/"]), st.integers(1, 4))
def test_pages_joined_are_what_a_plain_filter_finds(keys, prefix, delimiter, limit):
    start, below, found = prefix.encode(), b"", []
    while True:
        page = page_of(keys, start, delimiter.encode(), below, limit)
        assert len(page.keys) + len(page.prefixes) <= limit
        found += page.keys + page.prefixes
        if page.resume is None:
            break
        below = page.resume
    plain = set()
    for key in (key for key in keys if key.startswith(start)):
        head, cut, _ = key[len(start) :].partition(delimiter.encode()) if delimiter else (key[len(start) :], b"", b"")
        plain.add(start + head + cut)
    assert sorted(found) == sorted(plain)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 20))
def test_spans_are_those_of_python_slices(first, last, size):
    whole = bytes(range(size))
    for asked, expected in [
        (f"bytes={first}-", whole[first:]),
        (f"bytes=-{last}", whole[-last:] if last else b""),
        (f"bytes={first}-{first + last}", whole[first : first + last + 1]),
    ]:
        span = span_of(asked, size)
        assert (whole[slice(*span)] if span else b"") == expected
