"""A small, fast S3 stand-in: serves `ROOT/<bucket>/<key>` read-only as path-style S3, with faults on demand.

It never checks a signature (expired credentials are a fault like any other), never writes to ROOT, and listens on
127.0.0.1 only. GET /-/stats says what was asked; POST /-/refresh reads ROOT and the faults file anew.
Facts: Amazon S3 API Reference (GetObject, HeadObject, HeadBucket, GetBucketLocation, Error responses).
"""

import argparse
import asyncio
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, unquote_to_bytes

from tests.support.buckets import (
    DECLARATION,
    MOST_PER_PAGE,
    XMLNS,
    StoredObject,
    error_xml,
    listing_xml,
    read_bucket,
    spoiled_listing,
)

FaultName = Literal[
    "slowdown", "reset", "stall", "short", "length", "denied", "expired", "archived",
    "no-token", "same-token", "page-again", "stuck", "disorder", "negative-size", "huge-size", "other-count", "no-listing",
    "foreign",
]  # fmt: skip
SPOILED_BODIES = frozenset({"reset", "stall", "short", "length"})

KEPT_OBJECT = 1 << 20  # bytes; larger objects are streamed from disk each time
KEPT_TOTAL = 512 << 20  # bytes of the smaller ones that are kept in memory
LONGEST_HEAD = 64 << 10
REASONS = {
    200: "OK",
    206: "Partial Content",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    416: "Range Not Satisfiable",
    503: "Slow Down",
}
REFUSALS = {
    "slowdown": (503, "SlowDown", "Please reduce your request rate."),
    "denied": (403, "AccessDenied", "Access Denied"),
    "expired": (400, "ExpiredToken", "The provided token has expired."),
    "archived": (403, "InvalidObjectState", "The operation is not valid for the object's storage class"),
}
RANGE_HEADER = re.compile(rb"\r\nrange:[ \t]*([^\r]*)", re.IGNORECASE)
CLOSE_HEADER = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)


@dataclass(slots=True)
class Rule:
    """Serve `fault` to the next `times` requests (-1: to all) of `operation` whose key matches the regex `match`.

    For operation ListObjects (either version) the key is the prefix asked for; `seconds` is how long a stall lasts
    between headers and body.
    slowdown, denied, expired and archived are answers; reset, short and length spoil the body: a TCP reset in its
    middle, a close before its end, a shorter one that is whole by its own Content-Length. What listings alone
    can have is in `buckets.spoiled_listing`.
    """

    match: str
    fault: FaultName
    times: int = 1
    seconds: float = 1.0
    operation: str = "GetObject"


class Shop:
    """All that connections share: the buckets, the faults, the counters and the answers kept in memory."""

    def __init__(self, root: str, faults_file: str | None, region: str, page: int) -> None:
        self.root, self.faults_file, self.region, self.page = root, faults_file, region, page
        self.refresh()

    def refresh(self) -> None:
        """Read the tree, its side files and the faults file anew; counters start again."""
        with os.scandir(self.root) as entries:
            self.buckets = {entry.name: read_bucket(entry.path) for entry in entries if entry.is_dir()}
        rules = json.loads(Path(self.faults_file).read_bytes()) if self.faults_file else []
        self.rules = [(re.compile(rule["match"]), Rule(**rule)) for rule in rules]
        self.requests: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.kept: dict[bytes, bytes] = {}
        self.kept_bytes = 0

    def fault_for(self, operation: str, key: str) -> Rule | None:
        """The rule that strikes this request, if one does; counts it."""
        for pattern, rule in self.rules:
            if rule.times and rule.operation == operation and pattern.search(key):
                rule.times -= rule.times > 0
                self.faults[rule.fault] += 1
                return rule
        return None

    def is_archived(self, key: str) -> bool:
        """Whether a rule says that the object is in Glacier, for listings."""
        return any(rule.fault == "archived" and pattern.search(key) for pattern, rule in self.rules)

    def keep(self, target: bytes, answer: bytes) -> None:
        """Remember a whole answer to a plain GET of `target`, if the cap allows and no fault could strike it."""
        if not self.rules and b"?" not in target and self.kept_bytes + len(answer) <= KEPT_TOTAL:
            self.kept[target] = answer
            self.kept_bytes += len(answer)


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed request: method, raw target, decoded bucket and key, query, and the Range header's value or ""."""

    method: str
    target: bytes
    bucket: str
    key: str
    query: dict[str, str]
    byte_range: str


def parse_request(head: bytes) -> Request:
    """A request's line and headers -> Request; raises ValueError if they are not HTTP."""
    method, target, _version = head.split(b"\r\n", 1)[0].split(b" ")
    path, _, query = target.partition(b"?")
    bucket, _, key = os.fsdecode(unquote_to_bytes(path[1:])).partition("/")
    asked = dict(parse_qsl(query.decode("ascii"), keep_blank_values=True))
    found = RANGE_HEADER.search(head)
    return Request(method.decode("ascii"), target, bucket, key, asked, found[1].decode("ascii") if found else "")


