"""`trailscan sync` from a bucket where things go wrong: what is missing is named, and the next run heals it."""

import json
from pathlib import Path

from tests.cli.conftest import Case
from tests.support import world
from tests.support.standin import Rule


def test_an_object_that_is_denied_is_named_kept_as_failed_and_healed_by_the_next_run(case: Case) -> None:
    denied, other = case.log(), case.log("2026-03-01T10:15")
    case.serve(Rule(denied, "denied", -1))
    for _ in range(2):
        ended = case.sync()
        assert ended.code == 3, ended.err
        assert "1 object could not be fetched" in ended.err
        assert f"{denied}: no permission to read it" in ended.err
        assert case.statuses() == {"failed": 1, "ok": 1}
        assert case.damage() == [("access-denied", denied)]
    case.serve()
    ended = case.sync()
    assert ended.code == 0, ended.err
    assert case.fetches == 1
    assert case.statuses() == {"ok": 2}
    assert case.damage() == []
    assert sorted(key for (key,) in case.sql("SELECT key FROM objects")) == [denied, other]


def test_one_run_names_each_object_that_stays_out_of_reach_and_heals_what_was_only_a_hiccup(case: Case) -> None:
    faults = {
        "archived": Rule("", "archived", -1),
        "wrong-length": Rule("", "length", -1),
        "healed length": Rule("", "length", 2),
        "healed slowdown": Rule("", "slowdown", 2),
        "healed reset": Rule("", "reset", 1),
        "healed short": Rule("", "short", 1),
        "healed stall": Rule("", "stall", 1, seconds=0.5),
    }
    keys = {name: case.log(f"2026-03-01T{hour:02}:15") for hour, name in enumerate(faults)}
    case.serve(*(Rule(keys[name], rule.fault, rule.times, rule.seconds) for name, rule in faults.items()))
    ended = case.sync()
    assert ended.code == 3, ended.err
    assert "7 listed = 5 fetched + 2 failed" in ended.err
    assert "it lies in Glacier or Deep Archive: restore it, then sync again" in ended.err
    assert "bytes were listed" in ended.err or "were listed, 3 times" in ended.err
    assert sorted(case.damage()) == [("archived", keys["archived"]), ("wrong-length", keys["wrong-length"])]
    assert case.standin.stats()["faults"]["slowdown"] == 2
    for key, path in case.sql("SELECT key, path FROM objects WHERE status = 'ok'"):
        assert (case.archive / str(path)).read_bytes() == (case.folder / str(key)).read_bytes()


def test_credentials_that_expire_on_the_way_end_the_run_and_the_next_one_goes_on(case: Case) -> None:
    keys = [case.log(f"2026-03-01T{hour:02}:{minute:02}", records=1) for hour in range(10) for minute in range(0, 60, 6)]
    case.serve(Rule("20260301T0[5-9]", "expired", -1))
    ended = case.sync()
    assert ended.code == 1
    assert "error: AWS does not accept the credentials (ExpiredToken)" in ended.err
    assert "renew them and run the same again" in ended.err
    assert "stopped: what was fetched is kept" in ended.err
    assert "not reached" in ended.err
    kept = case.statuses()
    assert set(kept) == {"ok"}
    assert 0 < kept["ok"] <= 50
    case.serve()
    ended = case.sync()
    assert ended.code == 0, ended.err
    assert case.fetches <= len(keys) - kept["ok"]
    assert case.sql("SELECT count(*), count(DISTINCT key) FROM objects") == [(100, 100)]
    assert case.sql("SELECT count(*) FROM events") == [(100,)]


def test_a_listing_that_is_denied_ends_the_run_with_the_reason(case: Case) -> None:
    case.log()
    case.serve(Rule("", "denied", -1, operation="ListObjects"))
    ended = case.sync()
    assert ended.code == 1
    assert "no permission for" in ended.err
    assert "s3:ListBucket" in ended.err


def test_odd_keys_land_inside_the_archives_folder_and_folder_markers_are_no_damage(case: Case, tmp_path: Path) -> None:
    region = "AWSLogs/111122223333/CloudTrail/eu-west-1/"
    text = json.dumps({"Records": [world.World(1).record(world.START, "111122223333", "eu-west-1")]})
    odd = [
        "2026/03/01/a//b",
        "2026/03/01/new\nline",
        "2026/03/01/../../../../../../../../out",
        "2026/03/02/x\x01",
        "2026/03/02/~/.ssh/k",
    ]
    odd += ["2026/03/03/é %41.json", "2026/03/03/slash/", "2026/03/04", "2026/03/04/below-a-file", "2026/03/05/CON"]
    keys = {region + name: text for name in odd} | {region: "", f"{region}2026/": "", f"{region}2026/03/": ""}
    keys["/111122223333_CloudTrail_eu-west-1_20260301T0005Z_0000000000000001.json"] = text
    keys["111122223333_CloudTrail_eu-west-1_20260301T0005Z_0000000000000001.json"] = text.replace("aws", "AWS")
    keys["/../../111122223333_CloudTrail_eu-west-1_20260301T0005Z_0000000000000002.json"] = text
    Path(f"{case.folder}.keys.json").write_text(json.dumps(keys))
    case.serve()
    ended = case.sync()
    assert case.damage() == [], ended.err
    assert ended.code == 0, ended.err
    wanted = {key: body for key, body in keys.items() if body}
    rows = dict(case.sql("SELECT key, path FROM objects"))
    assert set(rows) == set(wanted)
    assert len(set(rows.values())) == len(rows)
    for key, path in rows.items():
        place = (case.archive / str(path)).resolve()
        assert place.is_relative_to((case.archive / "objects" / case.bucket).resolve())
        assert place.read_text() == wanted[str(key)]
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(case.archive)]
    assert outside == []
    assert "nothing to fetch" in case.sync().err


def test_flat_copies_and_unrelated_folders_at_the_buckets_root(case: Case) -> None:
    own = case.log()
    name = world.key("444455556666", "us-east-1", world.START, "b" * 16).rpartition("/")[2]
    flat = case.put(f"evidence/copied/{name}", world.object_bytes([]))
    case.put("backups/2026/db.dump.gz", b"not CloudTrail's")
    case.put("AWSLogs/111122223333/elasticloadbalancing/eu-west-1/2026/03/01/x.log.gz", b"")
    case.put("AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/03/01/x.log.gz", b"")
    case.serve()
    ended = case.sync("--account", "111122223333")
    assert "2 listed = 1 fetched + 1 out of range" in ended.err
    assert "left alone: 2 folders of other services (elasticloadbalancing, vpcflowlogs)" in ended.err
    ended = case.sync()
    assert ended.code == 0, ended.err
    assert sorted(key for (key,) in case.sql("SELECT key FROM objects")) == sorted([own, flat])
