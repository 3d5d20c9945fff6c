"""A stand-in for CloudTrail's Event history: LookupEvents over HTTP with its limits and, on demand, faults, on 127.0.0.1 alone.

It never checks a signature; the region is the one that the request was signed for.
Facts: AWS CloudTrail API Reference, "LookupEvents"; the AWS JSON 1.1 protocol.
"""

import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

Json = dict[str, Any]

MOST = 50  # events in an answer
REACH = timedelta(days=90)
_REGION = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/")


class Refused(Exception):
    """An error answer."""

    def __init__(self, code: str, status: int = 400, message: str = "") -> None:
        super().__init__(code)
        self.code, self.status, self.message = code, status, message or f"the stand-in says {code}"


def answered(record: Json, **more: Any) -> Json:
    """A record as LookupEvents shows it: some of its fields, and the whole of it as a string; `more` replaces fields."""
    text = json.dumps(record, separators=(",", ":"), sort_keys=True)
    shown: Json = {
        "EventId": record["eventID"],
        "EventName": record["eventName"],
        "ReadOnly": str(record["readOnly"]).lower(),
        "EventTime": datetime.fromisoformat(record["eventTime"]).timestamp(),
        "EventSource": record["eventSource"],
        "Username": record["userIdentity"].get("userName", "nobody"),
        "Resources": [{"ResourceType": None, "ResourceName": "i-0aaaabbbbccccdddd"}],
        "CloudTrailEvent": text,
    }
    return shown | more


class EventHistory:
    """A context manager; `url` is the endpoint, `requests` what was asked: region, request, moment."""

    def __init__(self, per_second: int | None = None) -> None:
        self.requests: list[tuple[str, Json, float]] = []
        self.throttled = 0
        self.page = MOST  # events in an answer at most
        self._per_second = per_second
        self._events: dict[str, list[Json]] = defaultdict(list)
        self._faults: dict[str, list[tuple[int, Refused | float]]] = defaultdict(list)
        self._times: dict[str, list[float]] = defaultdict(list)
        self._answers: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def put(self, events: Iterable[Json], region: str = "eu-west-1") -> None:
        """More events of a region, in any order; newest first is how they are shown."""
        self._events[region] = sorted([*self._events[region], *events], key=_epoch, reverse=True)

    def fail(self, code: str, times: int = 1, status: int = 400, region: str = "eu-west-1", after: int = 0) -> None:
        """Refuse so many requests, once so many more were answered."""
        at = self._answers[region] + after
        self._faults[region] += [(at, Refused(code, status))] * times

    def stall(self, seconds: float, after: int = 0, region: str = "eu-west-1") -> None:
        """Take so long for one request, once so many more were answered."""
        self._faults[region].append((self._answers[region] + after, seconds))

    def recover(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    def asked(self, region: str = "eu-west-1") -> list[Json]:
        """The requests of a region that were not throttled."""
        return [request for where, request, _ in self.requests if where == region]

    def answer(self, region: str, request: Json) -> Json:
        """What LookupEvents answers. Raises Refused."""
        self._throttle(region)
        with self._lock:
            self.requests.append((region, request, time.monotonic()))
            fault = self._faults[region].pop(0)[1] if self._is_due(region) else None
            self._answers[region] += fault is None
        if isinstance(fault, Refused):
            raise fault
        time.sleep(fault or 0)
        start = _position(request)
        found = [event for event in self._events[region] if _matches(event, request)]
        size = min(request.get("MaxResults", MOST), self.page)
        answer: Json = {"Events": found[start : start + size]}
        if start + size < len(found):
            answer["NextToken"] = f"{start + size} {_fingerprint(request)}"
        return answer

    def _is_due(self, region: str) -> bool:
        return bool(self._faults[region]) and self._faults[region][0][0] <= self._answers[region]

    def _throttle(self, region: str) -> None:
        with self._lock:
            now = time.monotonic()
            lately = [at for at in self._times[region] if at > now - 0.95]  # a little grace for the way here
            self._times[region] = [*lately, now]
            if self._per_second is not None and len(lately) >= self._per_second:
                self.throttled += 1
                raise Refused("ThrottlingException", message="Rate exceeded")


def _position(request: Json) -> int:
    """Where the answer starts. Raises Refused for what LookupEvents refuses."""
    if request.get("StartTime", 0) > request.get("EndTime", 1 << 40):
        raise Refused("InvalidTimeRangeException")
    if len(request.get("LookupAttributes", [])) > 1:
        raise Refused("InvalidLookupAttributesException")
    if not 1 <= request.get("MaxResults", MOST) <= MOST:
        raise Refused("InvalidMaxResultsException")
    if "NextToken" not in request:
        return 0
    start, _, fingerprint = request["NextToken"].partition(" ")
    if fingerprint != _fingerprint(request):
        raise Refused("InvalidNextTokenException")
    return int(start)


def _fingerprint(request: Json) -> str:
    """A token is good only for the request that it was given to."""
    return json.dumps({name: value for name, value in request.items() if name != "NextToken"}, sort_keys=True)


def _matches(event: Json, request: Json) -> bool:
    at = _epoch(event)
    if not request.get("StartTime", 0) <= at <= request.get("EndTime", 1 << 40):
        return False
    if at < (datetime.now(UTC) - REACH).timestamp():
        return False
    return all(event.get(each["AttributeKey"]) == each["AttributeValue"] for each in request.get("LookupAttributes", []))


def _epoch(event: Json) -> float:
    at = event["EventTime"]
    return datetime.fromisoformat(at).timestamp() if isinstance(at, str) else float(at)


def _region_of(headers: Message) -> str:
    """The region that a request was signed for. Raises Refused for another operation than LookupEvents."""
    signed = _REGION.search(headers.get("Authorization", ""))
    if signed is None or not headers.get("X-Amz-Target", "").endswith(".LookupEvents"):
        raise Refused("UnsupportedOperationException")
    return signed[1]


def _handler(history: EventHistory) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet, or each answer waits for the acknowledgement of its head

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            status = 200
            try:
                answer = history.answer(_region_of(self.headers), request)
            except Refused as refused:
                status, answer = refused.status, {"__type": refused.code, "message": refused.message}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
