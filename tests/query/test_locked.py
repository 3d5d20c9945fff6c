"""--where is one condition over `evidence`: it reaches no file, no network, no setting, and fails in words."""

import pytest

from tests.query.running import trailscan
from trailscan.errors import UsageError
from trailscan.query.events import Answer
from trailscan.query.filters import Filters

PROBE = "probe.json"
REFUSED = [
    "(SELECT count(*) FROM read_text('{file}')) > 0",
    "(SELECT count(*) FROM read_blob('{file}')) > 0",
    "(SELECT count(*) FROM read_csv('{file}')) > 0",
    "(SELECT count(*) FROM read_json('{file}')) > 0",
    "(SELECT count(*) FROM read_parquet('{file}')) > 0",
    "(SELECT count(*) FROM glob('{folder}/*')) > 0",
    "(SELECT count(*) FROM '{file}') > 0",
    "(SELECT count(*) FROM 'https://192.0.2.1/x.csv') > 0",
    "(SELECT count(*) FROM query('SELECT * FROM read_text(''{file}'')')) > 0",
    "(SELECT count(*) FROM sqlite_scan('{file}', 'x')) > 0",
    "getenv('HOME') = 'x'",
    "EXISTS (FROM wanted_only_in_python)",
    "true; SELECT 1",
    "true; COPY events TO '{folder}/out.csv'",
    "(COPY events TO '{folder}/out.csv')",
    "ATTACH '{folder}/out.duckdb'",
    "(ATTACH '{folder}/out.duckdb')",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "(SET enable_external_access = true)",
    "EXPORT DATABASE '{folder}/out'",
    "DELETE FROM events",
    "(DELETE FROM events RETURNING true)",
    "PRAGMA database_list",
    "true) OR (true",
    "true) UNION SELECT (1",
    "true /*",
    "true)--",
    "true)--\n",
    "--",
    "",
    " ",
    ")",
    "(",
    "'",
    "\"",
    "$$",
    "true, true",
    "*",
    "event_name AS x",
    "true ORDER BY 1",
    "true LIMIT 0",
    "true FROM events",
    "nosuchcolumn = 1",
    "nosuchfunction(1)",
    "event_name",
    "? = 1",
    "count(*) > 1",
    "row_number() OVER () = 1",
    "unnest([true])",
    "CAST(event_name AS INTEGER) = 1",
    "error('x')",
    "\0",
]  # fmt: skip


@pytest.mark.parametrize("condition", REFUSED)
def test_what_is_no_plain_condition_is_wrong_usage(condition, database, tmp_path):
    wanted_only_in_python = {"x": [1]}
    (tmp_path / PROBE).write_text('{"x":1}', encoding="utf-8")
    text = condition.format(file=tmp_path / PROBE, folder=tmp_path)
    with pytest.raises(UsageError) as refused:
        Answer(database, Filters(event=("StartSession", "GetObject"), where=text))
    assert refused.value.message.startswith("--where cannot be run: ")
    assert "\n" not in refused.value.message
    assert [path.name for path in tmp_path.iterdir()] == [PROBE]
    assert wanted_only_in_python


@pytest.mark.parametrize(
    ("condition", "number"),
    [
        ("true", 180),
        ("true -- a remark", 180),
        ("true /* a remark */", 180),
        ("false OR false", 0),
        ("event_id LIKE '0000000_-%' AND row_id >= 0", 10),
        ("event_id IN (SELECT max(event_id) FROM events)", 1),
        ("request_parameters ->> '$.nothing' IS NOT NULL", 0),
    ],
)
def test_a_condition_of_ones_own_is_a_filter(condition, number, database):
    assert Answer(database, Filters(where=condition)).basis.events == number


def test_or_in_a_condition_does_not_leak_out(database):
    assert Answer(database, Filters(event=("NoSuchEvent",), where="false OR true")).basis.events == 0


@pytest.mark.parametrize("place", ["archive", "files"])
def test_both_ways_of_asking_are_locked(place, request, tmp_path):
    probe = tmp_path / PROBE
    probe.write_text("{}", encoding="utf-8")
    root = request.getfixturevalue(place)
    where = [root, "--jobs", 1] if place == "files" else ["--archive", root]
    ended = trailscan("query", *where, "--where", f"(SELECT count(*) FROM read_text('{probe}')) > 0")
    assert (ended.code, ended.stdout) == (2, b"")
    assert ended.stderr.startswith("error: --where cannot be run: Permission Error: ")
    assert "Traceback" not in ended.stderr


def test_a_condition_that_fails_on_what_other_filters_keep_from_it_does_no_harm(archive):
    words = ["--event", "NoSuchEvent", "--where", "CAST(event_name AS INTEGER) = 1"]
    ended = trailscan("query", "--archive", archive, *words)
    assert (ended.code, ended.stdout) == (0, b"")
    assert ended.stderr.startswith("0 events in 0 of 7 objects\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--by", "usr_arn"], "there is no column 'usr_arn'\n  did you mean user_arn?"),
        (["--columns", "event_name,evnt_id"], "there is no column 'evnt_id'\n  did you mean event_id?"),
        (["--sort", "-event_tme"], "there is no column 'event_tme'\n  did you mean event_time?"),
        (["--sort", "--event_time"], "there is no column '-event_time'"),
        (["--columns", "count(*)"], "there is no column 'count(*)'\n  the columns are object_id, "),
        (["--by", 'who"; DROP TABLE events; --'], "there is no column"),
        (["--since", "yesterday"], "'yesterday' is not a time"),
        (["--source-ip", "198.51.100.*"], "'198.51.100.*' is neither an address nor a network"),
    ],
)
def test_wrong_words_are_wrong_usage_with_a_hint(words, said, archive):
    ended = trailscan("query", "--archive", archive, *words)
    assert (ended.code, ended.stdout) == (2, b"")
    assert ended.stderr.startswith(f"error: {said}")
