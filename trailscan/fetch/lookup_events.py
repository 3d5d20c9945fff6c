"""CloudTrail's Event history, asked region by region through LookupEvents, no faster than AWS allows. Touches no disk.

Facts: AWS CloudTrail API Reference, "LookupEvents": management events of the last 90 days, newest first, 50 in an answer, one
attribute in a request, two requests a second for each account and region.
"""

import contextlib
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from trailscan.aws.session import Access, Translated, code_of, open_session, raise_ours, short
from trailscan.cloudtrail.history_windows import REACH, UNKNOWN, Event, Span, is_region
from trailscan.errors import SourceError, UsageError

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient

PER_SECOND = 2
THROTTLED_TRIES = 12  # of one request; others of the account may use up the rate for minutes
TRIES = 4  # where the network or CloudTrail itself fails
WAIT = 1.0  # seconds before the second try, twice as many before each further one
LONGEST_WAIT = 30.0

_NEEDS = "cloudtrail:LookupEvents"
_NAP = 0.1  # seconds between two looks at whether to stop
_THROTTLED = re.compile(
    "Throttling|ThrottlingException|ThrottledException|TooManyRequestsException|RequestLimitExceeded|SlowDown"
)
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_LAST_SECOND = timedelta(seconds=1)  # EndTime is inclusive


class Stopped(Exception):
    """The run was asked to stop; what the answer in hand held so far is not whole."""


class StaleToken(Exception):
    """CloudTrail does not go on with this answer any more: it must be asked anew for the rest."""


class _Answer(msgspec.Struct):
    Events: list[msgspec.Raw] = []
    NextToken: str | None = None


class _Timed(msgspec.Struct):
    EventTime: float | str | None = None


class _Told(msgspec.Struct):
    CloudTrailEvent: str | None = None


class _Record(msgspec.Struct):
    recipientAccountId: str | None = None  # noqa: N815 - CloudTrail's name


_read_answer = msgspec.json.Decoder(_Answer).decode
_read_time = msgspec.json.Decoder(_Timed).decode
_read_told = msgspec.json.Decoder(_Told).decode
_read_record = msgspec.json.Decoder(_Record).decode


def open_histories(access: Access, regions: Sequence[str], stop: Callable[[], bool]) -> "list[History]":
    """The Event history of each region, or of the session's own where none is named. Raises UsageError and CredentialsError."""
    with Translated("Event history", _NEEDS):
        session = open_session(access)
        chosen = list(dict.fromkeys(regions)) or ([session.region_name] if session.region_name else [])
        if not chosen:
            raise UsageError("Event history is kept region by region, and none is named", "name one with --region")
        for region in chosen:
            if not is_region(region):
                raise UsageError(f"{region!r} is not a region", "write --region eu-west-1")
        return [History(_client(session, region, access), region, stop) for region in chosen]


def _client(session: Any, region: str, access: Access) -> "CloudTrailClient":  # noqa: ANN401 - boto3 has no types of its own
    from botocore.config import Config

    config = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=10, read_timeout=60)
    client: CloudTrailClient = session.client("cloudtrail", region_name=region, endpoint_url=access.endpoint_url, config=config)
    return client


class Pace:
    """Lets a thing be done so many times in any second, and no oftener."""

    def __init__(self, per_second: int) -> None:
        self._times: deque[float] = deque(maxlen=per_second)

    def due(self, now: float) -> float:
        """Seconds to wait before it may be done again; who asks does it then."""
        full = len(self._times) == self._times.maxlen
        at = max(now, self._times[0] + 1) if full else now
        self._times.append(at)
        return at - now


