"""Windows of Event history: what CloudTrail answered for one span of time, kept as one object of the archive; pure.

A window's key names who was asked, what and for which span, so that the keys alone tell what need not be asked again. Spans are
[since, until) in whole seconds of UTC, as event times are; all events of a window lie in the UTC day that it begins in.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from trailscan.cloudtrail.object_keys import parse_folders

HISTORY = "event-history"  # the source of these objects, their kind, and the folder of `objects/` they lie in
REACH = timedelta(days=90)  # Source: AWS CloudTrail API Reference, "LookupEvents"
LATE = timedelta(hours=2)  # events reach the history some minutes after they happened, and no time is promised
FULL = 1_000  # events of a window, after which it is closed as soon as the second changes
UNKNOWN = "unknown"  # the account, where no event tells it

_SECOND = timedelta(seconds=1)
_ALL = "all"
_STAMP = "%Y%m%dT%H%M%SZ"
_KEY = re.compile(
    rf"{HISTORY}/(\d{{12}}|{UNKNOWN})/([a-z0-9-]+)/(?:{_ALL}|EventName=([^/]+))/(\d{{8}}T\d{{6}})Z-(\d{{8}}T\d{{6}})Z\.json\.gz",
    re.ASCII,
)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)

Span = tuple[datetime, datetime]
Event = tuple[datetime | None, bytes]
"""When it happened, as the answer says, and its text in the answer."""


class Window(msgspec.Struct, frozen=True):
    """One answer: `event_name` is the one asked for, None where all were."""

    account_id: str
    region: str
    event_name: str | None
    since: datetime
    until: datetime


def key_of_window(window: Window) -> str:
    """`event-history/111122223333/eu-west-1/EventName=StartSession/20260301T000000Z-20260302T000000Z.json.gz`, or `all`."""
    asked = _ALL if window.event_name is None else f"EventName={window.event_name}"
    span = f"{window.since:{_STAMP}}-{window.until:{_STAMP}}"
    return f"{HISTORY}/{window.account_id}/{window.region}/{asked}/{span}.json.gz"


def parse_window(key: str) -> Window | None:
    """The inverse of `key_of_window`; None for any other key."""
    match = _KEY.fullmatch(key)
    if match is None or not is_region(match[2]):
        return None
    try:
        since, until = map(datetime.fromisoformat, match.group(4, 5))
    except ValueError:
        return None
    return Window(match[1], match[2], match[3], since, until)


def is_region(text: str) -> bool:
    """Whether a text has the form of a region's name."""
    return parse_folders(f"{text}/").region == text


def can_be_asked(name: str) -> bool:
    """Whether Event history can be asked for just this event name: it knows no globs, and a key must be able to hold it."""
    return _NAME.fullmatch(name) is not None


def settled_until(now: datetime) -> datetime:
    """The hour up to which what is answered now will not change any more."""
    return (now - LATE).replace(minute=0, second=0, microsecond=0)


def gaps(span: Span, held: Iterable[Span]) -> list[Span]:
    """The parts of a span that none of the held ones covers, the newest first."""
    since, until = span
    found = []
    for start, end in sorted(held):
        if start > since:
            found.append((since, min(start, until)))
        since = max(since, end)
        if since >= until:
            break
    found.append((since, until))
    return [each for each in reversed(found) if each[0] < each[1]]


def cut(pages: Iterable[Sequence[Event]], span: Span) -> Iterator[tuple[Span, list[bytes]]]:
    """The answer for a span, newest event first, as windows: each is given as soon as it is known to be whole.

    Together the windows are the span. A window ends with its UTC day, or when it is full; where nothing happened it may
    be of any length. An event without a time, or out of its order, goes with the one before it.
    """
    since, edge = span
    oldest, events = edge - _SECOND, list[bytes]()
    for happened_at, text in (event for page in pages for event in page):
        at = max(min(happened_at or oldest, oldest), since)
        midnight = _midnight(oldest)
        if events and (at < midnight or (len(events) >= FULL and at < oldest)):
            low = midnight if at < midnight else oldest
            yield (low, edge), events
            edge, events = low, []
        oldest = at
        events.append(text)
    if events:
        low = max(_midnight(oldest), since)
        yield (low, edge), events
        edge = low
    if since < edge:
        yield (since, edge), []


def body_of(events: Iterable[bytes]) -> bytes:
    """The text of a window: what `aws cloudtrail lookup-events` prints, with each event as it was answered."""
    return b'{"Events":[' + b",".join(events) + b"]}"


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)
