"""The stand-in's buckets: folders read into an index of objects, and S3's listings of it as XML. Never any network.

Two optional files beside a bucket's folder: `<bucket>.metadata.json` `{key: {name: value}}` becomes `x-amz-meta-*`
headers, and `<bucket>.keys.json` `{key: text}`, or `{key: {"base64": bytes}}`, adds objects whose keys no file system can hold.
Facts: Amazon S3 API Reference (ListObjectsV2, ListObjects).
"""

import base64
import hashlib
import json
import os
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

MOST_PER_PAGE = 1000
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


@dataclass(slots=True)
class StoredObject:
    """One object: where its bytes lie (a path, or else the body itself), and what S3 says about it."""

    key: str
    path: str | None
    size: int
    modified: float
    metadata: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    _etag: str = ""

    def read(self) -> bytes:
        """All bytes of the object."""
        return self.body if self.path is None else Path(self.path).read_bytes()

    def etag(self) -> str:
        """The MD5 of the bytes in quotes, as S3 gives it for an object of one part; computed when first wanted."""
        if not self._etag:
            self._etag = f'"{hashlib.md5(self.read(), usedforsecurity=False).hexdigest()}"'
        return self._etag

    def headers(self) -> str:
        """The headers that describe the object, each line ended; Content-Length is not among them."""
        lines = [f"ETag: {self.etag()}", f"Last-Modified: {formatdate(self.modified, usegmt=True)}"]
        lines += ["Accept-Ranges: bytes", "Content-Type: application/x-gzip"]
        lines += [f"x-amz-meta-{name}: {value}" for name, value in self.metadata.items()]
        return "".join(f"{line}\r\n" for line in lines)


@dataclass(slots=True)
class Bucket:
    """A bucket's objects by key, and the keys as UTF-8 in S3's order."""

    name: str
    objects: dict[str, StoredObject]
    keys: list[bytes]


def read_bucket(folder: str) -> Bucket:
    """Index one bucket's folder and its two optional side files."""
    objects: dict[str, StoredObject] = {}
    for key, entry in _walk(folder):
        stat = entry.stat()
        objects[key] = StoredObject(key, entry.path, stat.st_size, int(stat.st_mtime))
    for key, text in _side_file(folder, "keys").items():
        body = base64.b64decode(text["base64"]) if isinstance(text, dict) else text.encode()
        objects[key] = StoredObject(key, None, len(body), 0, body=body)
    for key, metadata in _side_file(folder, "metadata").items():
        if key in objects:
            objects[key].metadata = metadata
    return Bucket(os.path.basename(folder), objects, sorted(map(os.fsencode, objects)))


