"""Buckets: listing and fetching objects, and CloudTrail's public keys.

Objects are fetched through obstore with boto3's credentials, measured thirty times as fast as boto3; what obstore cannot name
(`a//b`, `a/../b`, `a/`) goes through boto3, key by key. Listings go through boto3, with a reader of our own. Touches no disk.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from trailscan.aws.s3_pages import Listed, Marker, Page, read_page
from trailscan.aws.s3_paging import Oddities, Walk
from trailscan.aws.session import (
    Access,
    Translated,
    code_of,
    credentials_of,
    is_refused,
    open_s3,
    open_session,
    raise_ours,
    short,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from obstore.store import S3Store

_READ_TIMEOUT = "20s"  # without a byte; then the request is made again
_CONNECT_TIMEOUT = "10s"
_TRIES = 3  # of a body that breaks off
_PAGE = "Page"  # where botocore hands on what our reader made of a page
# What obstore can name: no empty part, none of dots alone, and nothing that it would escape in its own way.
_PLAIN = re.compile(r"(?!\.{1,2}(?:/|\Z))[\w.=@:+,-][\w.=@:+, -]*(?:/(?!\.{1,2}(?:/|\Z))[\w.=@:+, -]+)*", re.ASCII)


class Fetched(msgspec.Struct, frozen=True):
    """An object as it was fetched; times are UTC without zone, `metadata` is the user's with lower-case names."""

    data: bytes
    etag: str | None
    version_id: str | None
    last_modified: datetime | None
    metadata: dict[str, str] | None


