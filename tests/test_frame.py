"""The frame of the house: what is never imported, the lock, help, documents, and that the demonstration works."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from demo.make_bucket import write
from tests.support.world import ACCOUNT, REGION, World, key, object_bytes
from trailscan.cli.main import app
from trailscan.extras import EXTRAS

TOP = Path(__file__).parent.parent
_NAMES = [each.name for each in app.registered_commands] + [each.name for each in app.registered_groups]
COMMANDS = sorted(map(str, _NAMES))
TALKERS = {"boto3", "botocore", "obstore", "urllib3", "http.client", "urllib.request", "requests", "aiohttp", "httpx"}
WHEN = datetime(2026, 3, 2, 10, 15, tzinfo=UTC)
# Runs a command line, then says on the last line of stderr which of the modules named first were imported.
DRIVER = """
import sys
from trailscan.cli.main import main
talkers, sys.argv[1:] = set(sys.argv[1].split(",")), sys.argv[2:]
try:
    main()
finally:
    print("imported:", *sorted(talkers & set(sys.modules)), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """A folder with one log object, whose StartSession records number two."""
    root = tmp_path_factory.mktemp("bucket")
    world = World(7)
    records = [world.start_session(WHEN, ACCOUNT, REGION), world.start_session(WHEN, ACCOUNT, REGION)]
    path = root / key(ACCOUNT, REGION, WHEN, "0123456789abcdef")
    path.parent.mkdir(parents=True)
    path.write_bytes(object_bytes(records))
    return root


@pytest.fixture(scope="module")
def archive(bucket, tmp_path_factory):
    """An archive into which the bucket was loaded."""
    root = tmp_path_factory.mktemp("case") / "archive"
    trailscan("load", bucket, "--archive", root)
    return root


def run(*command):
    """A process that must end well; stdout and stderr as text."""
    ended = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, cwd=TOP, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended


def trailscan(*arguments, within=()):
    return run(*within, sys.executable, "-m", "trailscan", *arguments)


def talkers_in(*arguments):
    ended = run(sys.executable, "-c", DRIVER, ",".join(TALKERS), *arguments)
    return ended.stderr.splitlines()[-1].removeprefix("imported:").split()


def test_the_check_for_talkers_sees_one_that_is_imported():
    code = DRIVER.replace("import sys\n", "import sys, http.client\n", 1)
    ended = run(sys.executable, "-c", code, ",".join(TALKERS), "--version")
    assert ended.stderr.splitlines()[-1] == "imported: http.client"


def test_asking_an_archive_imports_nothing_that_can_talk(archive):
    assert talkers_in("query", "--archive", archive, "--event", "StartSession", "--format", "json") == []


def test_asking_files_imports_nothing_that_can_talk(bucket):
    assert talkers_in("query", bucket, "--event", "StartSession", "--count") == []


def test_loading_imports_nothing_that_can_talk(bucket, tmp_path):
    assert talkers_in("load", bucket, "--archive", tmp_path / "archive") == []


def test_loading_and_asking_work_without_any_network_interface(no_network, bucket, tmp_path):
    reach = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    cut_off = subprocess.run([*no_network, sys.executable, "-c", reach], capture_output=True, text=True, check=False)
    assert "unreachable" in cut_off.stderr  # even the loopback interface is down

    trailscan("load", bucket, "--archive", tmp_path / "archive", within=no_network)
    asked = trailscan(
        "query", "--archive", tmp_path / "archive", "--event", "StartSession", "--format", "json", within=no_network
    )
    assert [row["event_name"] for row in json.loads(asked.stdout)] == ["StartSession"] * 2
    assert trailscan("query", bucket, "--event", "StartSession", "--count", within=no_network).stdout == "2\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name):
    said = CliRunner().invoke(app, [name, "--help"], prog_name="trailscan").output
    assert "Examples:" in said
    assert f"  trailscan {name}" in said.partition("Examples:")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_documents(name):
    documents = [TOP / "README.md", *(TOP / "docs").rglob("*.md")]
    assert any(re.search(rf"\btrailscan {name}\b", each.read_text(encoding="utf-8")) for each in documents)


def test_every_link_of_the_documents_leads_to_a_file():
    documents = [TOP / "README.md", *(TOP / "docs").rglob("*.md")]
    links = [(each, link) for each in documents for link in re.findall(r"\]\(([^)#\s]+)", each.read_text(encoding="utf-8"))]
    assert [(str(each), link) for each, link in links if "://" not in link and not (each.parent / link).exists()] == []


def test_the_licence_is_the_one_that_is_declared():
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0"
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", (TOP / "LICENSE").read_text(encoding="utf-8"))


def locked():
    """The lock: name -> its lines, of all versions together."""
    text = (TOP / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pins = {}
    for line in lines:
        pins.setdefault(re.split(r"[=;\s]", line, maxsplit=1)[0], []).append(line)
    return pins


def test_the_lock_pins_every_version_with_the_hashes_of_its_files():
    pin = re.compile(r"[a-z0-9-]+==[\w.!+]+( ; [^\\]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert [line for lines in locked().values() for line in lines if not pin.fullmatch(line)] == []


def test_the_lock_names_no_place_to_fetch_from():
    text = (TOP / "requirements.lock").read_text(encoding="utf-8")
    places = r"://|--(?!hash)|^-|[./]\w+\.(?:org|com|net|io|dev)\b| @ |/\w+/"
    assert re.findall(places, text, re.MULTILINE) == []


def test_the_lock_covers_all_that_the_project_asks_for():
    settings = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
    project = settings["project"]
    extras = [each for extra in project["optional-dependencies"].values() for each in extra]
    wanted = [*settings["build-system"]["requires"], *project["dependencies"], *extras]
    assert {re.match(r"[\w-]+", each)[0] for each in wanted} - {project["name"]} <= set(locked())


def test_what_an_extra_brings_is_known_by_the_name_that_pip_takes():
    settings = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
    assert {*EXTRAS, "all", "dev"} == set(settings["project"]["optional-dependencies"])
    assert settings["project"]["optional-dependencies"]["all"] == [f"trailscan[{','.join(sorted(EXTRAS))}]"]


def test_the_sample_bucket_is_the_one_its_maker_makes(tmp_path):
    write(tmp_path)
    assert contents(tmp_path) == contents(TOP / "demo/bucket")


def contents(folder):
    """Path -> bytes, inflated: zlib's output may differ from one release to the next."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: gzip.decompress(data) if name.endswith(".gz") else data for name, data in files.items()}


def test_the_demonstration_shows_who_got_a_shell(tmp_path):
    shutil.copytree(TOP / "demo", tmp_path / "demo")
    environment = os.environ | {"PYTHONPATH": str(TOP)}
    ended = subprocess.run(
        [sys.executable, tmp_path / "demo/run.py"], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert ended.returncode == 0, ended.stderr
    _, synced, shells, alice, *_ = ended.stdout.split("$ trailscan ")
    assert synced.startswith("sync s3://example-trail/ --endpoint-url http://127.0.0.1:")
    assert shells.count("i-0123456789abcdef0") == 2
    from_afar = [row for row in map(json.loads, alice.strip().splitlines()[1:]) if row["source_ip_address"] == "203.0.113.66"]
    calls = ["AssumeRoleWithSAML", "StartSession", "ResumeSession", "TerminateSession", "StartSession"]
    assert [row["event_name"] for row in from_afar] == calls
    assert ended.stdout.count("36/36 digest files valid") == 2  # here, and where the case was carried to
    assert "GetSecretValue" in ended.stdout.rpartition("$ trailscan show")[2]