def _walk(folder: str, prefix: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name, entry


def _side_file(folder: str, what: str) -> dict[str, Any]:
    path = Path(f"{folder}.{what}.json")
    return dict(json.loads(path.read_bytes())) if path.exists() else {}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing; `resume` is where the next one starts, None on the last."""

    keys: list[bytes]
    prefixes: list[bytes]
    resume: bytes | None


def page_of(keys: Sequence[bytes], prefix: bytes, delimiter: bytes, start: bytes, limit: int) -> Page:
    """List sorted `keys` from `start` (inclusive) on: those under `prefix`, rolled up at `delimiter` unless empty."""
    at = bisect_left(keys, max(prefix, start))
    found: list[bytes] = []
    rolled_up: list[bytes] = []
    while limit and at < len(keys) and keys[at].startswith(prefix):
        key = keys[at]
        if len(found) + len(rolled_up) == limit:
            return Page(found, rolled_up, key)
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        if cut < 0:
            found.append(key)
            at += 1
        else:
            rolled_up.append(key[: cut + len(delimiter)])
            at = bisect_left(keys, after_all(rolled_up[-1]), at)
    return Page(found, rolled_up, None)


def after_all(prefix: bytes) -> bytes:
    """The first byte string after every UTF-8 one that starts with `prefix` (UTF-8 has no byte 0xff)."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def start_of(query: dict[str, str]) -> bytes:
    """Where a listing starts (inclusive), by its continuation token, start-after (version 2) or marker (version 1)."""
    if token := query.get("continuation-token"):
        return base64.urlsafe_b64decode(token)
    after = os.fsencode(query.get("start-after") or query.get("marker") or "")
    delimiter = os.fsencode(query.get("delimiter", ""))
    if "marker" in query and delimiter and after.endswith(delimiter):
        return after_all(after)  # the marker is a common prefix, the last of the page before
    return after + b"\0" if after else b""


def listing_xml(bucket: Bucket, query: dict[str, str], is_archived: Callable[[str], bool], most: int = MOST_PER_PAGE) -> bytes:
    """One page of ListObjectsV2, or of ListObjects when the query has no `list-type=2`, of at most so many keys."""
    limit = min(int(query.get("max-keys", most)), most)
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    page = page_of(bucket.keys, os.fsencode(prefix), os.fsencode(delimiter), start_of(query), limit)
    as_url = query.get("encoding-type") == "url"
    name = _url_text if as_url else xml_text
    parts = [f"<Name>{bucket.name}</Name><Prefix>{name(prefix)}</Prefix><MaxKeys>{limit}</MaxKeys>"]
    parts.append(f"<IsTruncated>{'true' if page.resume else 'false'}</IsTruncated>")
    parts += [f"<Delimiter>{name(delimiter)}</Delimiter>"] if delimiter else []
    parts += ["<EncodingType>url</EncodingType>"] if as_url else []
    parts += _paging(query, page, name)
    for key in map(os.fsdecode, page.keys):
        described = _described(bucket.objects[key], is_archived(key))
        parts.append(f"<Contents><Key>{name(key)}</Key>{described}</Contents>")
    parts += [f"<CommonPrefixes><Prefix>{name(os.fsdecode(each))}</Prefix></CommonPrefixes>" for each in page.prefixes]
    return f"{DECLARATION}<ListBucketResult {XMLNS}>{''.join(parts)}</ListBucketResult>".encode()


def spoiled_listing(fault: str, query: dict[str, str], page: Callable[[dict[str, str]], bytes]) -> bytes:
    """A page of ListObjectsV2 as S3 would never give it; `page` gives the right answer to a query.

    no-token: there is more, and it does not say where; same-token: the token asked with comes back; page-again: the first
    page in place of any that a token asks for; stuck: the first page, whatever is asked for, and always more. The rest is as
    it says.
    """
    right = page(query).decode()
    token = re.compile("<NextContinuationToken>.*?</NextContinuationToken>")
    contents = re.compile("<Contents>.*?</Contents>", re.DOTALL)
    first = page({name: value for name, value in query.items() if name not in {"continuation-token", "start-after"}}).decode()
    spoiled: dict[str, Callable[[], str]] = {
        "no-token": lambda: token.sub("", right),
        "same-token": lambda: _with_token(right, token, query.get("continuation-token")),
        "page-again": lambda: (
            right
            if "continuation-token" not in query
            else contents.sub("", right).replace("<MaxKeys>", f"{''.join(contents.findall(first))}<MaxKeys>")
        ),
        "stuck": lambda: (
            token.sub("", first)
            .replace("<IsTruncated>false", "<IsTruncated>true")
            .replace("<MaxKeys>", "<NextContinuationToken>stuck</NextContinuationToken><MaxKeys>")
        ),
        "disorder": lambda: contents.sub("", right).replace("<MaxKeys>", f"{''.join(contents.findall(right)[::-1])}<MaxKeys>"),
        "negative-size": lambda: re.sub("<Size>.*?<", "<Size>-5<", right, count=1),
        "huge-size": lambda: re.sub("<Size>.*?<", f"<Size>{2**63 + 1}<", right, count=1),
        "other-count": lambda: re.sub("<KeyCount>.*?<", "<KeyCount>7777<", right),
        "no-listing": lambda: "<html><body>Sign in to the guest network</body></html>",
        "foreign": lambda: right.replace("<MaxKeys>", "<Contents><Key>elsewhere</Key><Size>1</Size></Contents><MaxKeys>"),
    }
    return spoiled[fault]().encode()


def _with_token(text: str, token: "re.Pattern[str]", asked: str | None) -> str:
    return text if asked is None else token.sub(f"<NextContinuationToken>{asked}</NextContinuationToken>", text)


def _paging(query: dict[str, str], page: Page, name: Callable[[str], str]) -> list[str]:
    if query.get("list-type") != "2":
        last = max(page.keys[-1:] + page.prefixes[-1:], default=b"")
        marker = f"<Marker>{name(query.get('marker', ''))}</Marker>"
        return [marker] + ([f"<NextMarker>{name(os.fsdecode(last))}</NextMarker>"] if page.resume else [])
    lines = [f"<KeyCount>{len(page.keys) + len(page.prefixes)}</KeyCount>"]
    if "start-after" in query:
        lines.append(f"<StartAfter>{name(query['start-after'])}</StartAfter>")
    if "continuation-token" in query:
        lines.append(f"<ContinuationToken>{query['continuation-token']}</ContinuationToken>")
    if page.resume:
        token = base64.urlsafe_b64encode(page.resume).decode()
        lines.append(f"<NextContinuationToken>{token}</NextContinuationToken>")
    return lines


def _described(item: StoredObject, archived: bool) -> str:
    modified = f"{datetime.fromtimestamp(item.modified, UTC):%Y-%m-%dT%H:%M:%S.000Z}"
    etag = item.etag().replace('"', "&quot;")
    storage = "GLACIER" if archived else "STANDARD"
    return (
        f"<LastModified>{modified}</LastModified><ETag>{etag}</ETag><Size>{item.size}</Size>"
        f"<StorageClass>{storage}</StorageClass>"
    )


def _url_text(text: str) -> str:
    return quote_plus(os.fsencode(text), safe="/")


def xml_text(text: str) -> str:
    """Text for an XML element; control characters become references, as S3 writes them."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"[\x00-\x1f]", lambda match: f"&#x{ord(match.group()):x};", text)


def error_xml(code: str, message: str, resource: str) -> bytes:
    """S3's error document."""
    inner = f"<Code>{code}</Code><Message>{message}</Message><Resource>{xml_text(resource)}</Resource>"
    return f"{DECLARATION}<Error>{inner}<RequestId>0</RequestId></Error>".encode(errors="replace")
