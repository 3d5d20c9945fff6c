"""Whether what an archive holds still lies there as it was recorded, asked while a bucket is listed; and its repair.

A held object costs one look at its file's size and time. Only where these are not those of the listing is the file hashed and
compared with the manifest, which is read once, when first needed. A repair never makes the recorded hash follow the bytes.
"""

import contextlib
import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from datetime import UTC

import msgspec

from trailscan.archive.folder import OBJECTS, ArchiveFolder
from trailscan.archive.object_paths import path_of
from trailscan.archive.origin import name_of, state_of
from trailscan.aws.s3 import Fetched
from trailscan.aws.s3_pages import Listed
from trailscan.errors import ArchiveError, UnsafeKey
from trailscan.fingerprints import FingerprintIndex

ALTERED = "altered"  # the folder for bytes that were found in place of an object's own: `<bucket>/<key>~<their SHA-256>`


class Laid(msgspec.Struct, frozen=True):
    """Where fetched bytes lie. `repaired` tells what was wrong with the file there; `changed`: others are recorded for it."""

    path: str
    sha256: str
    repaired: str | None = None
    changed: bool = False
    is_known: bool = False  # these bytes were recorded before


class _Records(msgspec.Struct, frozen=True):
    """What the manifest says: the hashes recorded of each path, and the paths that do not follow from the key."""

    hashes: FingerprintIndex
    odd: dict[tuple[str, str], str]


class Inspection:
    """Of one bucket's objects. `suspects` are names whose bytes are not trusted, whatever their files look like."""

    def __init__(self, archive: ArchiveFolder, bucket: str, suspects: FingerprintIndex) -> None:
        self._archive = archive
        self._bucket = bucket
        self._suspects = suspects
        self._records: _Records | None = None
        self._lock = threading.Lock()

    def is_suspect(self, key: str) -> bool:
        """Whether a verification, or a rebuild, found other bytes than those recorded."""
        return self._suspects.has(self._name(key), "")

    def is_sound(self, listed: Listed) -> bool:
        """Whether a held object lies where it should with the bytes that were recorded. From any thread."""
        try:
            path = self._path(listed.key)
        except UnsafeKey:
            return True
        if self.is_suspect(listed.key):
            return False
        if self._looks_right(path, listed):
            return True
        records = self._recorded()
        path = records.odd.get((self._name(listed.key), listed.etag or ""), path)
        if self._looks_right(path, listed):
            return True
        sha256 = _sha256(os.path.join(self._archive.root, path))
        return sha256 is not None and records.hashes.has(path, sha256)

    def lay(self, listed: Listed, fetched: Fetched) -> Laid:
        """Lay down an object of which some version is held already. Raises ArchiveError, UnsafeKey."""
        records, sha256 = self._recorded(), hashlib.sha256(fetched.data).hexdigest()
        own = self._path(listed.key)
        path = records.odd.get((self._name(listed.key), listed.etag or ""), own)
        beside = f"{own}~{sha256[:16]}"
        for place in dict.fromkeys([path, own, beside]):
            if records.hashes.has(place, sha256):
                return Laid(place, sha256, self._restore(place, fetched, sha256), place != path, is_known=True)
        if records.hashes.has_other(path, sha256):
            self._restore(beside, fetched, sha256)
            return Laid(beside, sha256, changed=True)
        laid, _ = self._archive.put(own, fetched.data, fetched.last_modified)
        return Laid(laid, sha256, changed=laid != own)

    def _restore(self, path: str, fetched: Fetched, sha256: str) -> str | None:
        """See that a path holds these bytes, and keep what lies there instead; gives what was wrong, None when nothing was."""
        place = os.path.join(self._archive.root, path)
        found = _sha256(place)
        if found == sha256:
            return None
        aside = f"{ALTERED}/{path.partition('/')[2]}~{found or 'no-file'}"
        try:
            was_there = os.path.lexists(place)
            if was_there:
                aside = self._keep_aside(place, aside)
            self._archive.lay_at(path, fetched.data, fetched.last_modified)
        except OSError as error:
            raise ArchiveError(f"cannot write {place}: {error.strerror}", "is the disk full?") from error
        return f"its bytes had been altered, and are kept as {aside}" if was_there else "its file was gone"

    def _keep_aside(self, place: str, aside: str) -> str:
        """Move a file, or whatever it is, out of `objects/`; gives its new path. Bytes that lie there already are the same."""
        kept = os.path.join(self._archive.root, aside)
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        number = 1
        while os.path.lexists(kept) and not os.path.isfile(kept):
            number += 1
            kept = os.path.join(self._archive.root, f"{aside}-{number}")
        os.replace(place, kept)
        return os.path.relpath(kept, self._archive.root).replace(os.sep, "/")

    def _looks_right(self, path: str, listed: Listed) -> bool:
        """Whether a file has the size and the time that the listing shows."""
        try:
            found = os.lstat(os.path.join(self._archive.root, path))
        except OSError:
            return False
        if not stat.S_ISREG(found.st_mode) or listed.last_modified is None:
            return False
        modified = int(listed.last_modified.replace(tzinfo=UTC).timestamp())
        return found.st_size == listed.bytes and int(found.st_mtime) == modified

    def _recorded(self) -> _Records:
        with self._lock:
            if self._records is None:
                odd: dict[tuple[str, str], str] = {}
                self._records = _Records(FingerprintIndex(self._hashes(odd)), odd)
            return self._records

    def _hashes(self, odd: dict[tuple[str, str], str]) -> Iterator[tuple[str, str]]:
        """Each path with its hash; fills `odd` on the way."""
        for origin, _ in self._archive.recorded():
            if origin.source == "s3" and origin.bucket == self._bucket and origin.sha256 is not None:
                if "~" in origin.path:
                    odd[name_of(origin), state_of(origin)] = origin.path
                yield origin.path, origin.sha256

    def _path(self, key: str) -> str:
        return f"{OBJECTS}/{path_of(self._bucket, key)}"

    def _name(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"


def _sha256(path: str) -> str | None:
    """The hash of a plain file; None where there is none, or it cannot be read."""
    with contextlib.suppress(OSError):
        if stat.S_ISREG(os.lstat(path).st_mode):
            with open(path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
    return None
