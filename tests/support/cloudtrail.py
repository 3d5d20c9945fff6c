"""A stand-in for the CloudTrail API: ListPublicKeys over HTTP, as the AWS command line asks it, on 127.0.0.1 alone.

Facts: AWS CloudTrail API Reference, "ListPublicKeys"; the AWS JSON 1.1 protocol.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class CloudTrail:
    """A context manager; `url` is the endpoint. It gives out the same keys whatever time is asked for."""

    def __init__(self, ders: Sequence[bytes]) -> None:
        body = json.dumps({"PublicKeyList": [_public_key(der) for der in ders]}).encode()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(body))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(body: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet, or each answer waits for the acknowledgement of its head

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            known = self.headers.get("X-Amz-Target", "").endswith(".ListPublicKeys")
            answer = body if known else b'{"__type":"UnsupportedOperationException"}'
            self.send_response(200 if known else 400)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def _public_key(der: bytes) -> dict[str, object]:
    return {
        "Value": base64.b64encode(der).decode(),
        "ValidityStartTime": 1771545600,
        "ValidityEndTime": 1774137600,
        "Fingerprint": hashlib.md5(der, usedforsecurity=False).hexdigest(),
    }
