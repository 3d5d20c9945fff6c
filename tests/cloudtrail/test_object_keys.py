from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailscan.cloudtrail.object_keys import (
    KIND_FOLDERS,
    Kind,
    Level,
    contradictions,
    day_prefix,
    day_range,
    depth,
    is_past,
    parse_folders,
    parse_key,
    parse_name,
    start_after,
)

utc = datetime.fromisoformat
LOG_NAME = "111122223333_CloudTrail_eu-west-1_20260301T0915Z_a1B2c3D4e5F6g7H8.json.gz"
DAY = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/01/"
LOG = DAY + LOG_NAME
DIGEST = (
    "AWSLogs/o-exampleorg1/111122223333/CloudTrail-Digest/eu-west-1/2026/03/01/"
    "111122223333_CloudTrail-Digest_eu-west-1_my_trail_us-east-1_x_us-east-1_20260301T091502Z_backfill.json.gz"
)

accounts = st.from_regex(r"[0-9]{12}", fullmatch=True)
regions = st.sampled_from(["eu-west-1", "us-gov-west-1", "eusc-de-east-1", "us-isob-east-1", "ap-southeast-12"])
organizations = st.none() | st.from_regex(r"o-[a-z0-9]{1,32}", fullmatch=True)
prefixes = st.sampled_from(
    ["", "/", "logs/", "a/b c/", "AWSLogs/", "xAWSLogs/", "o-abc/AWSLogs/o-abc/", DAY, LOG + "/", "n\n\u00e9/"]
) | st.text(max_size=20).map(lambda text: text + "/")
trails = st.from_regex(r"[A-Za-z0-9](?:[._-]?[A-Za-z0-9]){2,20}", fullmatch=True)
times = st.datetimes()


@st.composite
def keys(draw):
    account, region, time = draw(accounts), draw(regions), draw(times)
    organization, folder = draw(organizations), draw(st.sampled_from(sorted(KIND_FOLDERS)))
    minute = time.isoformat().replace("-", "").replace(":", "")[:13]
    if KIND_FOLDERS[folder] is Kind.DIGEST:
        late = draw(st.sampled_from(["", "_backfill"]))
        rest = f"{draw(trails)}_{draw(regions)}_{minute}{time.second:02}Z{late}"
    else:
        rest = f"{minute}Z_{draw(st.from_regex(r'[A-Za-z0-9]{16}', fullmatch=True))}"
    owner = f"{organization}/{account}" if organization else account
    day = time.date().isoformat().replace("-", "/")
    return f"{draw(prefixes)}AWSLogs/{owner}/{folder}/{region}/{day}/{account}_{folder}_{region}_{rest}.json.gz"


@given(keys())
def test_a_key_taken_apart_and_put_together_is_the_same_key(key):
    parsed = parse_key(key)
    assert parsed is not None
    assert str(parsed) == key
    assert contradictions(parsed) == ()
    assert key.startswith(parsed.prefix + "AWSLogs/")


@given(st.text() | st.builds(lambda a, b, c: a + b + c, st.text(), st.sampled_from([DAY, LOG, DIGEST]), st.text()))
def test_no_text_makes_the_grammar_raise(text):
    parsed = parse_key(text)
    assert parsed is None or str(parsed) == text
    assert depth(text).base + depth(text).partial == text
    parse_name(text)
    parse_folders(text)


def test_a_log_key_tells_where_and_when():
    key = parse_key("trail/x/" + LOG)
    assert key is not None
    assert (key.prefix, key.organization_id, key.account_id) == ("trail/x/", None, "111122223333")
    assert (key.kind, key.region, key.date) == (Kind.LOG, "eu-west-1", date(2026, 3, 1))
    assert (key.delivered_at, key.unique) == (utc("2026-03-01T09:15"), "a1B2c3D4e5F6g7H8")
    assert (key.trail, key.home_region, key.backfill, key.name) == (None, None, False, LOG_NAME)


def test_a_digest_key_is_parsed_from_both_ends_since_trail_names_hold_underscores_and_regions():
    key = parse_key(DIGEST)
    assert key is not None
    assert (key.kind, key.organization_id) == (Kind.DIGEST, "o-exampleorg1")
    assert (key.trail, key.home_region, key.backfill) == ("my_trail_us-east-1_x", "us-east-1", True)
    assert (key.delivered_at, key.unique) == (utc("2026-03-01T09:15:02"), "")


def test_the_last_root_with_a_valid_tail_is_the_anchor():
    key = parse_key("o-abc/AWSLogs/o-abc/" + LOG)
    assert key is not None
    assert (key.prefix, key.organization_id) == ("o-abc/AWSLogs/o-abc/", None)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "AWSLogs/",
        DAY,
        "x" + LOG,
        LOG + "/",
        LOG + "\n",
        LOG.replace("20260301T0915Z", "20261301T0915Z"),
        LOG.replace("20260301T0915Z", "20260301T2400Z"),
        LOG.replace("2026/03/01", "2026/13/01"),
        LOG.replace("2026/03/01", "2026/02/30"),
        LOG.replace("111122223333/", "11112222333/"),
        LOG.replace("111122223333/", "\u0661" * 12 + "/"),
        LOG.replace("/CloudTrail/", "/Config/"),
        LOG.replace("/CloudTrail/", "/CloudTrail-Unheard/"),
        "AWSLogs/111122223333/CloudTrail-Lake/Query/2026/03/01/abc/result_1.csv.gz",
    ],
)
def test_what_cloudtrail_does_not_write_is_not_a_key(key):
    assert parse_key(key) is None


