"""Where CloudTrail's objects lie in a bucket: found below any prefix, pruned, listed page by page, and no more than needed."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support import world
from tests.support.served import Served
from trailscan.fetch.listing import ListingScope, ListingSurvey, list_part, parts_of

ACCOUNTS, REGIONS = ("111122223333", "444455556666"), ("eu-west-1", "us-east-1")
ALL = ListingScope()
START = datetime(2026, 3, 1)  # noqa: DTZ001 - UTC without zone, as everywhere


def _key(minutes: int = 0, account: str = ACCOUNTS[0], region: str = REGIONS[0], **more: str) -> str:
    return world.key(account, region, START + timedelta(minutes=minutes), f"{minutes:016}", **more)  # type: ignore[arg-type]


def _listed(served: Served, prefix: str = "", scope: ListingScope = ALL) -> tuple[list[str], int, ListingSurvey]:
    """The keys that are wanted, the number beyond, and what was left alone."""
    bucket, survey = served.open(), ListingSurvey()
    keys: list[str] = []
    beyond = 0
    for part in parts_of(bucket, prefix, scope, survey, 4):
        for page, past in list_part(bucket, part, scope):
            keys += [found.key for found in page]
            beyond += past
    return sorted(keys), beyond, survey


def test_more_objects_in_one_day_than_a_page_holds_are_all_listed(served: Served) -> None:
    keys = [served.put(_key(minute)) for minute in range(1_200)]
    assert _listed(served)[0] == keys
    assert _listed(served, keys[0][:-60])[0] == keys
    assert _listed(served, keys[0].partition("2026/")[0] + "2026/03/0")[0] == keys


@pytest.mark.parametrize("prefix", ["", "logs/2026", "a b/c+d"])
def test_an_organizations_accounts_and_regions_are_found_below_any_prefix(served: Served, prefix: str) -> None:
    keys = sorted(
        served.put(_key(0, account, region, prefix=prefix, organization="o-exampleorg1"))
        for account in ACCOUNTS
        for region in REGIONS
    )
    top = f"{prefix}/" if prefix else ""
    root = f"{top}AWSLogs/o-exampleorg1/"
    for asked in ("", prefix, top, f"{top}AWSL", f"{top}AWSLogs", root[:-3], root):
        assert _listed(served, asked)[0] == keys, asked
    assert _listed(served, f"{root}1")[0] == keys[:2]
    assert _listed(served, f"{root}111122223333/CloudTrail/us-")[0] == keys[1:2]
    assert _listed(served, keys[3].rpartition("_")[0])[0] == keys[3:]


def test_other_services_and_unrelated_folders_are_left_alone_and_counted(served: Served) -> None:
    own = served.put(_key())
    for folder in ("Config", "vpcflowlogs", "elasticloadbalancing"):
        served.put(f"AWSLogs/{ACCOUNTS[0]}/{folder}/eu-west-1/2026/3/1/x.gz")
    served.put(f"AWSLogs/{ACCOUNTS[1]}/Config/us-east-1/2026/3/1/x.gz")
    served.put("backups/monday/db.gz")
    flat = served.put(f"copied/{own.rpartition('/')[2]}")
    keys, _, survey = _listed(served)
    assert keys == [own]
    assert survey.others == {"Config": 2, "vpcflowlogs": 1, "elasticloadbalancing": 1}
    assert [found.key for found in survey.loose] == [flat]
    assert _listed(served, f"AWSLogs/{ACCOUNTS[0]}/Config/")[2].others == {"Config": 1}


def test_accounts_and_regions_are_pruned_before_they_are_listed_whatever_the_prefix(served: Served) -> None:
    keys = {(account, region): served.put(_key(0, account, region)) for account in ACCOUNTS for region in REGIONS}
    scope = ListingScope(accounts=ACCOUNTS[:1], regions=REGIONS[1:])
    found, _, survey = _listed(served, scope=scope)
    assert found == [keys[ACCOUNTS[0], REGIONS[1]]]
    assert survey.pruned == 2
    assert served.asked("ListObjectsV2") <= 6  # bucket, AWSLogs/, account, CloudTrail/, region
    other = f"AWSLogs/{ACCOUNTS[1]}/CloudTrail/{REGIONS[0]}/"
    assert _listed(served, other, scope)[0] == []


def test_days_before_the_first_are_skipped_by_start_after_and_days_past_the_last_end_the_listing(served: Served) -> None:
    keys = [served.put(_key(minute)) for minute in range(0, 6 * 1_440, 2)]  # 4,320 objects, 720 a day
    region = keys[0].partition("2026/")[0]
    scope = ListingScope(since=START + timedelta(days=3), until=START + timedelta(days=4))
    found, beyond, _ = _listed(served, region, scope)
    assert [key.split("/")[-2] for key in (found[0], found[-1])] == ["03", "06"]
    assert found == keys[2 * 720 :]
    assert beyond == 0
    assert served.asked("ListObjectsV2") == 3  # and not the five of all
    early = ListingScope(until=START)
    found, beyond, _ = _listed(served, region, early)
    assert found == keys[: 2 * 720]
    assert beyond == 560  # the rest of the second page
    assert served.asked("ListObjectsV2") <= 3  # obstore may have asked ahead


def test_an_object_delivered_after_midnight_is_listed_for_the_day_before(served: Served) -> None:
    late = served.put(_key(1_445))
    assert _listed(served, scope=ListingScope(until=START + timedelta(days=1)))[0] == [late]
    assert _listed(served, scope=ListingScope(since=START + timedelta(days=1, minutes=30)))[0] == [late]
    assert _listed(served, scope=ListingScope(since=START + timedelta(days=2, hours=1)))[0] == []


def test_folder_markers_are_no_objects_and_odd_names_keep_their_slashes(served: Served) -> None:
    region = f"AWSLogs/{ACCOUNTS[0]}/CloudTrail/eu-west-1/"
    markers = [region, f"{region}2026/", f"{region}2026/03/", f"{region}2026/03/01/"]
    odd = [f"{region}2026/03/01/{name}" for name in ("a//b", "slash/", "no-ending", "../up", "%41", "é", "x\ny")]
    keys = [_key(minute) for minute in range(1_500)]
    texts = dict.fromkeys(markers, "") | dict.fromkeys(odd + keys, "x")
    Path(f"{served.folder}.keys.json").write_text(json.dumps(texts))
    assert _listed(served)[0] == sorted(odd + keys)


def test_a_bucket_of_a_thousand_other_folders_is_searched_up_to_a_limit_that_is_told(served: Served) -> None:
    for number in range(600):
        served.put(f"other-{number:04}/x")
    own = served.put(_key())
    keys, _, survey = _listed(served)
    assert keys == [own]
    assert survey.searched == 500
    assert survey.unsearched == 101  # the bucket itself was the first of the 500


@pytest.mark.parametrize(
    ("scope", "taken"),
    [
        (ListingScope(), True),
        (ListingScope(accounts=ACCOUNTS[:1], regions=REGIONS[:1]), True),
        (ListingScope(accounts=ACCOUNTS[1:]), False),
        (ListingScope(regions=REGIONS[1:]), False),
        (ListingScope(since=START + timedelta(days=1, hours=2)), False),
        (ListingScope(until=START - timedelta(days=1)), True),
        (ListingScope(until=START - timedelta(days=2)), False),
    ],
)
def test_a_flat_copy_is_judged_by_its_name(scope: ListingScope, taken: bool) -> None:
    assert scope.takes_object(f"flat/{_key().rpartition('/')[2]}") is taken
    assert not scope.takes_object("flat/other.gz")
