"""Where an archive's public keys came from and when, as its custody log tells it.

A line of custody holds, for each key that came with it, the SHA-256 of the key with all that is said of it: a key that was
put or edited there by another hand is one that custody does not know.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from trailscan.archive.custody_log import Entry
from trailscan.cloudtrail.digest_file import moment_of
from trailscan.store.verdict import UNKNOWN_KEY
from trailscan.verify.signatures import PublicKey, Times

ASKED = "keys_asked"  # the argument of a sync's line: for each region the spans of time whose keys CloudTrail gave
IMPORT = "keys import"  # the command of a line that keys came with from a file
LISTED = "ListPublicKeys"


class KeySource(msgspec.Struct, frozen=True):
    """Where a key came from: LISTED, or what it was imported from; `at` as custody has it, `sha256` of the key as kept."""

    source: str
    at: str
    sha256: str

    @property
    def is_listed(self) -> bool:
        """Whether CloudTrail gave it to a sync of this archive."""
        return self.source == LISTED


class KeyLedger:
    """What custody tells of keys, by region and fingerprint."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._sources: dict[tuple[str, str], list[KeySource]] = {}
        self._asked: dict[str, list[Times]] = {}
        for entry in entries:
            self._add(entry)

    def source_of(self, key: PublicKey) -> KeySource | None:
        """Where a key came from, of several CloudTrail itself; None where custody does not know this very key."""
        known = [each for each in self._sources.get((key.region, key.fingerprint), ()) if each.sha256 == key.sha256]
        return next((each for each in known if each.is_listed), known[-1] if known else None)

    def with_note(self, key: PublicKey) -> PublicKey:
        """The key with the note that digests verified by it bear: empty for what CloudTrail gave."""
        source = self.source_of(key)
        if source is not None and source.is_listed:
            return key
        return msgspec.structs.replace(
            key, note=UNKNOWN_KEY if source is None else f"its key was imported from {source.source}"
        )

    def was_asked(self, region: str, fingerprint: str, times: Times) -> bool:
        """Whether CloudTrail gave all keys of that region and time, and this was none of them, then or ever.

        That the key was imported, before or since, changes nothing of it.
        """
        if any(source.is_listed for source in self._sources.get((region, fingerprint), ())):
            return False
        return any(first <= times[0] and times[1] <= last for first, last in self._asked.get(region, ()))

    def _add(self, entry: Entry) -> None:
        source = LISTED if entry.command == "sync" else str(entry.arguments.get("from", "a file"))
        if entry.command not in {"sync", IMPORT}:
            return
        for name, sha256 in entry.sums.items():
            region, _, fingerprint = name.removeprefix("key ").partition(" ")
            if name.startswith("key ") and fingerprint:
                self._sources.setdefault((region, fingerprint), []).append(KeySource(source, entry.at, sha256))
        asked = entry.arguments.get(ASKED)
        if entry.command == "sync" and isinstance(asked, dict):
            for region, spans in asked.items():
                found = [_span(each) for each in spans] if isinstance(spans, list) else []
                self._asked.setdefault(region, []).extend(each for each in found if each is not None)


def sum_name(region: str, fingerprint: str) -> str:
    """What a key's SHA-256 is called in a line of custody."""
    return f"key {region} {fingerprint}"


def span_text(times: Times) -> str:
    """A span as a line of custody holds it: `2026-03-01T00:14:05/2026-03-01T04:14:05`, UTC."""
    return "/".join(each.isoformat() for each in times)


def _span(text: str) -> Times | None:
    first, last = (moment_of(part) for part in (str(text).partition("/")[0], str(text).partition("/")[2]))
    return _times(first, last)


def _times(first: datetime | None, last: datetime | None) -> Times | None:
    return None if first is None or last is None else (first, last)
