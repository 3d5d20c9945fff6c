"""A bucket to sync from, an archive to sync into, and the command line as a user runs it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

import duckdb
import pytest

from tests.support import world
from tests.support.standin import Rule, Standin

TOP = Path(__file__).resolve().parents[2]
ACCESS_KEY = "AKIAINVENTEDKEY00001"
SECRET = "invented/Secret+0123456789abcdefghijklmn"
TOKEN = "InventedSessionToken//0123456789abcdefghijklmnopqrstuvwxyz=="
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TRAILSCAN_"))} | {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": TOKEN,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str


def run(*arguments: str, typed: str | None = None, **environment: str) -> Ended:
    """A command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "trailscan", *arguments],
        cwd=TOP,
        env=ENVIRONMENT | environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


class Case:
    """A bucket of the stand-in's, and an archive for it."""

    def __init__(self, standin: Standin, tree: Path, bucket: str, archive: Path) -> None:
        self.standin, self.bucket, self.archive = standin, bucket, archive
        self.folder = tree / bucket
        self.folder.mkdir()
        self._world = world.World(7)
        self._unique = count()

    def put(self, key: str, body: bytes) -> str:
        """Any object."""
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return key

    def log(
        self,
        when: str = "2026-03-01T09:15",
        *,
        account: str = "111122223333",
        region: str = "eu-west-1",
        prefix: str = "",
        organization: str | None = None,
        events: Sequence[str] = (),
        records: int = 2,
    ) -> str:
        """A log object delivered at a time, whose records happened then or at the times of `events`."""
        delivered = datetime.fromisoformat(when)
        times = [datetime.fromisoformat(event) for event in events] or [delivered] * records
        key = world.key(account, region, delivered, f"{next(self._unique):016}", prefix=prefix, organization=organization)
        return self.put(key, world.object_bytes([self._world.record(time, account, region) for time in times]))

    def serve(self, *faults: Rule) -> None:
        """Serve what was put, with these faults; the counters start again."""
        self.standin.refresh(faults)

    @property
    def fetches(self) -> int:
        """Objects asked for since the last `serve`."""
        return self.standin.stats()["requests"].get("GetObject", 0)

    def arguments(self, *more: str, prefix: str = "") -> list[str]:
        """Those of a sync."""
        source = f"s3://{self.bucket}/{prefix}"
        return ["sync", source, "--endpoint-url", self.standin.url, "--archive", str(self.archive), "--jobs", "1", *more]

    def sync(self, *more: str, prefix: str = "", typed: str | None = None, **environment: str) -> Ended:
        """Sync to the end."""
        return run(*self.arguments(*more, prefix=prefix), typed=typed, **environment)

    def start(self, *more: str) -> "subprocess.Popen[str]":
        """A sync that goes on by itself, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "trailscan", *self.arguments(*more)],
            cwd=TOP,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def query(self, *more: str) -> Ended:
        """Ask the archive."""
        return run("query", "--archive", str(self.archive), *more)

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        """Ask the database with DuckDB alone."""
        with duckdb.connect(str(self.archive / "trailscan.duckdb"), read_only=True) as connection:
            return connection.execute(statement).fetchall()

    def statuses(self) -> dict[str, int]:
        """How many objects there are of each status."""
        return dict(self.sql("SELECT status, count(*) FROM objects GROUP BY ALL"))

    def damage(self) -> list[tuple[str, str]]:
        """Each damage's name, and the key of its object."""
        return self.sql("SELECT what, key FROM damage LEFT JOIN objects USING (object_id) ORDER BY ALL")

    def wait_for_objects(self, wanted: int) -> int:
        """Wait until so many objects are committed; returns how many are."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = 0
            with contextlib.suppress(duckdb.Error):  # not there yet, or being written
                found = self.sql("SELECT count(*) FROM objects")[0][0]
            if found >= wanted:
                return found
            time.sleep(0.01)
        raise AssertionError("nothing was committed")


def killed(process: "subprocess.Popen[str]") -> None:
    """Kill a sync as a power cut would, with all of its processes."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)


@pytest.fixture(scope="session")
def standin_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("buckets")


@pytest.fixture(scope="session")
def standin(standin_tree: Path) -> Iterator[Standin]:
    with Standin(standin_tree) as running:
        yield running


@pytest.fixture
def case(standin: Standin, standin_tree: Path, tmp_path: Path) -> Case:
    return Case(standin, standin_tree, f"trail-{len(list(standin_tree.iterdir()))}", tmp_path / "case")


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """A moto server, as a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
    )
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("moto did not start")
