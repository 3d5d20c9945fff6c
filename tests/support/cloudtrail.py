"""A stand-in for the CloudTrail API: ListPublicKeys over HTTP, as the AWS command line asks it, on 127.0.0.1 alone.

Facts: AWS CloudTrail API Reference, "ListPublicKeys"; the AWS JSON 1.1 protocol.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Offered:
    """A key that CloudTrail has, of a region and for when (UTC); None is any region, and March 2026."""

    der: bytes
    region: str | None = None
    since: datetime = datetime(2026, 2, 20, tzinfo=UTC)
    until: datetime = datetime(2026, 3, 22, tzinfo=UTC)

    def is_asked_for(self, region: str, first: float, last: float) -> bool:
        """Whether it was valid at some time of a span, in seconds since 1970."""
        return self.region in {None, region} and self.since.timestamp() <= last and self.until.timestamp() >= first


class CloudTrail:
    """A context manager; `url` is the endpoint. It gives the keys of the region and time asked for, unless `refuses` is set.

    `asked` has the region, first and last second of each request.
    """

    def __init__(self, keys: Sequence[bytes | Offered]) -> None:
        self.keys = [key if isinstance(key, Offered) else Offered(key) for key in keys]
        self.refuses = False
        self.asked: list[tuple[str, float, float]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, region: str, body: bytes) -> bytes:
        """The answer to a request."""
        asked = json.loads(body or b"{}")
        first, last = float(asked.get("StartTime", 0)), float(asked.get("EndTime", 1 << 40))
        self.asked.append((region, first, last))
        return json.dumps(
            {"PublicKeyList": [_public_key(key) for key in self.keys if key.is_asked_for(region, first, last)]}
        ).encode()


def _handler(cloudtrail: CloudTrail) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet, or each answer waits for the acknowledgement of its head

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            known = self.headers.get("X-Amz-Target", "").endswith(".ListPublicKeys") and not cloudtrail.refuses
            region = self.headers.get("Authorization", "///").split("/")[2]
            answer = cloudtrail.answer(region, body) if known else b'{"__type":"AccessDeniedException","message":"not allowed"}'
            self.send_response(200 if known else 400)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def _public_key(key: Offered) -> dict[str, object]:
    return {
        "Value": base64.b64encode(key.der).decode(),
        "ValidityStartTime": key.since.timestamp(),
        "ValidityEndTime": key.until.timestamp(),
        "Fingerprint": hashlib.md5(key.der, usedforsecurity=False).hexdigest(),
    }
