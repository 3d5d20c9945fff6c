"""A listing walked page by page, to its end, whatever the server does: each key once, and no page asked for without end.

S3 lists keys in the order of their UTF-8 bytes, and each page but the last says where the next one starts. Where a server
does otherwise the walk goes on from the last key, and what was odd is noted. Source: Amazon S3 API Reference, ListObjectsV2.
"""

import threading
import time
from array import array
from collections.abc import Callable, Iterator

import msgspec

from trailscan.aws.s3_pages import BrokenPage, Listed, Marker, Page
from trailscan.errors import NotReachable
from trailscan.fingerprints import fingerprint

TRIES = 5  # of a page that cannot be read, each from the last key; the client tries five times before
PAUSE = 0.3  # seconds before the second try, and one more each time
IDLE = 200  # pages in a row that show nothing new
_AFTER_ALL = "\U0010ffff"  # sorts after all that a folder holds
NAMED = 1_000  # oddities that are kept


class Oddity(msgspec.Struct, frozen=True):
    """Something in a listing that S3 would not do. `where` is a URL; with `is_end` the listing ended before its end."""

    where: str
    reason: str
    is_end: bool = False


class Oddities:
    """What was odd, gathered by several threads; the first thousand are kept, all are counted."""

    def __init__(self) -> None:
        self.number = 0
        self.is_whole = True  # whether all listings came to their end
        self._found: dict[Oddity, None] = {}
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Oddity]:
        return iter(self._found)

    def add(self, oddity: Oddity) -> None:
        """Note one, once."""
        with self._lock:
            self.is_whole = self.is_whole and not oddity.is_end
            if oddity not in self._found:
                self.number += 1
                if len(self._found) < NAMED:
                    self._found[oddity] = None


Ask = Callable[[str, str, Marker | None], Page]  # a prefix; the key to start after; where to go on, else None


class Walk:
    """One listing of a prefix of a bucket; `after` is the key to start after. For one thread.

    `repeats` says that a key may come several times, as its versions do.
    """

    def __init__(
        self, ask: Ask, bucket: str, prefix: str, oddities: Oddities, *, after: str = "", repeats: bool = False
    ) -> None:
        self._ask = ask
        self._prefix = prefix
        self._bucket = bucket
        self._oddities = oddities
        self._after = after
        self._repeats = repeats
        self._last = self._before_last = after  # the greatest key or folder so far, and the greatest below it
        self._seen = array("Q")
        self._known: set[int] | None = None  # the same as a set, from the first key on that may have been there before
        self._followed: set[Marker] = set()
        self._is_restart = False

    def pages(self) -> Iterator[Page]:
        """The pages, without what was there before. Raises what asking raises."""
        marker: Marker | None = None
        idle = 0
        while (page := self._read(marker)) is not None:
            fresh = self._fresh(page)
            idle = 0 if fresh.objects or fresh.folders else idle + 1
            yield fresh
            is_repeated = bool(page.objects) and idle > 0
            if not self._goes_on(page) and not is_repeated:
                return
            if idle > IDLE or (idle and self._is_restart):
                self._note("its listing was given up: pages show nothing new, and say that there is more", is_end=True)
                return
            marker = self._next_marker(page, is_repeated=is_repeated)

    def _read(self, marker: Marker | None) -> Page | None:
        """A page; None when it cannot be read, which is noted."""
        for attempt in range(1, TRIES + 1):
            try:
                return self._ask(self._prefix, self._before_last if self._repeats else self._last, marker)
            except NotReachable:
                if attempt == TRIES:
                    raise
            except BrokenPage as error:
                if attempt == TRIES:
                    self._note(f"its listing was given up after {TRIES} tries: {error}", is_end=True)
            marker = None  # from the last key on
            time.sleep(PAUSE * attempt)
        return None

    def _goes_on(self, page: Page) -> bool:
        if page.is_truncated is None:
            self._note("a page does not say whether it is the last one")
        elif not page.is_truncated and page.next is not None:
            self._note("a page says that it is the last one, and where the next one starts")
        return bool(page.is_truncated) or page.next is not None

    def _next_marker(self, page: Page, *, is_repeated: bool) -> Marker | None:
        """Where to go on; None is the last key that was seen."""
        if page.next is not None and page.next not in self._followed and not is_repeated:
            self._followed.add(page.next)
            self._is_restart = False
            return page.next
        if is_repeated:
            what = "a page shows nothing new"
        elif page.next is None:
            what = "a page says that there is more, and not where the next one starts"
        else:
            what = "a page says that there is more, and gives a token that was followed before"
        self._note(f"{what}: it was asked again from the last key on")
        self._is_restart = True
        return None

    def _fresh(self, page: Page) -> Page:
        """The page without what was there before and what was not asked for."""
        for key, reason in page.odd:
            self._note(reason, key)
        objects: list[Listed] = []
        at = self._last
        for found in page.objects:
            if self._is_fresh(found.key, found.version_id or "", at):
                objects.append(found)
            at = max(at, found.key)
        folders = [found for found in page.folders if self._is_folder(found) and self._is_fresh(found, "", found)]
        self._advance([found.key for found in page.objects], page.folders)
        return msgspec.structs.replace(page, objects=objects, folders=folders)

    def _advance(self, keys: list[str], folders: list[str]) -> None:
        at = max([*keys, *(f"{folder}{_AFTER_ALL}" for folder in folders)], default="")
        if at > self._last:
            self._before_last, self._last = max((key for key in keys if key < at), default=self._last), at

    def _is_fresh(self, key: str, version: str, at: str) -> bool:
        """Whether a key is below the prefix and was not there before; `at` is the greatest so far."""
        mark = fingerprint(f"{key}\0{version}" if version else key)
        if key <= at and not self._is_late(key, mark, at):
            return False
        if not key.startswith(self._prefix):
            self._note("it was listed, and does not lie below the prefix that was asked for", key)
            return False
        self._seen.append(mark)
        if self._known is not None:
            self._known.add(mark)
        return True

    def _is_late(self, key: str, mark: int, at: str) -> bool:
        """Whether a key that does not come in order is wanted all the same; what is odd is noted."""
        if self._known is None:
            self._known = set(self._seen)
        if mark in self._known:
            if not self._repeats:
                self._note("a page shows keys that were there before: each counts once")
            return False
        if key <= self._after:
            return False
        if key < at:
            self._note("its keys do not come in order")
        return True

    def _is_folder(self, folder: str) -> bool:
        inner = folder[len(self._prefix) :]
        if folder.startswith(self._prefix) and inner.find("/") == len(inner) - 1 >= 0:
            return True
        self._note("it was listed as a folder, and does not lie directly below the prefix that was asked for", folder)
        return False

    def _note(self, reason: str, key: str = "", *, is_end: bool = False) -> None:
        self._oddities.add(Oddity(f"s3://{self._bucket}/{key or self._prefix}", reason, is_end))
