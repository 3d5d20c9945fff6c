"""A bundle into a folder, in one pass over bytes that an enemy may have made: each is hashed on its way to the disk.

Nothing is under the folder's name before all of the bundle was read and every sum held. It makes plain files within that
folder and nothing else: no links, no devices, no path that leaves it. The form of a bundle is that of
`trailscan.bundle.format`, and whatever differs from it by one bit is refused.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from typing import BinaryIO

import msgspec

from trailscan.archive.folder import sync_filesystem
from trailscan.archive.leftovers import held, unpacking_of
from trailscan.archive.loaded_paths import LOADED
from trailscan.bundle.format import BLOCK, END, SUMS, Header, Names, padding, parse_header, parse_sums_line, pax_size, sums_line
from trailscan.errors import BundleError, UsageError, of_system

_PIECE = 1 << 20
_TOLD = 5  # differences that are named
AGAIN = "carry it again, and compare its sum with the one that `trailscan pack` printed"


class Unpacked(msgspec.Struct):
    """What a bundle held: `objects` are those of `objects/` and `loaded/`; `sha256` is the bundle's own."""

    members: int = 0
    objects: int = 0
    bytes: int = 0  # of the bundle
    sha256: str = ""
    with_database: bool = False


def unpack(bundle: BinaryIO, root: str, sha256: str | None, tell: Callable[[Unpacked], None]) -> Unpacked:
    """Unpack into the folder `root`, which must not exist or be empty; `sha256` is what the bundle's own must be, if given.

    Raises BundleError when anything does not hold, UsageError for a folder with something in it, ArchiveError when the disk
    refuses; in each case nothing is left behind.
    """
    root = os.path.abspath(root)
    if os.path.lexists(root) and not (os.path.isdir(root) and not os.listdir(root)):
        raise UsageError(f"{root} is there already", "give a folder that does not exist with --archive")
    fresh = unpacking_of(root)
    try:
        os.makedirs(fresh)
        with held(fresh):
            found = _Run(_Source(bundle), fresh, tell).run(sha256)
            sync_filesystem(fresh)
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(root)
            os.rename(fresh, root)
        sync_filesystem(root)
    except OSError as error:
        raise of_system(error, "cannot unpack into", root) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return found


class _Source:
    """A bundle's bytes in order, each counted and hashed once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._buffer = memoryview(b"")
        self.bytes = 0

    def take(self, size: int) -> bytes:
        """The next bytes, all of them. Raises BundleError when there are fewer."""
        if size <= len(self._buffer):
            taken, self._buffer = self._buffer[:size], self._buffer[size:]
            return bytes(taken)
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[memoryview]:
        """The same, as they come."""
        while size:
            if not self._buffer and not self._fill():
                raise BundleError(f"the bundle is cut short: it ends at byte {self.bytes:,}", AGAIN)
            piece, self._buffer = self._buffer[:size], self._buffer[size:]
            size -= len(piece)
            yield piece

    def ended(self) -> bool:
        """Whether nothing follows."""
        return not self._buffer and not self._fill()

    def sha256(self) -> str:
        """Of all that was read, hex: the bundle's own, once it ended."""
        return self._digest.hexdigest()

    def _fill(self) -> bool:
        data = self._file.read(_PIECE)
        self._digest.update(data)
        self.bytes += len(data)
        self._buffer = memoryview(data)
        return bool(data)


