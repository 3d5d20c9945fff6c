"""Messages of a queue: whose objects they name, in every wrapping; and receiving and deleting them from moto's SQS."""

import json
import threading
import time
from urllib.parse import quote_plus

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.conftest import moto_url
from trailscan.aws.session import Access
from trailscan.aws.sqs import Inbox, NotOurs, Queue, checked, keys_in, objects_named
from trailscan.errors import SourceError, UsageError

__all__ = ["moto_url"]
KEY = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/01/111122223333_CloudTrail_eu-west-1_20260301T0915Z_a.json.gz"
TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-03-01T09:00:00Z", "Bucket": "trail"}


def s3_event(*keys, bucket="trail", name="ObjectCreated:Put"):
    return {
        "Records": [
            {"eventSource": "aws:s3", "eventName": name, "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key)}}}
            for key in keys
        ]
    }


def delivery(*keys, bucket="trail"):
    return {"s3Bucket": bucket, "s3ObjectKey": list(keys)}


def by_sns(message):
    text = message if isinstance(message, str) else json.dumps(message)
    return {"Type": "Notification", "MessageId": "1", "TopicArn": "arn", "Message": text}


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (s3_event(KEY, "b"), [("trail", KEY), ("trail", "b")]),
        (s3_event(KEY, name="s3:ObjectCreated:CompleteMultipartUpload"), [("trail", KEY)]),
        (s3_event("a b+c/ü%.gz"), [("trail", "a b+c/ü%.gz")]),
        (delivery(KEY, "x+y"), [("trail", KEY), ("trail", "x+y")]),
        (by_sns(s3_event(KEY)), [("trail", KEY)]),
        (by_sns(delivery(KEY)), [("trail", KEY)]),
        (s3_event(KEY, name="ObjectRemoved:Delete"), []),
        (TEST_EVENT, []),
        (by_sns(TEST_EVENT), []),
        (by_sns("CloudTrail validation message."), []),
    ],
)
def test_the_objects_of_each_kind_of_message(message, named):
    assert objects_named(json.dumps(message)) == named


@pytest.mark.parametrize(
    "body",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        "null",
        "7",
        '{"Records": 7}',
        '{"Records": [{"s3": {}}]}',
        '{"s3Bucket": "trail"}',
        json.dumps(by_sns(by_sns(s3_event(KEY)))),
        "[" * 100_000,
        '{"x":' * 100_000,
        "\ud800",
    ],
)
def test_what_is_no_notification_is_named_and_never_crashes(body):
    with pytest.raises(NotOurs, match="it is"):
        objects_named(body)


FIELDS = ["Records", "Message", "s3", "bucket", "object", "key", "name", "eventName", "s3Bucket", "s3ObjectKey"]
NESTED = st.recursive(
    st.none() | st.text() | st.integers(), lambda more: st.lists(more) | st.dictionaries(st.sampled_from(FIELDS), more)
)


@given(st.text() | NESTED.map(json.dumps))
def test_no_message_does_more_than_name_objects_or_prove_foreign(body):
    try:
        named = objects_named(body)
    except NotOurs:
        return
    assert all(isinstance(part, str) for pair in named for part in pair)


def test_only_keys_of_the_watched_place_are_ours():
    assert keys_in(json.dumps(s3_event(KEY)), "trail", "AWSLogs/") == [KEY]
    for message in (s3_event(KEY, bucket="other"), s3_event("elsewhere/x"), s3_event(KEY, "elsewhere/x")):
        with pytest.raises(NotOurs, match="which is not below s3://trail/AWSLogs/"):
            keys_in(json.dumps(message), "trail", "AWSLogs/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "queue",
        "sqs.eu-west-1.amazonaws.com/1/q",
        "https://h/q",
        "ftp://h/1/q",
        "https://user:secret@h/1/q",
        "https:// /1/q",
    ],
)
def test_what_is_no_url_of_a_queue_is_refused(url):
    with pytest.raises(UsageError, match="is not the URL of an SQS queue"):
        checked(url)


@pytest.fixture
def sqs(moto_url, monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAINVENTED",
        "AWS_SECRET_ACCESS_KEY": "invented",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return boto3.client("sqs", endpoint_url=moto_url)


@pytest.fixture
def queue(sqs, moto_url, request):
    url = sqs.create_queue(QueueName=f"q{abs(hash(request.node.name))}")["QueueUrl"]
    return Queue(url, Access(endpoint_url=moto_url))


def test_a_burst_is_collected_at_once_and_gone_when_deleted(queue, sqs):
    for number in range(23):
        sqs.send_message(QueueUrl=queue.url, MessageBody=str(number))
    got = Inbox(queue).collect(5, lambda: False)
    assert sorted(int(message.body) for message in got) == list(range(23))
    queue.delete(got)
    shown = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])["Attributes"]
    assert {shown["ApproximateNumberOfMessages"], shown["ApproximateNumberOfMessagesNotVisible"]} == {"0"}


def test_waiting_ends_with_the_first_message_or_when_stopped_or_in_time(queue, sqs):
    inbox, stop = Inbox(queue), threading.Event()
    assert inbox.collect(0.3, stop.is_set) == []
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    started = time.monotonic()
    assert inbox.collect(30, stop.is_set) == []
    assert time.monotonic() - started < 2
    stop.clear()
    threading.Timer(0.2, sqs.send_message, kwargs={"QueueUrl": queue.url, "MessageBody": "m"}).start()
    assert [message.body for message in inbox.collect(30, stop.is_set)] == ["m"]


def test_a_queue_that_is_not_there_is_told(moto_url, sqs):
    with pytest.raises(SourceError, match="the queue"):
        Inbox(Queue(f"{moto_url}/111122223333/none", Access(endpoint_url=moto_url))).collect(5, lambda: False)
