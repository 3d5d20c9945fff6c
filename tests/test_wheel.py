"""The built wheel, installed where no checkout is near: an editable install hides what a wheel lacks."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from trailscan.extras import EXTRAS

TOP = Path(__file__).parent.parent
CLEAN = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PIP_INDEX_URL", "VIRTUAL_ENV"}}
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def run(*command, cwd, code=0):
    ended = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, cwd=cwd, env=CLEAN, check=False)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built of a copy, with the build backend that is installed, and without a network."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TOP / name, source)
    for name in ("trailscan", "docs"):
        shutil.copytree(TOP / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet"]
    run(*PIP, "wheel", *options, "--wheel-dir", out, source, cwd=out)
    (built,) = out.iterdir()
    return built


def libraries():
    """What is installed here, trailscan apart."""
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        yield from (path for path in Path(folder).iterdir() if "trailscan" not in path.name and path.suffix != ".pth")


def environment(folder, wheel, lacks=()):
    """An environment with the wheel and the libraries of this one, less those that it `lacks`."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).stdout.strip())
    for path in libraries():
        if path.name not in {*lacks, "pip"}:
            (site / path.name).symlink_to(path)
    run(*PIP, "--python", python, "install", "--no-index", "--no-deps", "--quiet", wheel, cwd=folder)
    return python


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    return environment(tmp_path_factory.mktemp("whole") / "venv", wheel)


@pytest.fixture(scope="module")
def case(python, tmp_path_factory):
    """A folder with an archive of the demonstration's bucket."""
    folder = tmp_path_factory.mktemp("case")
    run(
        python,
        "-m",
        "trailscan",
        "load",
        TOP / "demo" / "bucket" / "example-trail",
        "--archive",
        folder / "case",
        "--jobs",
        1,
        cwd=folder,
    )
    return folder


def test_the_wheel_holds_all_that_is_no_code_and_nothing_of_the_tests(wheel):
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        (metadata,) = [name for name in names if name.endswith("/METADATA")]
        told = packed.read(metadata).decode().partition("\n\n")[0]
    package = TOP / "trailscan"
    files = (path for path in package.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"})
    assert {path.relative_to(TOP).as_posix() for path in files} <= set(names)
    assert {f"trailscan/docs/{path.name}" for path in (TOP / "docs").glob("*.md")} <= set(names)
    assert {name.split("/")[0] for name in names} == {"trailscan", metadata.split("/")[0]}
    assert "://" not in told
    assert {f"Provides-Extra: {extra}" for extra in EXTRAS} <= set(told.splitlines())


def test_it_is_the_wheel_that_runs(python, tmp_path):
    where = run(python, "-c", "import trailscan; print(trailscan.__file__)", cwd=tmp_path).stdout
    assert "site-packages" in where
    assert str(TOP) not in where


def test_the_demonstration_runs_with_the_wheel(python, tmp_path):
    shutil.copytree(TOP / "demo", tmp_path / "demo")
    ended = run(python, tmp_path / "demo" / "run.py", cwd=tmp_path)
    assert ended.stdout.count("36/36 digest files valid") == 2
    assert "i-0123456789abcdef0" in ended.stdout


def test_rules_documents_and_parquet_are_found(python, case):
    command = Path(python).parent / "trailscan"
    assert run(command, "docs", "tables", cwd=case).stdout == (TOP / "docs" / "tables.md").read_text("utf-8")
    found = run(command, "detect", "--archive", "case", "--format", "jsonl", cwd=case).stdout
    assert {json.loads(line)["language"] for line in found.splitlines()} == {"sigma"}
    run(command, "query", "--archive", "case", "--format", "parquet", "-o", "rows.parquet", cwd=case)
    assert (case / "rows.parquet").read_bytes()[:4] == b"PAR1"


def test_without_extras_a_command_says_what_to_install_and_the_rest_works(wheel, case, tmp_path):
    """What is asked of rules and whom to tell is known before anything is done; a file of rows is not even begun."""
    bare = environment(tmp_path / "venv", wheel, {module for module, *_ in EXTRAS.values()})
    archive = ["--archive", "case"]
    (case / "pattern.json").write_text('{"source": ["aws.ssm"]}')
    refused = {
        "parquet": [["query", *archive, "--format", "parquet", "-o", "none.parquet"]],
        "rules": [["detect", *archive], ["watch", "s3://example-trail", *archive, "--once"]],
        "notify": [
            ["detect", *archive, "--rules", "pattern.json", "--notify", "mailto://user:secret-word@127.0.0.1"],
            ["watch", "s3://example-trail", *archive, "--once", "--notify", "json://127.0.0.1:9/"],
        ],
    }
    for extra, commands in refused.items():
        for words in commands:
            ended = run(bare, "-m", "trailscan", *words, cwd=case, code=2)
            assert ended.stdout == ""
            assert f"pip install 'trailscan[{extra}]'" in ended.stderr
            assert "secret-word" not in ended.stderr
    assert not list(case.glob("none.parquet*"))
    for words in (["sessions"], ["query", "--format", "csv"], ["custody"], ["detect", "--rules", "pattern.json"], ["status"]):
        assert run(bare, "-m", "trailscan", *words, *archive, cwd=case).stdout