class History:
    """One region's Event history, for one thread. Raises SourceError and what it stands above, and Stopped."""

    def __init__(self, client: "CloudTrailClient", region: str, stop: Callable[[], bool]) -> None:
        self.region = region
        self.requests = 0  # answered
        self.throttled = 0
        self._where = f"Event history of {region}"
        self._client = client
        self._stop = stop
        self._pace = Pace(PER_SECOND)
        self._body = b""
        client.meta.events.register("before-parse.cloudtrail.LookupEvents", self._keep_body)

    def account_id(self, now: datetime) -> str:
        """Whose history it is, as the newest events say; "unknown" where there are none."""
        answer = self._ask({"StartTime": _aware(now - REACH), "EndTime": _aware(now)})
        return next((account for event in answer.Events if (account := _account_in(bytes(event)))), UNKNOWN)

    def pages(self, span: Span, event_name: str | None) -> Iterator[list[Event]]:
        """What happened in a span, answer by answer, newest first. Raises StaleToken when the answers break off."""
        since, until = span
        request: dict[str, Any] = {"StartTime": _aware(since), "EndTime": _aware(until - _LAST_SECOND), "MaxResults": 50}
        if event_name is not None:
            request["LookupAttributes"] = [{"AttributeKey": "EventName", "AttributeValue": event_name}]
        while True:
            answer = self._ask(request)
            yield [(_time_of(text), text) for text in map(bytes, answer.Events)]
            if not answer.NextToken:
                return
            if answer.NextToken == request.get("NextToken"):
                raise SourceError(
                    f"{self._where} goes round in circles: the same token came twice", "run the same command again"
                )
            request["NextToken"] = answer.NextToken

    def _ask(self, request: dict[str, Any]) -> _Answer:
        """One answer, however often it takes."""
        tried = 0
        while True:
            self._wait(self._pace.due(time.monotonic()))
            try:
                self._client.lookup_events(**request)
            except Exception as error:  # noqa: BLE001 - botocore's are judged, all others go on their way
                tried += 1
                self._judge(error, tried)
                self._wait(min(WAIT * 2 ** (tried - 1), LONGEST_WAIT))
            else:
                self.requests += 1
                return self._decoded()

    def _judge(self, error: Exception, tried: int) -> None:
        """Return if it is worth another try; raise what it means otherwise."""
        from botocore import exceptions as boto

        if isinstance(error, (ValueError, RecursionError)) and not isinstance(error, boto.BotoCoreError):
            raise self._unreadable(error) from error
        if not isinstance(error, (boto.BotoCoreError, boto.ClientError)):
            raise error
        code = code_of(error)
        if code == "InvalidNextTokenException":
            raise StaleToken from error
        tries = 1
        if _THROTTLED.fullmatch(code):
            self.throttled += 1
            tries = THROTTLED_TRIES
        elif isinstance(error, (boto.ConnectionError, boto.HTTPClientError)) or _status_of(error) >= 500:  # noqa: PLR2004
            tries = TRIES
        if tried >= tries:
            raise_ours(error, self._where, _NEEDS)

    def _decoded(self) -> _Answer:
        try:
            return _read_answer(self._body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> SourceError:
        return SourceError(f"{self._where} gave an answer that cannot be read: {short(error)}", "run the same command again")

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stop():
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _NAP))
        raise Stopped

    def _keep_body(self, response_dict: dict[str, Any], **_: object) -> None:
        """The answer's bytes, before boto3 drops from them what it does not know."""
        self._body = response_dict["body"]


def _status_of(error: Exception) -> int:
    response = getattr(error, "response", None) or {}
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _time_of(event: bytes) -> datetime | None:
    """EventTime in whole seconds of UTC: a number of seconds in CloudTrail's protocol, ISO 8601 in other hands."""
    with contextlib.suppress(msgspec.DecodeError, ValueError, OverflowError, OSError):
        at = _read_time(event).EventTime
        if isinstance(at, str):
            moment = datetime.fromisoformat(at)
        elif at is not None:
            moment = datetime.fromtimestamp(at, UTC)
        else:
            return None
        return (moment.astimezone(UTC) if moment.tzinfo else moment).replace(microsecond=0, tzinfo=None)
    return None


def _account_in(event: bytes) -> str | None:
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
        account = _read_record(_read_told(event).CloudTrailEvent or "").recipientAccountId
        return account if account and _ACCOUNT.fullmatch(account) else None
    return None


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
