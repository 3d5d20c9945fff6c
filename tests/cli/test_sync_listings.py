"""`trailscan sync` from a bucket whose listing misbehaves: nothing is lost or doubled, what was odd is named, and it ends."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Case
from tests.support import world
from tests.support.standin import FaultName, Rule, Standin

PAGE = 5
OBJECTS = 23
REGION = "AWSLogs/111122223333/CloudTrail/eu-west-1/"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("small-pages")


@pytest.fixture(scope="module")
def small_pages(tree: Path) -> Iterator[Standin]:
    with Standin(tree, page=PAGE) as running:
        yield running


@pytest.fixture
def bucket(small_pages: Standin, tree: Path, tmp_path: Path) -> Case:
    case = Case(small_pages, tree, f"odd-{len(list(tree.iterdir()))}", tmp_path / "case")
    for number in range(OBJECTS):
        case.log(f"2026-03-{1 + number // 6:02}T{number % 6:02}:15", records=1)
    return case


def _listing(fault: FaultName, times: int = 1, match: str = REGION) -> Rule:
    return Rule(match, fault, times, operation="ListObjects")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (_listing("no-token", 1), "asked again from the last key"),
        (_listing("no-token", -1), "asked again from the last key"),
        (_listing("same-token", -1), "a token that was followed before"),
        (_listing("page-again", -1), "shows keys that were there before"),
        (_listing("disorder", -1), "its keys do not come in order"),
        (_listing("negative-size", -1), "the size '-5', which no object has"),
        (_listing("huge-size", -1), "the size '9223372036854775809', which no object has"),
        (_listing("other-count", 1), "says that it shows 7777 keys"),
        (_listing("foreign", 1), "does not lie below the prefix that was asked for"),
        (_listing("no-token", 1, "^$"), None),
    ],
    ids=lambda value: value.fault if isinstance(value, Rule) else "",
)
def test_a_listing_that_misbehaves_is_read_to_its_end_and_named(bucket: Case, rule: Rule, told: str | None) -> None:
    bucket.serve(rule)
    ended = bucket.sync()
    assert bucket.sql("SELECT count(*), count(DISTINCT key) FROM objects WHERE status = 'ok'") == [(OBJECTS, OBJECTS)], (
        ended.err
    )
    assert ended.code == (0 if told is None else 3), ended.err
    if told is not None:
        assert told in ended.err
        assert {what for what, _ in bucket.damage()} == {"listing"}
        assert bucket.query("--count").code == 3
    bucket.serve()
    ended = bucket.sync()
    assert ended.code == 0, ended.err
    assert f"{OBJECTS} held already" in ended.err
    assert bucket.damage() == []  # the listing was sound this time


@pytest.mark.parametrize("fault", ["stuck", "no-listing", "length"])
def test_a_listing_that_cannot_be_read_to_its_end_ends_and_is_told_as_incomplete(bucket: Case, fault: FaultName) -> None:
    other = bucket.log(region="us-east-1")
    bucket.serve(_listing(fault, -1))
    ended = bucket.sync()
    assert ended.code == 3, ended.err
    assert "the listing is incomplete: there may be more objects than were found" in ended.err
    assert "given up" in ended.err
    assert (other,) in bucket.sql("SELECT key FROM objects")  # the part beside it is whole
    assert '"stopped":true' in (bucket.archive / "custody.jsonl").read_text()  # so no one takes it for all there is
    bucket.serve()
    assert bucket.sync().code == 0
    assert bucket.sql("SELECT count(*), count(DISTINCT key) FROM objects") == [(OBJECTS + 1, OBJECTS + 1)]


@pytest.mark.parametrize("fault", ["reset", "short", "slowdown"])
def test_a_page_that_breaks_off_is_asked_for_again(bucket: Case, fault: FaultName) -> None:
    bucket.serve(_listing(fault, 3))
    ended = bucket.sync()
    assert ended.code == 0, ended.err
    assert bucket.standin.stats()["faults"][fault] == 3
    assert bucket.sql("SELECT count(*), count(DISTINCT key) FROM objects") == [(OBJECTS, OBJECTS)]


ODD_PREFIXES = [
    "trail/",
    "/lead",
    "/",
    "a//b",
    "tab\there",
    "../up",
    "./here",
    "a/../b",
    " ",
    "50%/%41",
    "é/ü",
    "\x01",
    "nl\n",
    "~",
    "a b/+",
]


def test_every_prefix_that_s3_allows_is_synced_beside_the_others_and_alone(bucket: Case, tmp_path: Path) -> None:
    body = json.dumps({"Records": [world.World(3).record(world.START, "111122223333", "eu-west-1")]})
    keys = {prefix: world.key("111122223333", "eu-west-1", world.START, "c" * 16, prefix=prefix) for prefix in ODD_PREFIXES}
    assert all(key.startswith(prefix) for prefix, key in keys.items())
    Path(f"{bucket.folder}.keys.json").write_text(json.dumps(dict.fromkeys(keys.values(), body)))
    bucket.serve()
    ended = bucket.sync()
    assert ended.code == 0, ended.err
    rows = dict(bucket.sql("SELECT key, path FROM objects"))
    assert len(rows) == OBJECTS + len(ODD_PREFIXES) == len(set(rows.values()))
    top = (bucket.archive / "objects" / bucket.bucket).resolve()
    for key in keys.values():
        place = (bucket.archive / str(rows[key])).resolve()
        assert place.is_relative_to(top)
        assert place.read_text() == body
    for number, prefix in enumerate(["/lead", "a//b", "../up", "tab\there"]):
        case = Case.__new__(Case)
        case.__dict__ = bucket.__dict__ | {"archive": tmp_path / f"alone-{number}"}
        ended = case.sync(prefix=prefix)
        assert ended.code == 0, ended.err
        assert case.sql("SELECT key FROM objects") == [(keys[prefix],)]
    outside = [
        path for path in tmp_path.rglob("*.json*") if path.is_file() and "objects" not in path.parts and path.suffix == ".gz"
    ]
    assert outside == []
