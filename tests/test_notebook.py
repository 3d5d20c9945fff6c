"""The example notebook, on a small archive: in a kernel as a notebook runs it, and as a script without a main guard."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.query.running import trailscan
from tests.support import world
from tests.test_api import started

NOTEBOOK = Path(__file__).parents[1] / "examples" / "case.ipynb"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    records = [started(f"s-{number}", world.START.replace(hour=number)) for number in range(3)]
    (folder / "log.json").write_bytes(world.log_bytes(records))
    assert trailscan("load", folder / "log.json", "--archive", folder / "archive").code == 0
    return str(folder / "archive")


def sources():
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_it_runs_as_a_script_without_a_main_guard(root, tmp_path):
    checks = "assert shells.count() == 3\nassert len(starts.originals()) == 3\nassert outcomes\n"
    (tmp_path / "case.py").write_text("\n".join([*sources(), checks]))
    environment = {**os.environ, "TRAILSCAN_ARCHIVE": root}
    script = [sys.executable, tmp_path / "case.py"]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.filterwarnings("default")
def test_it_runs_in_a_kernel(root, monkeypatch, tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="nbclient and ipykernel are not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    monkeypatch.setenv("TRAILSCAN_ARCHIVE", root)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    scan = (
        f"trailscan.scan({str(Path(root).parent / 'log.json')!r}, event='StartSession').count()"  # starts processes that read
    )
    notebook.cells.append(nbformat.v4.new_code_cell(scan))
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    shown = [cell.outputs[-1]["data"]["text/plain"] for cell in notebook.cells if cell.cell_type == "code"]
    assert (shown[0], shown[-1]) == ("3", "3")
