"""A bucket that is served by the stand-in, and trailscan's own view of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.standin import Rule, Standin
from trailscan.archive.folder import ArchiveFolder
from trailscan.aws.s3 import Bucket
from trailscan.aws.session import Access


class Served:
    """A bucket whose objects are files; `open` serves what was put there."""

    def __init__(self, standin: Standin, folder: Path) -> None:
        self.standin, self.folder = standin, folder
        folder.mkdir()

    def put(self, key: str, body: bytes = b"x") -> str:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return key

    def open(self, *faults: Rule) -> Bucket:
        self.standin.refresh(faults)
        return Bucket(self.folder.name, Access(endpoint_url=self.standin.url))

    def asked(self, operation: str) -> int:
        return self.standin.stats()["requests"].get(operation, 0)


@pytest.fixture(scope="session")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("buckets")


@pytest.fixture(scope="session")
def standin(buckets: Path) -> Iterator[Standin]:
    with Standin(buckets) as running:
        yield running


@pytest.fixture
def served(standin: Standin, buckets: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAINVENTEDKEY00001",
        "AWS_SECRET_ACCESS_KEY": "invented",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return Served(standin, buckets / f"trail-{len(list(buckets.iterdir()))}")


@pytest.fixture
def archive(tmp_path: Path) -> ArchiveFolder:
    made = ArchiveFolder(str(tmp_path / "case"))
    made.create()
    return made
