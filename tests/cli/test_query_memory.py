"""An answer's memory does not grow with its rows: four times the events take about the same, in another order too."""

import subprocess
import sys

import duckdb
import pytest

from tests.support.world import write_bucket

OBJECTS, RECORDS = 4, 250
TIMES = 40  # the events that are loaded stand in the smaller archive so many times, under other ids
GROWTH_MB = 150  # an answer that sorts whole rows or holds them grows by more than 250 MB
# A run of the command line that tells its peak memory in MB at the end.
MEASURED = """
import resource, sys
from trailscan.cli.main import main
code = 0
try:
    main()
except SystemExit as ended:
    code = ended.code or 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
sys.exit(code)
"""


def trailscan(*arguments):
    ended = subprocess.run([sys.executable, "-c", MEASURED, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return int(ended.stderr.split()[-1])


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Two archives, the second with four times the events."""
    return [archive(tmp_path_factory.mktemp("events"), TIMES * times) for times in (1, 4)]


def archive(home, times):
    write_bucket(home / "bucket", OBJECTS, RECORDS)
    load = [sys.executable, "-m", "trailscan", "load", home / "bucket", "--archive", home / "archive"]
    subprocess.run(load, capture_output=True, check=True)
    more = "INSERT INTO events SELECT events.* REPLACE (event_id || n AS event_id) FROM events, range(?) AS t(n)"
    with duckdb.connect(str(home / "archive" / "trailscan.duckdb")) as connection:
        connection.execute(more, [times - 1])
    return home / "archive"


@pytest.mark.parametrize("form", [["csv"], ["jsonl", "--sort", "-who"]], ids=" ".join)
def test_four_times_the_events_in_about_the_same_memory(archives, form, tmp_path):
    small, large = (trailscan("query", "-f", *form, "-o", tmp_path / "out", "--archive", each) for each in archives)
    assert large - small < GROWTH_MB
