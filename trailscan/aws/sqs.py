"""An SQS queue that tells of new objects in a bucket: what its messages say, and receiving and deleting them.

Never fetches an object and never trusts a message: a key it names is only a place to look.
Facts: Amazon S3 "Event message structure"; AWS CloudTrail "Configuring Amazon SNS notifications for CloudTrail"; Amazon SQS
API Reference.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import msgspec

from trailscan.aws.session import Access, Translated, open_session
from trailscan.errors import UsageError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import DeleteMessageBatchRequestEntryTypeDef

LONG_POLL = 20  # seconds that SQS waits for a message, at most
AT_ONCE = 10  # messages that one call receives or deletes, at most
MANY = 500  # messages that are taken together, about
_TURN = 0.1  # seconds between two looks at whether to stop
_VALIDATION = "CloudTrail validation message."  # which CloudTrail sends when a topic is given to a trail
_HOST_REGION = re.compile(r"//(?:sqs\.)?([a-z]{2,}(?:-[a-z]+)+-\d+)\.(?:queue\.)?amazonaws\.com")
_URL = re.compile(r"https?://[^/\s?#@]+(?:/[^/\s?#]+){2,}")
_NEEDED = "sqs:ReceiveMessage and sqs:DeleteMessage, and kms:Decrypt for an encrypted queue"


class Message(msgspec.Struct, frozen=True):
    """A message as it was received; the receipt is what deletes it."""

    id: str
    receipt: str
    body: str


class NotOurs(Exception):
    """A message that does not tell of an object in the watched place; the reason is the message."""


class _Bucket(msgspec.Struct):
    name: str


class _Object(msgspec.Struct):
    key: str


class _Place(msgspec.Struct):
    bucket: _Bucket
    object: _Object


class _Record(msgspec.Struct):
    s3: _Place
    name: str = msgspec.field(name="eventName", default="")


class _Body(msgspec.Struct):
    """The fields of every kind of message that is understood; which there are tells the kind."""

    records: list[_Record] | None = msgspec.field(name="Records", default=None)
    event: str | None = msgspec.field(name="Event", default=None)
    bucket: str | None = msgspec.field(name="s3Bucket", default=None)
    keys: list[str] | None = msgspec.field(name="s3ObjectKey", default=None)
    message: str | None = msgspec.field(name="Message", default=None)


def objects_named(body: str) -> list[tuple[str, str]]:
    """The objects, as (bucket, key), that a message says were created; none for a test or a removal. Raises NotOurs.

    Understood are S3's own event notification, CloudTrail's message about a delivery, and either of them wrapped by SNS.
    """
    return _objects_of(_decoded(body), wrapped=False)


def _objects_of(told: _Body, wrapped: bool) -> list[tuple[str, str]]:
    if told.records is not None:
        created = [record.s3 for record in told.records if record.name.removeprefix("s3:").startswith("ObjectCreated:")]
        return [(place.bucket.name, unquote_plus(place.object.key)) for place in created]
    if told.bucket is not None and told.keys is not None:
        return [(told.bucket, key) for key in told.keys]
    if told.event == "s3:TestEvent":
        return []
    if told.message is not None and not wrapped:
        return [] if told.message == _VALIDATION else _objects_of(_decoded(told.message), wrapped=True)
    raise NotOurs("it is neither a notification of S3 nor one of CloudTrail")


def _decoded(text: str) -> _Body:
    try:
        return msgspec.json.decode(text.encode("utf-8", "replace"), type=_Body)
    except msgspec.ValidationError as error:
        raise NotOurs(f"it is neither a notification of S3 nor one of CloudTrail: {error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotOurs(f"it is not JSON: {error}") from error


def keys_in(body: str, bucket: str, prefix: str) -> list[str]:
    """The keys that a message names below a prefix of a bucket. Raises NotOurs when it names anything else."""
    named = objects_named(body)
    for other, key in named:
        if other != bucket or not key.startswith(prefix):
            raise NotOurs(f"it names s3://{other}/{key}, which is not below s3://{bucket}/{prefix}")
    return [key for _, key in named]


class Queue:
    """A queue, seen with one identity. Raises UsageError, CredentialsError, NotReachable and SourceError."""

    def __init__(self, url: str, access: Access) -> None:
        self.url = checked(url)
        self._told = Translated(f"the queue {url}", _NEEDED)
        with self._told:
            session = open_session(access)
            region = _region_of(url) or session.region_name or "us-east-1"
            self._client: SQSClient = session.client("sqs", region_name=region, endpoint_url=access.endpoint_url)

    def receive(self, seconds: int = 0) -> list[Message]:
        """Some messages, at most ten, after waiting at most so many seconds for the first."""
        with self._told:
            received = self._client.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=AT_ONCE, WaitTimeSeconds=min(seconds, LONG_POLL)
            )
        return [Message(found["MessageId"], found["ReceiptHandle"], found["Body"]) for found in received.get("Messages", [])]

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages; one that is gone already, or whose receipt has expired, is left to come again."""
        waiting = iter(messages)
        while batch := list(islice(waiting, AT_ONCE)):
            entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
                {"Id": str(number), "ReceiptHandle": message.receipt} for number, message in enumerate(batch)
            ]
            with self._told:
                self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)


class Inbox:
    """What arrives in a queue; waits in a thread of its own, so that whoever waits here can stop at once."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._arrived: SimpleQueue[list[Message] | BaseException] = SimpleQueue()
        self._polling = False

    def collect(self, seconds: float, stop: Callable[[], bool]) -> list[Message]:
        """The messages that are there, or the first to come within so many seconds; none when stopped. Raises as Queue."""
        first = self._first(time.monotonic() + seconds, stop)
        return first + list(self._more()) if first else []

    def _first(self, deadline: float, stop: Callable[[], bool]) -> list[Message]:
        while not stop() and time.monotonic() < deadline:
            if not self._polling:
                self._polling = True
                threading.Thread(target=self._poll, daemon=True).start()
            try:
                arrived = self._arrived.get(timeout=_TURN)
            except Empty:
                continue
            self._polling = False
            if isinstance(arrived, BaseException):
                raise arrived
            if arrived:
                return arrived
        return []

    def _more(self) -> Iterator[Message]:
        """What else is there already: a burst of objects is one round's work."""
        for _ in range(MANY // AT_ONCE):
            more = self._queue.receive()
            yield from more
            if not more:
                return

    def _poll(self) -> None:
        try:
            self._arrived.put(self._queue.receive(LONG_POLL))
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits
            self._arrived.put(error)


def checked(url: str) -> str:
    """The URL, when a queue can have it: https://host/account/name. Raises UsageError."""
    if not _URL.fullmatch(url):
        raise UsageError(
            f"{url!r} is not the URL of an SQS queue", "write https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, as SQS shows it"
        )
    return url


def _region_of(url: str) -> str | None:
    found = _HOST_REGION.search(url)
    return found[1] if found else None
