"""Where an object came from and where its bytes lie now: a line of the manifest, and the provenance of every row."""

import os
from datetime import UTC, datetime

import msgspec

from trailscan.cloudtrail.history_windows import HISTORY, parse_window
from trailscan.cloudtrail.object_keys import parse_folders, parse_key, parse_name
from trailscan.errors import SourceError
from trailscan.files.local_objects import LocalObject, display_name


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """One object's provenance; times are UTC without zone, hashes hex.

    `path` is relative to the archive for what sync fetched (`source` "s3" or "event-history"), absolute for what lies
    elsewhere ("file"). The manifest holds both hashes before a row of the object is committed.
    """

    source: str
    key: str
    path: str
    bytes: int
    member: str | None = None
    offset: int | None = None
    bucket: str | None = None
    etag: str | None = None
    version_id: str | None = None
    last_modified: datetime | None = None
    metadata: dict[str, str] | None = None
    sha256: str | None = None  # of the bytes as stored
    fetched_at: datetime | None = None
    changed: bool = False  # fetched under a key that was held already, with other content
    repaired: str | None = None  # fetched again: what was wrong with the file that the archive held
    sha256_raw: str | None = None  # of the inflated bytes
    hashed_at: datetime | None = None  # when the hashes were taken, where that was later than the intake
    stray: bool = False  # found in `objects/` by a rebuild, with no line of the manifest
    copy: str | None = None  # where in the archive a copy of the file at `path` lies
    moved_from: str | None = None  # the path under which these bytes were recorded before


class Naming(msgspec.Struct, frozen=True):
    """What an object's key or file name says of it; all None for a name that is not CloudTrail's."""

    kind: str | None = None
    account_id: str | None = None
    region: str | None = None
    delivered_at: datetime | None = None


def state_of(origin: Origin) -> str:
    """What tells one version of an object from another: S3's ETag, else size and time of change."""
    return origin.etag or f"{origin.bytes} {origin.last_modified}"


def name_of(origin: Origin) -> str:
    """What an object is called: its URL, or its path on this disk."""
    return f"s3://{origin.bucket}/{origin.key}" if origin.source == "s3" else f"{origin.path}!{origin.member or ''}"


def naming_of(key: str) -> Naming:
    """Read a key; of a re-rooted or flat copy its file name, and of a renamed file the folders it lies in.

    A window of Event history was never delivered: its `delivered_at` is its beginning.
    """
    parsed = parse_key(key) or parse_name(key.replace("\\", "/").rpartition("/")[2])
    if parsed is None and (window := parse_window(key)):
        return Naming(HISTORY, window.account_id, window.region, window.since)
    if parsed is None:
        folders = parse_folders(key)
        return Naming(folders.kind and str(folders.kind), folders.account_id, folders.region)
    return Naming(str(parsed.kind), parsed.account_id, parsed.region, parsed.delivered_at)


def bytes_of(origin: Origin) -> str:
    """The path under which the bytes are read: that of the copy in the archive, where there is one."""
    return origin.copy or origin.path


def origin_of_file(found: LocalObject, here: str) -> Origin:
    """The origin of an object that lies outside the archive and stays there; `here` is the folder that paths start from.

    Raises SourceError for a name that is not UTF-8, which neither the manifest nor the database can hold.
    """
    if not is_text(f"{found.path}{found.member or ''}"):
        raise SourceError(f"{display_name(found)} has a name that is not UTF-8", "rename it")
    return Origin(
        source="file",
        key=found.path if found.member is None else f"{found.path}!{found.member}",
        path=os.path.normpath(os.path.join(here, found.path)),
        member=found.member,
        offset=found.offset,
        bytes=found.bytes,
        last_modified=datetime.fromtimestamp(found.mtime, UTC).replace(tzinfo=None),
    )


def is_text(name: str) -> bool:
    """Whether a name can stand in the manifest and the database: whether it is UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def file_of(origin: Origin, path: str, sha256: str | None = None) -> LocalObject:
    """The object to read for an origin whose bytes lie at `path` on this disk; they must have this SHA-256, if one is given."""
    return LocalObject(path, os.path.basename(path), origin.bytes, 0.0, origin.member, origin.offset, sha256)
