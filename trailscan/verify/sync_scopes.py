"""What an archive's syncs ever asked for: the difference between an object that is missing and one that nobody fetched; pure.

Source of the scopes is the custody log; of an archive without one, the span of what it holds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from trailscan.archive.custody_log import Entry
from trailscan.cloudtrail.object_keys import day_range, parse_key

Place = tuple[str, str]  # bucket and key


class SyncScope(msgspec.Struct, frozen=True):
    """What one sync asked for: days of delivery, both inclusive, None is unbounded; it saw nothing later than `at`."""

    bucket: str
    prefix: str
    first: date | None
    last: date | None
    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    at: datetime | None = None

    def covers(self, place: Place, delivered_at: datetime | None) -> bool:
        """Whether an object of this bucket and key, delivered then (naive UTC), would have been fetched."""
        bucket, key = place
        if bucket != self.bucket or not key.startswith(self.prefix):
            return False
        return self._in_time(delivered_at) and self._in_place(key)

    def _in_time(self, delivered_at: datetime | None) -> bool:
        if delivered_at is None:
            return self.first is None and self.last is None
        day = delivered_at.date()
        in_days = (self.first is None or self.first <= day) and (self.last is None or day <= self.last)
        return in_days and (self.at is None or delivered_at <= self.at)

    def _in_place(self, key: str) -> bool:
        parsed = parse_key(key)
        account, region = (parsed.account_id, parsed.region) if parsed else ("", "")
        return (not self.accounts or account in self.accounts) and (not self.regions or region in self.regions)


def scopes_of(entries: Iterable[Entry]) -> list[SyncScope]:
    """The scopes of the syncs that came to their end and listed a bucket; lines that tell no scope are left out."""
    scopes = []
    for entry in entries:
        listed = not entry.arguments.get("stopped") and not entry.counts.get("stopped") and not entry.arguments.get("keys")
        if entry.command == "sync" and listed and (scope := _scope_of(entry.arguments, entry.at)):
            scopes.append(scope)
    return scopes


def scopes_of_spans(spans: Mapping[str, tuple[datetime, datetime]]) -> list[SyncScope]:
    """For want of a custody log: each bucket as from the first day to the last of what is held of it."""
    return [SyncScope(bucket, "", first.date(), last.date(), (), (), last) for bucket, (first, last) in spans.items()]


def covered_by(
    entries: Iterable[Entry], spans: Mapping[str, tuple[datetime, datetime]]
) -> Callable[[Place, datetime | None], bool]:
    """What tells whether an object would have been fetched: by the syncs in custody, else by the spans of what is held."""
    scopes = scopes_of(entries) or scopes_of_spans(spans)
    return lambda place, at: any(scope.covers(place, at) for scope in scopes)


def _scope_of(arguments: Mapping[str, Any], at: str) -> SyncScope | None:
    scheme, _, rest = str(arguments.get("source", "")).partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        return None
    try:
        first, last = day_range(_moment(arguments.get("since")), _moment(arguments.get("until")))
        seen = _moment(at)
    except ValueError:
        return None
    accounts, regions = _texts(arguments.get("account")), _texts(arguments.get("region"))
    return SyncScope(bucket, prefix, first, last, accounts, regions, seen)


def _moment(text: object) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(str(text))
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(map(str, value)) if isinstance(value, Sequence) else ()
