"""Notices made of invented records, and services that take them: a web server, a mail server."""

import asyncio
import json
import socket
import threading
import time
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller

from tests.fixtures.invented import start
from tests.store.parsing import row_of
from trailscan.detect.finding_table import Finding, Notice

SHELL = start("shell", "ana-0a1b2c3d4e5f60718")


def notice(record=SHELL, *, title="Session started", **more):
    """A notice about a record; None is a record that is not loaded any more."""
    row = None if record is None else row_of(json.dumps(record))
    facts = {
        "finding_id": "f" * 64,
        "rule_id": "11111111-2222-4333-8444-555555555555",
        "title": title,
        "level": "high",
        "author": "a team",
        "tags": "attack.execution",
        "language": "sigma",
        "note": None,
        "account_id": row and row["recipient_account_id"],
        "event_id": row and row["event_id"],
        "event_time": row and row["event_time"],
        "bucket": "example-trail",
        "key": "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/01/a.json.gz",
        "record_index": 0,
        "found_at": datetime.fromisoformat("2026-03-02"),
    }
    return Notice(Finding(**(facts | more)), 0, None, row)


class WebServer(ThreadingHTTPServer):
    """What `web` yields."""

    status = 200
    delay = 0.0  # seconds before it answers
    port = 0
    posted: list[bytes]


@contextmanager
def web(status=200):
    """A web server that keeps what is posted to it; `.status` and `.delay` may be changed. Yields it, with its `.port`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(self.rfile.read(int(self.headers["Content-Length"])))
            time.sleep(server.delay)
            self.send_response(server.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments):
            """Say nothing."""

    posted: list[bytes] = []
    server = WebServer(("127.0.0.1", 0), Handler)
    server.status, server.posted, server.port = status, posted, server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Letters:
    """Keeps the letters that come; refuses them while `.refusing`."""

    def __init__(self):
        self.got = []
        self.refusing = False
        self.port = 0
        self.delay = 0.0  # seconds before it answers

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        await asyncio.sleep(self.delay)
        if self.refusing:
            return "451 not now"
        self.got.append(envelope.content)
        return "250 taken"


@contextmanager
def mail():
    """An SMTP server; yields its letters, with its `.port`."""
    letters = Letters()
    with socket.create_server(("127.0.0.1", 0)) as free:
        letters.port = free.getsockname()[1]
    controller = Controller(letters, hostname="127.0.0.1", port=letters.port)
    controller.start()
    try:
        yield letters
    finally:
        controller.stop()
