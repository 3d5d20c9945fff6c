"""Public keys from files: what `aws cloudtrail list-public-keys` printed, another archive's keys, or a folder of either.

Nothing is trusted but what the bytes show: a key counts under its fingerprint only, and its times are what the file says.
Source: AWS CloudTrail API Reference, "PublicKey". Versions 1 and 2 of the AWS command line write times in different ways:
seconds since 1970, as a number or a text, or ISO 8601.
"""

import base64
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from trailscan.cloudtrail.digest_file import moment_of
from trailscan.errors import SourceError
from trailscan.verify.signatures import ANY_REGION, BadKey, KeptKey, KeyFlaw, fingerprint_of, key_of, load_key

_LARGEST = 16 << 20  # bytes of a file
_REGION = re.compile(r"(?<![a-z])[a-z]{2,}(?:-[a-z]+)+-\d{1,2}(?![0-9a-z])")


class _NoKeys(ValueError):
    """A file, or a part of it, that holds no key; the message says why."""


class FoundKey(msgspec.Struct, frozen=True):
    """A key of a file, for digests of a region; the file is the path that was given, or one below it."""

    region: str
    key: KeptKey
    file: str


def find_keys(path: str, region: str | None) -> tuple[list[FoundKey], list[KeyFlaw]]:
    """All keys of a file, or of the `.json` files of a folder or of an archive; and what cannot be used among them.

    Without `region` a file's name tells it (`eu-west-1.json`), else its keys count for any. Raises SourceError where there is
    nothing to read.
    """
    found: list[FoundKey] = []
    flaws: list[KeyFlaw] = []
    for file in _files(path):
        name = os.path.basename(file)
        try:
            entries = _entries(_read(file))
        except OSError as error:
            flaws.append(KeyFlaw(name, f"it cannot be read: {error.strerror}"))
        except (ValueError, RecursionError) as error:
            flaws.append(KeyFlaw(name, f"it holds no public keys: {error}"))
        else:
            for entry in entries:
                _take(entry, region or region_in(name), file, found, flaws)
    return found, flaws


def region_in(name: str) -> str:
    """The region that a file's name tells, else ANY_REGION."""
    match = _REGION.search(name)
    return match[0] if match else ANY_REGION


def _files(path: str) -> list[str]:
    if not os.path.isdir(path):
        if not os.path.exists(path):
            raise SourceError(f"{path} does not exist", "name a file of keys, a folder of them, or an archive")
        return [path]
    inner = os.path.join(path, "keys")
    folder = inner if os.path.isdir(inner) else path
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))
    except OSError as error:
        raise SourceError(f"{folder} cannot be listed: {error.strerror}") from error
    if not names:
        raise SourceError(f"{folder} holds no .json files", "name a file of keys, a folder of them, or an archive")
    return [os.path.join(folder, name) for name in names]


def _read(file: str) -> object:
    with open(file, "rb") as opened:
        text = opened.read(_LARGEST + 1)
    if len(text) > _LARGEST:
        raise _NoKeys(f"it has more than {_LARGEST:,} bytes")
    return msgspec.json.decode(text.removeprefix(b"\xef\xbb\xbf"))


def _entries(content: object) -> list[Mapping[str, Any]]:
    """The keys of a file, whichever of its forms it has. Raises ValueError for another."""
    if isinstance(content, Mapping):
        named = {str(name).lower(): value for name, value in content.items()}
        content = named.get("publickeylist")
    if not isinstance(content, Sequence) or isinstance(content, str):
        raise _NoKeys("neither the answer of list-public-keys nor an archive's keys")
    if not all(isinstance(entry, Mapping) for entry in content):
        raise _NoKeys("it lists something that is no key")
    return list(content)


def _take(entry: Mapping[str, Any], region: str, file: str, found: list[FoundKey], flaws: list[KeyFlaw]) -> None:
    try:
        kept = _kept(entry)
        load_key(key_of(kept, region, os.path.basename(file)))
    except (BadKey, ValueError) as error:
        flaws.append(KeyFlaw(os.path.basename(file), str(error)))
    else:
        found.append(FoundKey(region, kept, file))


def _kept(entry: Mapping[str, Any]) -> KeptKey:
    """One key as an archive keeps it. Raises ValueError."""
    named = {str(name).lower().replace("_", ""): value for name, value in entry.items()}
    value, fingerprint = named.get("value"), named.get("fingerprint")
    if not isinstance(value, str):
        raise _NoKeys("a key lacks its Value")
    der = base64.b64decode("".join(value.split()), validate=True)
    fingerprint = fingerprint.lower() if isinstance(fingerprint, str) else fingerprint_of(der)
    since = _time(named.get("validitystarttime", named.get("validfrom")))
    until = _time(named.get("validityendtime", named.get("validuntil")))
    return KeptKey(fingerprint, base64.b64encode(der).decode(), since, until)


def _time(value: object) -> str | None:
    """A time of any of its notations as ISO 8601 in UTC. Raises ValueError for what is none; None stays None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _NoKeys(f"a key's time is none: {str(value)[:40]!r}")
    try:
        seconds = float(value)
    except ValueError:
        moment = moment_of(str(value).strip())
        if moment is None:
            raise _NoKeys(f"a key's time is none: {str(value)[:40]!r}") from None
        return moment.replace(tzinfo=UTC).isoformat()
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (OverflowError, OSError, ValueError) as error:
        raise _NoKeys(f"a key's time is none: {str(value)[:40]!r}") from error


def by_region(keys: Sequence[FoundKey]) -> Iterator[tuple[str, list[KeptKey]]]:
    """The keys of each region, each once."""
    regions: dict[str, dict[str, KeptKey]] = {}
    for found in keys:
        regions.setdefault(found.region, {}).setdefault(found.key.fingerprint, found.key)
    for region in sorted(regions):
        yield region, list(regions[region].values())