def span_of(byte_range: str, size: int) -> tuple[int, int] | None:
    """A single `bytes=a-b`, `bytes=a-` or `bytes=-n` as (first, after the last); None if it holds no byte."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", byte_range.strip())
    if not match or not any(match.groups()):
        return 0, size  # RFC 9110: a range that is not understood is ignored
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    return (start, end) if start < end else None


def head_of(status: int, length: int, headers: str = "Content-Type: application/xml\r\n") -> bytes:
    """Status line and headers; `headers` are whole lines."""
    return f"HTTP/1.1 {status} {REASONS[status]}\r\n{headers}Content-Length: {length}\r\n\r\n".encode()


class Connection(asyncio.Protocol):
    """One client: parses requests by hand and answers them in order, the next only when the last is done."""

    transport: asyncio.Transport

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.received = b""
        self.last_request = False
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self.task:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self.received = self.received + data if self.received else data
        if not self.task:
            self._serve()

    def _serve(self) -> None:
        while self.task is None and (end := self.received.find(b"\r\n\r\n")) >= 0:
            head, self.received = self.received[: end + 2], self.received[end + 4 :]
            self.last_request = CLOSE_HEADER.search(head) is not None
            if not self._answer_kept(head):
                self._answer_parsed(head)
            if self.last_request and self.task is None:
                self.transport.close()
                return
        if len(self.received) > LONGEST_HEAD:
            self.transport.abort()

    def _answer_kept(self, head: bytes) -> bool:
        """The fast path: a plain GET of an object in memory."""
        if not head.startswith(b"GET ") or RANGE_HEADER.search(head):
            return False
        answer = self.shop.kept.get(head[4 : head.find(b" ", 4)])
        if answer is None:
            return False
        self.shop.requests["GetObject"] += 1
        self.transport.write(answer)
        return True

    def _answer_parsed(self, head: bytes) -> None:
        try:
            request = parse_request(head)
        except ValueError:
            self.transport.abort()
            return
        if request.bucket == "-":
            self._answer_control(request)
        elif request.method not in ("GET", "HEAD"):
            self.last_request = True  # its body would be taken for the next request
            self._refuse(request, 405, "MethodNotAllowed", "The stand-in is read-only")
        elif request.bucket not in self.shop.buckets:
            self._refuse(request, 404, "NoSuchBucket", "The specified bucket does not exist")
        elif request.key:
            self._answer_object(request)
        else:
            self._answer_bucket(request)

    def _answer_control(self, request: Request) -> None:
        if request.key == "refresh":
            self.shop.refresh()
        body = json.dumps({"requests": self.shop.requests, "faults": self.shop.faults}).encode()
        self.transport.write(head_of(200, len(body), "Content-Type: application/json\r\n") + body)

    def _answer_bucket(self, request: Request) -> None:
        if request.method == "HEAD":
            operation, key = "HeadBucket", ""
        elif "location" in request.query:
            operation, key = "GetBucketLocation", ""
        else:
            operation = "ListObjectsV2" if request.query.get("list-type") == "2" else "ListObjects"
            key = request.query.get("prefix", "")
        self.shop.requests[operation] += 1
        fault = self.shop.fault_for(operation.removesuffix("V2"), key)
        if fault and fault.fault in REFUSALS:
            self._refuse(request, *REFUSALS[fault.fault])
        elif operation == "HeadBucket":
            self.transport.write(head_of(200, 0, f"x-amz-bucket-region: {self.shop.region}\r\n"))
        elif operation == "GetBucketLocation":
            region = "" if self.shop.region == "us-east-1" else self.shop.region
            self._write_xml(f"{DECLARATION}<LocationConstraint {XMLNS}>{region}</LocationConstraint>".encode())
        else:
            self._list(request, fault)

    def _list(self, request: Request, fault: Rule | None) -> None:
        def page(query: dict[str, str]) -> bytes:
            return listing_xml(self.shop.buckets[request.bucket], query, self.shop.is_archived, self.shop.page)

        if fault is None:
            self._write_xml(page(request.query))
        elif fault.fault in SPOILED_BODIES:
            body = page(request.query)
            kind = "Content-Type: application/xml\r\n"
            self._begin(self._send_spoiled(head_of(200, len(body), kind), kind, body, fault))
        else:
            self._write_xml(spoiled_listing(fault.fault, request.query, page))

    def _answer_object(self, request: Request) -> None:
        operation = "GetObject" if request.method == "GET" else "HeadObject"
        self.shop.requests[operation] += 1
        item = self.shop.buckets[request.bucket].objects.get(request.key)
        if item is None:
            self._refuse(request, 404, "NoSuchKey", "The specified key does not exist.")
            return
        fault = self.shop.fault_for(operation, request.key)
        if fault and fault.fault in REFUSALS:
            self._refuse(request, *REFUSALS[fault.fault])
        elif (span := span_of(request.byte_range, item.size)) is None and item.size:
            self._refuse(request, 416, "InvalidRange", "The requested range is not satisfiable")
        else:
            self._send(request, item, span or (0, 0), fault)

    def _send(self, request: Request, item: StoredObject, span: tuple[int, int], fault: Rule | None) -> None:
        start, end = span
        partial = f"Content-Range: bytes {start}-{end - 1}/{item.size}\r\n" if request.byte_range and item.size else ""
        head = head_of(206 if partial else 200, end - start, item.headers() + partial)
        if request.method == "HEAD":
            self.transport.write(head)
        elif fault:
            self._begin(self._send_spoiled(head, item.headers(), item.read()[start:end], fault))
        elif item.size > KEPT_OBJECT and item.path:
            self._begin(self._stream(head, item.path, start, end - start))
        else:
            answer = head + item.read()[start:end]
            if not request.byte_range:
                self.shop.keep(request.target, answer)
            self.transport.write(answer)

    def _begin(self, work: Any) -> None:
        self.task = asyncio.get_running_loop().create_task(work)
        self.task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self.task = None
        if task.cancelled() or task.exception() or self.last_request:
            self.transport.close()
        else:
            self._serve()

    async def _stream(self, head: bytes, path: str, start: int, count: int) -> None:
        self.transport.write(head)
        with open(path, "rb") as file:  # noqa: ASYNC230 - a local file that sendfile reads
            await asyncio.get_running_loop().sendfile(self.transport, file, start, count)

    async def _send_spoiled(self, head: bytes, headers: str, body: bytes, rule: Rule) -> None:
        half = body[: len(body) // 2]
        if rule.fault == "stall":
            self.transport.write(head)
            await asyncio.sleep(rule.seconds)
            self.transport.write(body)
        elif rule.fault == "length":
            self.transport.write(head_of(200, len(half), headers) + half)
        else:
            self.last_request = True
            self.transport.write(head + half)
            if rule.fault == "reset":
                await asyncio.sleep(0.01)  # so that the client sees the bytes before the reset
                lingering: socket.socket = self.transport.get_extra_info("socket")
                lingering.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.transport.abort()

    def _refuse(self, request: Request, status: int, code: str, message: str) -> None:
        body = error_xml(code, message, f"/{request.bucket}/{request.key}")
        self._write_xml(body, status, request.method == "HEAD")

    def _write_xml(self, body: bytes, status: int = 200, only_head: bool = False) -> None:
        self.transport.write(head_of(status, len(body)) + (b"" if only_head else body))


async def serve(shop: Shop, port: int) -> None:
    """Listen, print the URL on stdout, and serve until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = await loop.create_server(lambda: Connection(shop), "127.0.0.1", port, backlog=1024)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await stopped.wait()
    server.close()


