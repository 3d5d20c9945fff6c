"""The documentation that is installed: complete, true to the commands, and what hints point at."""

import ast
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.query.running import trailscan
from trailscan.cli.reference import reference
from trailscan.documents import page, pages

TOP = Path(__file__).parent.parent
SOURCES = sorted((TOP / "trailscan").rglob("*.py"))


def texts(file):
    """The texts of a module that a user may meet: all but docstrings."""
    tree = ast.parse(file.read_bytes())
    documented = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    docstrings = {id(node.body[0].value) for node in documented if node.body and isinstance(node.body[0], ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def test_the_reference_is_what_the_commands_say():
    assert (TOP / "docs" / "cli.md").read_text("utf-8") == reference(), "it is stale: make docs"


def test_the_reference_has_every_command_and_option():
    text = page("cli")
    assert {"## trailscan", "## trailscan query", "## trailscan keys import"} <= set(text.splitlines())
    assert "--source-ip" in text


def test_each_page_is_listed_with_its_title_and_printed_as_it_is():
    listed = trailscan("docs")
    assert (listed.code, listed.stderr) == (0, "")
    files = sorted((TOP / "docs").glob("*.md"))
    assert [line.split()[0] for line in listed.stdout.decode().splitlines()] == [file.stem for file in files] == list(pages())
    for file in files:
        assert trailscan("docs", file.stem).stdout == file.read_bytes()
    assert trailscan("docs", "tables.md").stdout == trailscan("docs", "tables").stdout
    assert pages()["tables"] == "The tables"


@pytest.mark.parametrize("name", ["nowhere", "../README", "/etc/hosts", "", "tables/../tables", "\0"])
def test_a_page_that_is_none_is_wrong_usage(name):
    ended = trailscan("docs", name)
    assert (ended.code, ended.stdout) == (2, b"")
    assert "there are: api, architecture, " in ended.stderr


def test_hints_name_pages_that_are_installed_by_the_command_that_prints_them():
    said = [(file.name, text) for file in SOURCES for text in texts(file)]
    assert not [(name, text) for name, text in said if re.search(r"docs/[\w*-]+\.md", text) and name != "reference.py"]
    named = {found for _, text in said for found in re.findall(r"trailscan docs ([a-z-]+)", text)}
    assert "tables" in named
    assert named <= set(pages())


def test_a_condition_that_cannot_be_run_points_at_the_tables(tmp_path):
    (tmp_path / "x.json").write_text('{"Records": []}')
    ended = trailscan("query", tmp_path / "x.json", "--where", "no_such_column = 1", "--jobs", 1)
    assert ended.code == 2
    assert "`trailscan docs tables` explains the columns" in ended.stderr


def test_the_version_names_what_it_runs_on_and_imports_nothing_heavy():
    code = (
        "import sys; from trailscan.cli.main import main\n"
        "try: main()\n"
        "finally: print(*sorted({'duckdb', 'boto3', 'arro3', 'nanoarrow', 'pyarrow'} & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=True)
    python = ".".join(map(str, sys.version_info[:3]))
    assert done.stdout == f"trailscan {metadata.version('trailscan')} (Python {python}, DuckDB {metadata.version('duckdb')})\n"
    assert done.stderr == "\n"


# Completion


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("bash", {"COMP_WORDS": "trailscan se", "COMP_CWORD": "1"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "trailscan se"}),
        ("fish", {"_TYPER_COMPLETE_ARGS": "trailscan se", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ],
)
def test_commands_are_completed(shell, words):
    environment = {"_TRAILSCAN_COMPLETE": f"complete_{shell}", **words}
    done = subprocess.run([TRAILSCAN], env=environment, capture_output=True, text=True, check=True)
    assert "sessions" in done.stdout
    assert "verify" not in done.stdout


TRAILSCAN = str(Path(sys.executable).parent / "trailscan")


def test_completion_is_installed_for_the_shell_that_asks(tmp_path):
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["/bin/bash", "-c", f'"{TRAILSCAN}" --install-completion; exit $?'],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "bash completion installed in" in done.stdout
    assert "_TRAILSCAN_COMPLETE" in (tmp_path / ".bash_completions" / "trailscan.sh").read_text()


def test_a_home_that_cannot_be_written_is_named_and_no_fault_of_trailscan(tmp_path):
    home = tmp_path / "home"
    home.write_text("a file, where a folder should be")
    done = subprocess.run(
        ["/bin/bash", "-c", f'"{TRAILSCAN}" --install-completion; exit $?'],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: cannot use {home}")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("instruction", ["complete_nosuch", "junk", "source_", ""])
def test_a_foreign_word_in_the_environment_harms_nothing(instruction):
    done = subprocess.run(
        [TRAILSCAN, "--version"], env={"_TRAILSCAN_COMPLETE": instruction}, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == (0 if not instruction else 1)
