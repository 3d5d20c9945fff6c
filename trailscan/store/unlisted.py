"""Objects that are held, and that a whole listing of their part of the bucket did not show."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from trailscan.cloudtrail.object_keys import parse_key
from trailscan.fetch.listing import ListingScope
from trailscan.fingerprints import fingerprint
from trailscan.store.database import Connection

_HELD = """SELECT DISTINCT key FROM objects WHERE source = 's3' AND status <> 'failed' AND bucket = ? AND starts_with(key, ?)
           ORDER BY key"""
_AT_ONCE = 10_000


def unlisted(connection: Connection, bucket: str, prefix: str, scope: ListingScope, shown: "array[int]") -> Iterator[str]:
    """The keys held below a prefix and within a scope that are not among those shown, given by their fingerprints.

    Only keys of CloudTrail's own grammar are compared: others may lie where no listing looks.
    """
    marks = array("Q", sorted(shown))
    result = connection.execute(_HELD, [bucket, prefix])
    while rows := result.fetchmany(_AT_ONCE):
        for (key,) in rows:
            mark = fingerprint(key)
            at = bisect_left(marks, mark)
            if (at == len(marks) or marks[at] != mark) and _is_wanted(key, scope):
                yield key


def _is_wanted(key: str, scope: ListingScope) -> bool:
    parsed = parse_key(key)
    if parsed is None:
        return False
    first, last = scope.days
    in_time = (first is None or first <= parsed.date) and (last is None or parsed.date <= last)
    account = not scope.accounts or parsed.account_id in scope.accounts
    return in_time and account and (not scope.regions or parsed.region in scope.regions)