def test_folder_and_name_that_disagree_are_told():
    key = parse_key(LOG.replace("111122223333_", "444455556666_").replace("T0915Z_", "T0915Z"))
    assert key is not None
    assert contradictions(key) == ("account: folder 111122223333, name 444455556666",)
    digest = parse_key(DIGEST.replace("/CloudTrail-Digest/", "/CloudTrail/"))
    assert digest is not None
    assert contradictions(digest) == ("kind: folder log, name digest",)


@pytest.mark.parametrize(
    "name",
    [
        LOG_NAME,
        LOG_NAME.lower(),
        LOG_NAME.replace("Z_", "Z"),
        LOG_NAME.replace(".json.gz", ""),
        *(LOG_NAME.replace(".json.gz", end) for end in (".json", ".gz", ".log.gz", " (1).json.gz", ".json (2).gz")),
        *(LOG_NAME.replace(".json.gz", end) for end in (" copy.json", " copy 3.json", "(1).json.gz", " - Copy.gz")),
    ],
)
def test_a_name_saved_anew_is_still_known(name):
    parsed = parse_name(name)
    assert parsed is not None
    assert (parsed.account_id, parsed.kind, parsed.region) == ("111122223333", Kind.LOG, "eu-west-1")
    assert parsed.delivered_at == utc("2026-03-01T09:15")
    assert parsed.unique.lower() == "a1b2c3d4e5f6g7h8"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" + LOG_NAME,
        LOG_NAME + ".sha256",
        LOG_NAME.replace("0301T", "0332T"),
        LOG_NAME.replace("CloudTrail", "CloudTrail-Unheard"),
        LOG_NAME.replace("CloudTrail", "CloudTrail-Digest"),
    ],
)
def test_other_names_are_not_cloudtrails(name):
    assert parse_name(name) is None


def test_the_nearest_folders_speak_for_renamed_files():
    found = parse_folders("444455556666/111122223333\\CloudTrail-Insight\\eu-west-1/2026/03/01/renamed.json")
    assert (found.account_id, found.kind, found.region) == ("111122223333", Kind.INSIGHT, "eu-west-1")
    found = parse_folders("eu-west-1")
    assert (found.account_id, found.kind, found.region) == (None, None, None)


@pytest.mark.parametrize(
    ("prefix", "level"),
    [
        ("", Level.ABOVE),
        ("logs/AWSLog", Level.ABOVE),
        ("AWSLogs", Level.ABOVE),
        ("xAWSLogs/", Level.ABOVE),
        ("AWSLogs/backup/", Level.ABOVE),
        ("AWSLogs/", Level.ROOT),
        ("o-abc/AWSLogs/", Level.ROOT),
        ("AWSLogs/o-abc/", Level.ORGANIZATION),
        ("AWSLogs/o-abc/111122223333/", Level.ACCOUNT),
        ("AWSLogs/111122223333/CloudTrail", Level.ACCOUNT),
        ("AWSLogs/111122223333/CloudTrail/", Level.KIND),
        ("AWSLogs/111122223333/CloudTrail/eu-w", Level.KIND),
        ("AWSLogs/111122223333/CloudTrail/eu-west-1/", Level.REGION),
        ("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/", Level.YEAR),
        ("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/0", Level.YEAR),
        ("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/", Level.MONTH),
        (DAY, Level.DAY),
        (LOG, Level.DAY),
        (DAY + "deeper/", Level.FOREIGN),
        ("AWSLogs/111122223333/Config/", Level.FOREIGN),
        ("AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/", Level.FOREIGN),
        ("AWSLogs/111122223333/CloudTrail-Lake/Query/", Level.FOREIGN),
    ],
)
def test_every_prefix_has_its_depth(prefix, level):
    assert depth(prefix).level is level


def test_a_depth_tells_what_its_folders_say():
    found = depth("p/AWSLogs/o-abc/111122223333/CloudTrail-Digest/eu-west-1/2026/0")
    assert (found.organization_id, found.account_id, found.kind) == ("o-abc", "111122223333", Kind.DIGEST)
    assert found.region == "eu-west-1"
    assert found.region_prefix == "p/AWSLogs/o-abc/111122223333/CloudTrail-Digest/eu-west-1/"
    assert (found.base, found.partial) == (found.region_prefix + "2026/", "0")
    assert depth("AWSLogs/111122223333/CloudTrail/").region_prefix is None


@given(keys())
def test_every_folder_of_a_key_lies_in_the_grammar(key):
    parsed = parse_key(key)
    assert parsed is not None
    folder = key[: -len(parsed.name)]
    levels = []
    while len(folder) > len(parsed.prefix):
        levels.append(depth(folder).level)
        folder = folder[: folder.rstrip("/").rfind("/") + 1]
    steps = [Level.DAY, Level.MONTH, Level.YEAR, Level.REGION, Level.KIND, Level.ACCOUNT]
    assert levels == [*steps, *([Level.ORGANIZATION] if parsed.organization_id else []), Level.ROOT]


def test_days_to_list_have_an_hour_before_and_a_day_after():
    assert day_range(utc("2026-03-01T00:30"), utc("2026-03-02")) == (date(2026, 2, 28), date(2026, 3, 3))
    assert day_range(utc("2026-03-01T01:00"), None) == (date(2026, 3, 1), None)
    assert day_range(None, None) == (None, None)
    assert day_range(utc("0001-01-01"), utc("9999-12-31")) == (date.min, date.max)


@given(st.dates(), st.dates())
def test_a_listing_between_two_days_holds_exactly_their_keys(first, day):
    region = "AWSLogs/111122223333/CloudTrail/eu-west-1/"
    key = day_prefix(region, day) + LOG_NAME
    assert (key > start_after(region, first)) == (day >= first)
    assert is_past(key, region, first) == (day > first)