class _Run:
    """One unpacking into the folder `root`."""

    def __init__(self, source: _Source, root: str, tell: Callable[[Unpacked], None]) -> None:
        self._source = source
        self._root = root
        self._tell = tell
        self._names = Names()
        self._folders: set[str] = {""}
        self._found = Unpacked()
        self._own_sums = hashlib.sha256()

    def run(self, wanted: str | None) -> Unpacked:
        """Lay down every member, then see that the sums hold and that nothing follows."""
        with open(os.path.join(self._root, f"{SUMS}.found"), "x+b") as sums:
            while (member := self._next()).name != SUMS:
                line = sums_line(self._lay(member), member.name)
                sums.write(line)
                self._own_sums.update(line)
                self._count(member.name)
            told = self._lay(member)
            self._must_end()
            self._found.sha256, self._found.bytes = self._source.sha256(), self._source.bytes
            if wanted is not None and wanted.lower() != self._found.sha256:
                raise BundleError(f"the bundle's SHA-256 is {self._found.sha256}, not {wanted.lower()}", AGAIN)
            if told != self._own_sums.hexdigest():
                sums.seek(0)
                self._compare(sums)
        os.remove(sums.name)
        return self._found

    def _next(self) -> Header:
        blocks = self._source.take(BLOCK)
        if blocks == bytes(BLOCK):
            raise BundleError(f"the bundle has no {SUMS}: it is cut short, or was not made by `trailscan pack`", AGAIN)
        more = pax_size(blocks)
        if more is not None:
            blocks += self._source.take(more + len(padding(more)) + BLOCK)
        member = parse_header(blocks)
        objection = self._names.objection(member.name)
        if objection:
            raise BundleError(f"{member.name[:200]!r} cannot be unpacked: {objection}", "do not trust this bundle")
        return member

    def _lay(self, member: Header) -> str:
        """Write one file, new and within the folder; returns its SHA-256."""
        path = os.path.join(self._root, *self._folder_of(member.name), member.name.rpartition("/")[2])
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)
        digest = hashlib.sha256()
        try:
            for piece in self._source.pieces(member.size):
                digest.update(piece)
                rest = piece
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)
        if member.mtime:
            os.utime(path, (member.mtime, member.mtime))
        pad = padding(member.size)
        if self._source.take(len(pad)) != pad:
            raise BundleError(f"{member.name} is followed by bytes that do not belong there: the bundle was altered", AGAIN)
        return digest.hexdigest()

    def _folder_of(self, name: str) -> list[str]:
        folder = name.rpartition("/")[0]
        parts = folder.split("/") if folder else []
        if folder not in self._folders:
            os.makedirs(os.path.join(self._root, *parts), exist_ok=True)
            self._folders.add(folder)
        return parts

    def _must_end(self) -> None:
        if self._source.take(len(END)) != END or not self._source.ended():
            raise BundleError(f"something follows {SUMS}, which is the last member: the bundle was altered", AGAIN)

    def _compare(self, found: BinaryIO) -> None:
        """Name what SHA256SUMS tells otherwise than it is; raises BundleError unless only the order differs."""
        is_so = {line[1]: line[0] for line in map(parse_sums_line, found) if line}
        told: dict[str, str] = {}
        flaws = []
        with open(os.path.join(self._root, SUMS), "rb") as sums:
            for raw in iter(lambda: sums.readline(_PIECE), b""):
                line = parse_sums_line(raw)
                if line is None or line[1] in told:
                    flaws.append(f"{SUMS} has a line that is none: {raw[:80]!r}")
                else:
                    told[line[1]] = line[0]
        flaws += [f"{name} was altered" for name in sorted(told.keys() & is_so.keys()) if told[name] != is_so[name]]
        flaws += [f"{name} is missing" for name in sorted(told.keys() - is_so.keys())]
        flaws += [f"{name} is not in {SUMS}" for name in sorted(is_so.keys() - told.keys())]
        if flaws:
            more = f" and {len(flaws) - _TOLD:,} more" if len(flaws) > _TOLD else ""
            raise BundleError(f"the bundle was altered: {'; '.join(flaws[:_TOLD])}{more}", AGAIN)

    def _count(self, name: str) -> None:
        self._found.members += 1
        self._found.objects += name.startswith(("objects/", f"{LOADED}/"))
        self._found.with_database |= name == "trailscan.duckdb"
        self._tell(self._found)
