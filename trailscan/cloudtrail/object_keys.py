"""The grammar of CloudTrail's object keys, both ways: key to facts and back, and prefix to depth for walking a bucket.

Pure: it never touches disk or network, and no text makes it raise. The grammar is that of "Finding your CloudTrail log
files" and "CloudTrail digest file structure" in AWS's user guide:

    [prefix/]AWSLogs/[organization/]account/KIND/region/YYYY/MM/DD/name

Dates and times in keys are UTC and tell when the object was delivered, not when its events happened.
"""

import datetime as dt
import re
from enum import IntEnum, StrEnum

import msgspec


class Kind(StrEnum):
    """What an object holds, as its folder says."""

    LOG = "log"
    DIGEST = "digest"
    INSIGHT = "insight"
    NETWORK = "network-activity"
    AGGREGATED = "aggregated"


KIND_FOLDERS: dict[str, Kind] = {
    "CloudTrail": Kind.LOG,
    "CloudTrail-Digest": Kind.DIGEST,
    "CloudTrail-Insight": Kind.INSIGHT,
    "CloudTrail-NetworkActivity": Kind.NETWORK,
    "CloudTrail-Aggregated": Kind.AGGREGATED,
}
_FOLDERS = {kind: folder for folder, kind in KIND_FOLDERS.items()}
_KINDS_IN_NAMES = {folder.lower(): kind for folder, kind in KIND_FOLDERS.items()}

# CloudTrail is the only writer of log names, but people re-save and browsers number what they download:
# ".json", ".log.gz", " (1).json.gz", ".json (1).gz".
_ENDING = r"(?:\.(?:json|jsonl|ndjson|log|txt|csv|gz|bz2|xz|zst)| ?\(\d{1,4}\)| - Copy| copy(?: \d{1,3})?)*"
_REGION = r"[a-z]{2,}(?:-[a-z]+)+-\d{1,2}"
_MINUTE = r"\d{8}T(?:[01]\d|2[0-3])[0-5]\d"
# A log's time has minutes and is followed by a meaningless unique part (AWS samples exist without the "_" before it);
# a digest's has seconds and follows the trail's name, which may hold "_", and the trail's home region.
_NAME = (
    rf"(\d{{12}})_(CloudTrail(?:-[A-Za-z]+)?)_({_REGION})_"
    rf"(?:({_MINUTE})Z_?([A-Za-z0-9]+)|([A-Za-z0-9._-]{{1,128}})_({_REGION})_({_MINUTE}[0-5]\d)Z(_backfill)?)"
    rf"{_ENDING}"
)
_ROOT = "AWSLogs/"
_TAIL = re.compile(
    rf"AWSLogs/(?:(o-[a-z0-9]+)/)?(\d{{12}})/(CloudTrail(?:-[A-Za-z]+)?)/({_REGION})/(\d{{4}}/\d\d/\d\d)/({_NAME})",
    re.ASCII,
)
_BARE = re.compile(_NAME, re.ASCII | re.IGNORECASE)  # ignoring case: some file systems fold names
_ONE_REGION = re.compile(_REGION, re.ASCII)
_ONE_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_STEPS = re.compile(
    rf"AWSLogs/(?:(o-[a-z0-9]+)/)?(?:(\d{{12}})/(?:([^/]+)/(?:({_REGION})/(?:(\d{{4}})/(?:(\d\d)/(?:(\d\d)/)?)?)?)?)?)?",
    re.ASCII,
)


class ObjectKey(msgspec.Struct, frozen=True):
    """A key taken apart; `str()` gives it back exactly.

    `account_id`, `kind` and `region` are the folders'; `delivered_at`, `unique`, `trail`, `home_region` and `backfill`
    the name's. Folder and name can contradict each other in a bucket that was tampered with: see `contradictions`.
    """

    prefix: str  # all before "AWSLogs/", with its slash; may itself look like a key
    organization_id: str | None
    account_id: str
    kind: Kind
    region: str
    date: dt.date
    delivered_at: dt.datetime  # naive UTC; whole minutes for logs, seconds for digests
    unique: str  # empty for digests
    trail: str | None  # digests only, as are the next two
    home_region: str | None
    backfill: bool
    name: str

    def __str__(self) -> str:
        return format_key(self)


