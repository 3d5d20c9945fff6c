"""Where CloudTrail's objects lie in a bucket: accounts and regions found by listing folders, then pruned. No object is fetched.

A bucket of millions is cut into account x kind x region, so that the parts can be listed side by side and, since the
delivery date lies below the region, by date.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime

import msgspec

from trailscan.aws.s3 import Bucket
from trailscan.aws.s3_pages import Listed
from trailscan.cloudtrail.object_keys import Depth, Level, day_range, depth, is_past, parse_name, start_after

SEARCHED = 500  # folders above AWSLogs/ that are looked into before the search gives up


class ListingScope(msgspec.Struct, frozen=True):
    """What is wanted: event times [since, until), accounts, regions; None and empty mean all."""

    since: datetime | None = None
    until: datetime | None = None
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()

    @property
    def days(self) -> tuple[date | None, date | None]:
        """The first and last day of delivery to list."""
        return day_range(self.since, self.until)

    def takes(self, place: Depth) -> bool:
        """Whether a folder can hold what is wanted."""
        account = not self.accounts or place.account_id is None or place.account_id in self.accounts
        return account and (not self.regions or place.region is None or place.region in self.regions)

    def takes_object(self, key: str) -> bool:
        """Whether an object outside of CloudTrail's folders can, by its name, hold what is wanted."""
        name = parse_name(key.rpartition("/")[2])
        if name is None:
            return False
        account = not self.accounts or name.account_id in self.accounts
        first, last = self.days
        day = name.delivered_at.date()
        in_time = (first is None or first <= day) and (last is None or day <= last)
        return in_time and account and (not self.regions or name.region in self.regions)


class Part(msgspec.Struct, frozen=True):
    """A folder of one account, kind and region (or the part of it that was asked for), to be listed as a whole."""

    prefix: str
    place: Depth


class ListingSurvey(msgspec.Struct):
    """What the walk met beside its parts."""

    others: Counter[str] = msgspec.field(default_factory=Counter)  # folders of other services, by name
    pruned: int = 0  # accounts and regions that were not asked for
    loose: list[Listed] = []  # objects with CloudTrail's names outside of CloudTrail's folders
    searched: int = 0  # folders above any AWSLogs/
    unsearched: int = 0

    def searchable(self, places: list[Depth]) -> list[Depth]:
        """The places to look into: a bucket may hold any number of folders that have nothing to do with CloudTrail."""
        above = [place for place in places if place.level is Level.ABOVE]
        room = max(0, SEARCHED - self.searched)
        self.searched += len(above[:room])
        self.unsearched += len(above[room:])
        return above[:room] + [place for place in places if place.level > Level.ABOVE]

    def sorted_out(self, places: Iterable[Depth], scope: ListingScope) -> list[Depth]:
        """Without what is not wanted and what is not CloudTrail's; both are counted."""
        kept = []
        for place in places:
            if place.level is Level.FOREIGN:
                self.others[place.base.rstrip("/").rpartition("/")[2]] += 1
            elif not scope.takes(place):
                self.pruned += 1
            else:
                kept.append(place)
        return kept


def parts_of(bucket: Bucket, prefix: str, scope: ListingScope, survey: ListingSurvey, jobs: int) -> Iterator[Part]:
    """Find the parts below a prefix of any depth, a level at a time; other services' folders are counted and left alone."""
    level = survey.sorted_out([depth(prefix)], scope)
    with ThreadPoolExecutor(jobs) as pool:
        while level:
            yield from (Part(place.base + place.partial, place) for place in level if place.level >= Level.REGION)
            inner = [place for place in level if Level.FOREIGN < place.level < Level.REGION]
            found = pool.map(lambda place: bucket.folders(place.base + place.partial), survey.searchable(inner))
            level = []
            for folders, objects in found:
                level += survey.sorted_out(map(depth, folders), scope)
                survey.loose += [listed for listed in objects if parse_name(listed.key.rpartition("/")[2])]


def list_part(bucket: Bucket, part: Part, scope: ListingScope) -> Iterator[tuple[list[Listed], int]]:
    """The objects of a part that can hold events of the scope, page by page, with the number listed beyond its last day."""
    first, last = scope.days
    region_prefix = part.place.region_prefix or part.prefix
    after = start_after(region_prefix, first) if first else ""
    for page in bucket.objects(part.prefix, after):
        named = [found for found in page if found.bytes or not found.key.endswith("/")]  # no folders' markers
        wanted = [found for found in named if last is None or not is_past(found.key, region_prefix, last)]
        yield wanted, len(named) - len(wanted)
        if len(wanted) < len(named):
            return