class Standin:
    """The stand-in as a process of its own, so that it does not share the test's interpreter; a context manager.

    `url` is the endpoint. `refresh()` must follow any change of the tree; `refresh(faults=...)` also changes the rules.
    """

    def __init__(
        self, root: Path | str, faults: Sequence[Rule] = (), region: str = "us-east-1", page: int = MOST_PER_PAGE
    ) -> None:
        self.url = ""
        self._root, self._faults, self._region, self._page = str(root), faults, region, page

    def __enter__(self) -> Self:
        self._scratch = tempfile.TemporaryDirectory(prefix="standin-")
        self._write_faults(self._faults)
        command = [sys.executable, "-m", "tests.support.standin", self._root, "--region", self._region]
        command += ["--faults", str(self._faults_file), "--page", str(self._page)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[2])
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            self.__exit__()
            raise RuntimeError("the stand-in did not start: its message is on stderr")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)
        self._scratch.cleanup()

    def stats(self) -> dict[str, dict[str, int]]:
        """{"requests": {operation: count}, "faults": {fault: count}} since the start or the last refresh."""
        return self._ask("GET", "/-/stats")

    def refresh(self, faults: Sequence[Rule] | None = None) -> None:
        """Read the tree anew; with `faults`, these rules replace the old ones, whose counts start again otherwise."""
        if faults is not None:
            self._write_faults(faults)
        self._ask("POST", "/-/refresh")

    @property
    def _faults_file(self) -> Path:
        return Path(self._scratch.name) / "faults.json"

    def _write_faults(self, faults: Sequence[Rule]) -> None:
        self._faults_file.write_text(json.dumps([asdict(rule) for rule in faults]))

    def _ask(self, method: str, path: str) -> dict[str, dict[str, int]]:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        try:
            connection.request(method, path)
            return dict(json.loads(connection.getresponse().read()))
        finally:
            connection.close()


def main() -> None:
    """`python -m tests.support.standin ROOT --port 0 --faults FILE --region NAME`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", help="folder that holds one folder a bucket")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--faults", help="JSON file: a list of rules {match, fault, times, seconds, operation}")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--page", type=int, default=MOST_PER_PAGE, help="keys in a page of a listing")
    options = parser.parse_args()
    shop = Shop(os.path.abspath(options.root), options.faults, options.region, options.page)
    asyncio.run(serve(shop, options.port))


if __name__ == "__main__":
    main()