class ObjectName(msgspec.Struct, frozen=True):
    """What a bare file name tells; the fields mean what they mean in `ObjectKey`."""

    account_id: str
    kind: Kind
    region: str
    delivered_at: dt.datetime
    unique: str
    trail: str | None
    home_region: str | None
    backfill: bool


class Folders(msgspec.Struct, frozen=True):
    """What the folders of a local path tell of an object; None is what they do not tell."""

    account_id: str | None
    kind: Kind | None
    region: str | None


def parse_key(key: str) -> ObjectKey | None:
    """Take a key apart, None when it is not one that CloudTrail writes: another service, no valid date, a foreign name.

    The last `AWSLogs/` is the anchor: nothing in a valid tail can contain it, so an earlier one belongs to the prefix.
    """
    start = key.rfind(_ROOT)
    match = _TAIL.fullmatch(key, start) if _is_anchor(key, start) else None
    if match is None:
        return None
    organization, account, folder, region, day, name, _, _, _, minute, unique, trail, home, second, late = match.groups()
    kind = KIND_FOLDERS.get(folder)
    if kind is None:
        return None
    try:
        date = dt.date.fromisoformat(day.replace("/", "-"))
        time = dt.datetime.fromisoformat(minute or second)
    except ValueError:
        return None
    return ObjectKey(
        key[:start], organization, account, kind, region, date, time, unique or "", trail, home, late is not None, name
    )


def _is_anchor(key: str, start: int) -> bool:
    return start == 0 or (start > 0 and key[start - 1] == "/")


def format_key(key: ObjectKey) -> str:
    """Put a key together again; the inverse of `parse_key`."""
    organization = f"{key.organization_id}/" if key.organization_id else ""
    region_prefix = f"{key.prefix}{_ROOT}{organization}{key.account_id}/{_FOLDERS[key.kind]}/{key.region}/"
    return day_prefix(region_prefix, key.date) + key.name


def parse_name(name: str) -> ObjectName | None:
    """Take a bare file name apart, None when it is not CloudTrail's; its case and how it was re-saved do not matter."""
    match = _BARE.fullmatch(name)
    if match is None:
        return None
    account, folder, region, minute, unique, trail, home, second, late = match.groups()
    kind = _KINDS_IN_NAMES.get(folder.lower())
    if kind is None or (kind is Kind.DIGEST) != (trail is not None):
        return None
    try:
        time = dt.datetime.fromisoformat(minute or second)
    except ValueError:
        return None
    home = home and home.lower()
    return ObjectName(account, kind, region.lower(), time, unique or "", trail, home, late is not None)


def contradictions(key: ObjectKey) -> tuple[str, ...]:
    """Say where a key's folders and its name disagree: a sign of moved objects, never a reason to skip one."""
    name = parse_name(key.name)
    if name is None:
        return (f"kind: no {key.kind} has such a name",)
    pairs = (
        ("account", key.account_id, name.account_id),
        ("kind", key.kind, name.kind),
        ("region", key.region, name.region),
        ("date", key.date, name.delivered_at.date()),
    )
    return tuple(f"{what}: folder {folder}, name {named}" for what, folder, named in pairs if folder != named)


def parse_folders(path: str) -> Folders:
    """Ask the folders of a path, the nearest first, what its name does not tell; `/` and `\\` both part them.

    For archives that arrive re-rooted or cut down to region and date, with files renamed: ask `parse_name` first.
    """
    nearest = path.replace("\\", "/").split("/")[-2::-1]
    return Folders(
        next((folder for folder in nearest if _ONE_ACCOUNT.fullmatch(folder)), None),
        next((KIND_FOLDERS[folder] for folder in nearest if folder in KIND_FOLDERS), None),
        next((folder for folder in nearest if _ONE_REGION.fullmatch(folder)), None),
    )


