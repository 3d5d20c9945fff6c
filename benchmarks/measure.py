"""Whole processes, timed from outside in turn with their peer, so that a machine that drifts drifts for both."""

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

SAMPLE = 0.05  # seconds between two looks at the memory


@dataclass(frozen=True)
class Run:
    """One run of a command: seconds by the clock, and the greatest memory of its processes together, in MB."""

    seconds: float
    megabytes: float


@dataclass(frozen=True)
class Pair:
    """Medians of alternating runs, and the median of their ratios, peer over ours."""

    ours: float
    peer: float
    ratio: float


def installed() -> dict[str, str]:
    """The environment of a user, where Python keeps its modules compiled, as for every installed program."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(command: Sequence[str], environment: dict[str, str] | None = None, watched: bool = False) -> Run:
    """Run once; output is thrown away. Exit codes other than 0 and 3 (damage) stop the benchmark.

    Memory is watched only when asked for: adding up the pages of a process holds it up.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=installed() | (environment or {}), text=True
    )
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process, peak))
    if watched:
        watcher.start()
    _, errors = process.communicate()
    seconds = time.perf_counter() - started
    if watched:
        watcher.join()
    if process.returncode not in (0, 3):
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{errors}")
    return Run(seconds, peak[0])


def pair(
    ours: Sequence[str],
    peer: Sequence[str],
    runs: int,
    before: Callable[[], None] = lambda: None,
    environment: dict[str, str] | None = None,
) -> Pair:
    """Run both in turn, after one uncounted round; `before` clears the ground before each run."""
    times: list[tuple[float, float]] = []
    for _ in range(runs + 1):
        before()
        mine = run(ours, environment).seconds
        before()
        times.append((mine, run(peer, environment).seconds))
    counted = times[1:]
    return Pair(
        statistics.median(mine for mine, _ in counted),
        statistics.median(theirs for _, theirs in counted),
        statistics.median(theirs / mine for mine, theirs in counted),
    )


def _watch(process: "subprocess.Popen[str]", peak: list[float]) -> None:
    while process.poll() is None:
        peak[0] = max(peak[0], sum(map(_memory, _tree(process.pid))))
        time.sleep(SAMPLE)


def _tree(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = [int(child) for child in file.read().split()]
    except OSError:
        return []
    return [pid, *(descendant for child in children for descendant in _tree(child))]


def _memory(pid: int) -> float:
    """Proportional set size in MB: what processes share is divided among them."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            return next(int(line.split()[1]) / 1000 for line in file if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0.0
