"""Lifelike records with odd ones among them, and the same as files, as an archive and as an open database."""

import io
import json
import tarfile
import zipfile
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from tests.query.running import trailscan
from tests.store.parsing import parsed
from tests.support.world import World, object_bytes
from trailscan.store.database import lock_down, scratch

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
ADDRESSES = [
    "198.51.100.7", "198.51.100.77", "203.0.113.255", "2001:db8::7", "2001:DB8:0:0::7", "2001:db8:1::", "::ffff:198.51.100.7",
    "255.090.254.5", "198.051.100.7", "AWS Internal", "ssm.amazonaws.com", "", None,
]  # fmt: skip
NAMES = ["StartSession", "startsession", "StartSessions", "100%_Sure", "a\\b", "x*y", "Größe", "a\nb", "", None]


@pytest.fixture(scope="session")
def records():
    """180 records with ids of their own: of every kind of caller, sessions among them, a third with an odd value."""
    world, rng = World(11), Random(11)
    found = []
    for number in range(180):
        when = START + timedelta(seconds=20 * number)
        account, region = rng.choice(["111122223333", "444455556666"]), rng.choice(["eu-west-1", "us-east-1"])
        record = (world.start_session if number % 4 == 0 else world.record)(when, account, region)
        if number % 3 == 0:
            record["sourceIPAddress"] = rng.choice(ADDRESSES)
        if number % 12 == 1:
            record["eventName"] = rng.choice(NAMES)
        if number % 17 == 2:
            record |= {"errorCode": None, "errorMessage": rng.choice([None, "Failed authentication"])}
        if number % 29 == 3:
            del record["eventTime"]
        found.append(record | {"eventID": f"{number:08d}-0000-4000-8000-000000000000"})
    return found


@pytest.fixture(scope="session")
def database(records):
    """An open, locked-down database that holds the records, as one of `query PATH` does."""
    connection = scratch()
    parsed([json.dumps(record) for record in records], connection)
    lock_down(connection)
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def files(records, tmp_path_factory):
    """A folder with the records in seven objects: as delivered, pretty-printed, escaped, as lines, in a tar, in a zip."""
    folder = tmp_path_factory.mktemp("files")
    parts = [records[start::7] for start in range(7)]
    (folder / "delivered.json.gz").write_bytes(object_bytes(parts[0]))
    (folder / "pretty.json").write_text(json.dumps({"Records": parts[1]}, indent=2, ensure_ascii=False), encoding="utf-8")
    (folder / "escaped.json").write_text(escaped({"Records": parts[2]}), encoding="ascii")
    (folder / "lines.jsonl").write_text("".join(json.dumps(record) + "\n" for record in parts[3]), encoding="utf-8")
    with tarfile.open(folder / "case.tar", "w") as tar:
        for name, part in (("a/one.json.gz", parts[4]), ("a/two.json.gz", parts[5])):
            data = object_bytes(part)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    with zipfile.ZipFile(folder / "case.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("b/three.json", json.dumps({"Records": parts[6]}))
    return folder


@pytest.fixture(scope="session")
def archive(files, tmp_path_factory):
    """The root of an archive into which the files were loaded."""
    root = tmp_path_factory.mktemp("case") / "archive"
    assert trailscan("load", files, "--archive", root, "--jobs", 1).code == 0
    return root


def escaped(value):
    """JSON whose every character inside a string is spelt with an escape."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{escaped(key)}:{escaped(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(escaped, value)) + "]"
    if isinstance(value, str):
        units = value.encode("utf-16-be")
        return '"' + "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True)) + '"'
    return json.dumps(value)
