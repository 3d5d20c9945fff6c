"""Large answers: two million events exported in each format, and a network searched among a million addresses."""

import os
from collections.abc import Iterator

from benchmarks.ground import HOME, SETS, TRAILSCAN, Figure, clear, folder_of
from benchmarks.measure import pair, run

NETWORK = "203.0.113.0/24"


def answering(runs: int) -> Iterator[Figure]:
    """Export everything, for its memory and pace; then a network, against a name, in the same archive."""
    archive = f"{HOME}/addresses/archive"
    clear(archive)
    run([*TRAILSCAN, "load", folder_of("addresses"), "--archive", archive])
    for wanted in ("csv", "jsonl", "parquet"):
        yield _exporting(archive, wanted)
    query = [*TRAILSCAN, "query", "--archive", archive]
    times = pair([*query, "--source-ip", NETWORK], [*query, "--event", "StartSession"], max(runs, 5))
    yield Figure(
        f"query --source-ip {NETWORK}, 2,000,000 events, 1,000,000 addresses",
        "query --event StartSession",
        f"{times.ours:.2f} s",
        f"{times.peer:.2f} s",
        f"{1 / times.ratio:.2f}x its time",
        "at most 2x",
    )
    clear(archive)


def _exporting(archive: str, wanted: str) -> Figure:
    """Pace and memory are of two runs: watching the memory holds a process up."""
    output, rows = f"{HOME}/exported.{wanted}", SETS["addresses"][0] * SETS["addresses"][1]
    export = [*TRAILSCAN, "query", "--format", wanted, "-o", output, "--archive", archive]
    seconds, megabytes = run(export).seconds, run(export, watched=True).megabytes
    size = os.path.getsize(output) / 1e9
    clear(output)
    bound = "under 600 MB" + (", at least 150,000/s" if wanted == "csv" else "")
    return Figure(
        f"query --format {wanted} -o, 2,000,000 events, {size:.1f} GB",
        "",
        f"{megabytes:.0f} MB",
        "",
        f"{seconds:.1f} s, {rows / seconds:,.0f} rows/s",
        bound,
    )