class Level(IntEnum):
    """How deep a prefix reaches into the grammar; FOREIGN lies beside it (another service, CloudTrail Lake)."""

    FOREIGN = -1
    ABOVE = 0  # an `AWSLogs/` may lie below
    ROOT = 1  # at `AWSLogs/`: organizations or accounts lie below
    ORGANIZATION = 2
    ACCOUNT = 3
    KIND = 4
    REGION = 5
    YEAR = 6
    MONTH = 7
    DAY = 8  # objects lie below


class Depth(msgspec.Struct, frozen=True):
    """A prefix taken apart at its last slash: `base` is what `level` is said of, `partial` a filter on what lies below.

    `region_prefix` is the part up to and with the region, from REGION on: what `start_after` and `is_past` want.
    """

    level: Level
    account_id: str | None
    organization_id: str | None
    kind: Kind | None
    region: str | None
    base: str
    partial: str = ""
    region_prefix: str | None = None


def depth(prefix: str) -> Depth:
    """Say how deep in the grammar a prefix lies, be it typed by a person or returned by a listing with delimiter `/`.

    What follows the last slash is not judged, since S3 takes `.../eu-w` for every region that begins so.
    """
    cut = prefix.rfind("/") + 1
    base, partial = prefix[:cut], prefix[cut:]
    start = base.rfind(_ROOT)
    match = _STEPS.match(base, start) if _is_anchor(base, start) else None
    if match is None or (match.end() < len(base) and match[2] is None):
        return Depth(Level.ABOVE, None, None, None, None, base, partial)
    organization, account, folder, region, *days = match.groups()
    kind = KIND_FOLDERS.get(folder or "")
    if match.end() < len(base) or (folder and kind is None):
        return Depth(Level.FOREIGN, account, organization, kind, region, base, partial)
    if account is None:
        level = Level.ORGANIZATION if organization else Level.ROOT
    else:
        level = Level(Level.ACCOUNT + sum(step is not None for step in (folder, region, *days)))
    region_prefix = base[: match.end(4)] + "/" if region else None
    return Depth(level, account, organization, kind, region, base, partial, region_prefix)


def day_range(since: dt.datetime | None, until: dt.datetime | None) -> tuple[dt.date | None, dt.date | None]:
    """Give the first and last day of delivery to list for events in [since, until), naive UTC; None is unbounded.

    CloudTrail delivers on average within about 5 minutes and typically within 15, and a name's time may even precede
    its newest event; so an hour is allowed before and a day after. A delivery that failed is tried again for up to
    30 days, and such late objects lie outside the range: whoever must have them lists without one.
    """
    first = None if since is None else _shift(since, dt.timedelta(hours=-1)).date()
    last = None if until is None else _shift(until, dt.timedelta(days=1)).date()
    return first, last


def _shift(time: dt.datetime, by: dt.timedelta) -> dt.datetime:
    try:
        return time + by
    except OverflowError:  # at the first or last day of the calendar
        return time


def day_prefix(region_prefix: str, day: dt.date) -> str:
    """Give the prefix of a day's objects: `.../eu-west-1/` and 1 March become `.../eu-west-1/2026/03/01/`."""
    return f"{region_prefix}{day.isoformat().replace('-', '/')}/"


def start_after(region_prefix: str, first_day: dt.date) -> str:
    """Give the text that sorts after every key before `first_day` and before every key of it (S3's StartAfter)."""
    return day_prefix(region_prefix, first_day)[:-1]


def is_past(key: str, region_prefix: str, last_day: dt.date) -> bool:
    """Tell whether a key sorts after every key of `last_day`, so that a listing in S3's order can stop."""
    return key >= start_after(region_prefix, last_day) + "0"  # "0" is what follows "/" in ASCII