class ObjectRefused(Exception):
    """One object that cannot be had; the others can. `what` is the damage's name."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(reason)
        self.what = what
        self.reason = reason


class Bucket:
    """A bucket, seen with one identity; with `deleted` its listings show older versions, too. Takes several threads.

    Raises CredentialsError, NotReachable and SourceError.
    """

    def __init__(self, name: str, access: Access, deleted: bool = False) -> None:
        self.name = name
        self._deleted = deleted
        self._access = access
        self.oddities = Oddities()
        self._payer: dict[str, Any] = {"RequestPayer": "requester"} if access.request_payer else {}
        with Translated(f"s3://{name}"):
            self._session = open_session(access)
            self._client = self._home_client()
            _read_pages(self._client)
            self._store = self._make_store()

    def start_listing(self) -> Oddities:
        """What is odd in the listings from now on, to be asked once they ended."""
        self.oddities = Oddities()
        return self.oddities

    def folders(self, prefix: str) -> tuple[list[str], list[Listed]]:
        """What lies directly below a prefix: the folders, as prefixes, and the objects."""
        folders: list[str] = []
        objects: list[Listed] = []
        for page in self._walk(prefix, "/", "").pages():
            folders += page.folders
            objects += page.objects
        return folders, objects

    def objects(self, prefix: str, after: str = "") -> Iterator[list[Listed]]:
        """All objects below a prefix, in S3's order, from the first key past `after` on, page by page."""
        for page in self._walk(prefix, "", after).pages():
            yield page.objects if not self._deleted else _distinct(page.objects)

    def get(self, listed: Listed) -> Fetched:
        """Fetch one object. Raises ObjectRefused when it alone cannot be had."""
        import obstore

        if listed.version_id is not None or _PLAIN.fullmatch(listed.key) is None:
            return self._get_slowly(listed)
        try:
            got = obstore.get(self._store, listed.key)
            meta = got.meta
            data = bytes(got.bytes())
        except FileNotFoundError as error:
            raise ObjectRefused("not-found", "it was listed, and is not there any more") from error
        except Exception as error:  # noqa: BLE001 - obstore's errors are judged by their text
            _refuse(error, f"s3://{self.name}/{listed.key}")
        return Fetched(data, meta["e_tag"], meta["version"], _utc(meta["last_modified"]), _user_metadata(got.attributes))

    def public_keys(self, region: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """CloudTrail's public keys of a region that were valid in a span of time, as ListPublicKeys gives them."""
        with Translated(f"CloudTrail in {region}"):
            client = self._session.client("cloudtrail", region_name=region, endpoint_url=self._access.endpoint_url)
            return list(client.list_public_keys(StartTime=start, EndTime=end)["PublicKeyList"])

    def _home_client(self) -> "S3Client":
        """A client for the region where the bucket lies: elsewhere S3 only redirects."""
        from botocore.exceptions import ClientError

        client = open_s3(self._session, self._access, None)
        try:
            region = client.head_bucket(Bucket=self.name).get("BucketRegion")
        except ClientError as error:
            if code_of(error) in {"404", "NoSuchBucket"}:
                raise
            return client  # who may not list may still fetch: the first request that matters will say what is wrong
        if region and region != client.meta.region_name and self._access.endpoint_url is None:
            return open_s3(self._session, self._access, region)
        return client

    def _make_store(self) -> "S3Store":
        from obstore.store import S3Store

        endpoint = self._client.meta.endpoint_url
        region = self._client.meta.region_name
        return S3Store(
            self.name,
            endpoint=endpoint,
            region="us-east-1" if region in {None, "aws-global"} else region,
            virtual_hosted_style_request=False,
            skip_signature=not self._access.sign,
            request_payer=self._access.request_payer,
            client_options={
                "allow_http": endpoint.startswith("http:"),
                "connect_timeout": _CONNECT_TIMEOUT,
                "read_timeout": _READ_TIMEOUT,
                "timeout": "15m",
            },
            retry_config={"max_retries": 8, "retry_timeout": timedelta(minutes=5)},
            credential_provider=credentials_of(self._session) if self._access.sign else None,
        )

    def _walk(self, prefix: str, delimiter: str, after: str) -> Walk:
        return Walk(partial(self._page, delimiter), self.name, prefix, self.oddities, after=after, repeats=self._deleted)

    def _page(self, delimiter: str, prefix: str, after: str, marker: Marker | None) -> Page:
        """One page of a listing. Raises BrokenPage."""
        if self._deleted:
            names = ("KeyMarker",) if marker is None else ("KeyMarker", "VersionIdMarker")
        else:
            names = ("StartAfter",) if marker is None else ("ContinuationToken",)
        start: dict[str, Any] = dict(zip(names, marker or (after,), strict=True))
        asked: dict[str, Any] = {"Bucket": self.name, "Prefix": prefix, "Delimiter": delimiter, **start, **self._payer}
        with Translated(f"s3://{self.name}/{prefix}"):
            listing: Any = self._client.list_object_versions if self._deleted else self._client.list_objects_v2
            answer = listing(**{name: value for name, value in asked.items() if value})
        page: Page = answer[_PAGE]
        return page

    def _get_slowly(self, listed: Listed) -> Fetched:
        from botocore.exceptions import BotoCoreError, ClientError

        version: dict[str, Any] = {} if listed.version_id is None else {"VersionId": listed.version_id}
        for attempt in range(1, _TRIES + 1):
            try:
                got = self._client.get_object(Bucket=self.name, Key=listed.key, **version, **self._payer)
                data = got["Body"].read()
                break
            except (BotoCoreError, ClientError) as error:
                if attempt == _TRIES or not _is_passing(error):
                    _refuse(error, f"s3://{self.name}/{listed.key}")
        return Fetched(data, got.get("ETag"), got.get("VersionId"), _utc(got.get("LastModified")), got.get("Metadata") or None)


def _read_pages(client: "S3Client") -> None:
    """Let our own reader read the pages of listings, in place of botocore's, which would look through each twice more."""
    from botocore import handlers

    def read(response_dict: Any, customized_response_dict: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
        if response_dict["status_code"] == HTTPStatus.OK:
            customized_response_dict[_PAGE] = read_page(response_dict["body"])
            response_dict["body"] = b"<ListBucketResult/>"

    if (looks_for_errors := getattr(handlers, "_handle_200_error", None)) is not None:  # in an answer of status 200: ours does
        client.meta.events.unregister("before-parse.s3.*", looks_for_errors)
    client.meta.events.register("before-parse.s3.ListObjectsV2", read)
    client.meta.events.register("before-parse.s3.ListObjectVersions", read)


def _distinct(objects: list[Listed]) -> list[Listed]:
    """Without older versions that have the content of a newer one on the same page."""
    seen: set[tuple[str, str | None]] = set()
    distinct: list[Listed] = []
    for found in objects:
        if found.version_id is None or (found.key, found.etag) not in seen:
            distinct.append(found)
        seen.add((found.key, found.etag))
    return distinct


def _is_passing(error: Exception) -> bool:
    """Whether a body broke off on its way, which the client itself does not try again."""
    from botocore import exceptions as boto

    return isinstance(error, (boto.ResponseStreamingError, boto.IncompleteReadError, boto.ReadTimeoutError))


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def _user_metadata(attributes: Any) -> dict[str, str] | None:  # noqa: ANN401
    """The user's metadata among obstore's attributes, where all others are HTTP headers of S3's own."""
    own = {name.lower(): value for name, value in attributes.items() if not name[:1].isupper()}
    return own or None


def _refuse(error: Exception, where: str) -> NoReturn:
    """Raise what an error at one object means: for that object, or for all of them."""
    code, text = code_of(error), short(error)
    if is_refused(code) or type(error).__name__ == "UnauthenticatedError":
        raise_ours(error, where)
    if code == "InvalidObjectState":
        raise ObjectRefused("archived", "it lies in Glacier or Deep Archive: restore it, then sync again") from error
    if code == "AccessDenied" or type(error).__name__ == "PermissionDeniedError":
        raise ObjectRefused(
            "access-denied", f"no permission to read it (s3:GetObject, or kms:Decrypt for its key): {text}"
        ) from error
    raise ObjectRefused("not-fetched", text) from error
