"""The form of a bundle, an archive in one file to carry: which names may be in it, how its tar and SHA256SUMS are written.

A bundle is an uncompressed POSIX tar of plain files whose last member is SHA256SUMS. Each header follows from name, size
and time alone, so that the same archive always makes the same bytes, and any other byte in a header is an alteration.
Pure: it never touches disk. Source: POSIX.1-2017, "pax - portable archive interchange".
"""

import hashlib
import re
import struct
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from trailscan.archive.loaded_paths import LOADED
from trailscan.errors import BundleError

BLOCK = 512  # bytes; everything in a tar is padded to it
END = bytes(2 * BLOCK)
SUMS = "SHA256SUMS"
WHEELS = "wheels"
INSTALL = "install.sh"
LONGEST_PAX = 16 * BLOCK  # bytes; of one name and one number

_FILES = ("manifest.jsonl", "custody.jsonl", "trailscan.duckdb", INSTALL, SUMS)
_FOLDERS = ("objects/", "keys/", f"{LOADED}/", f"{WHEELS}/")
_LONGEST_NAME = 4000  # characters; a key has 1,024, three times as many when escaped
_DEEPEST = 600  # folders; a key has half as many as characters
_LONGEST_PART = 255
_HEADER = struct.Struct("100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12x")
_OCTAL_LIMIT = 8**11
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$|clock\$) *(?:\..*)?", re.IGNORECASE | re.DOTALL
)
_FORBIDDEN = re.compile(r'["*:<>?\\|]')
_TYPES = {
    b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"5": "a folder", b"6": "a pipe",
    b"S": "a sparse file",
}  # fmt: skip


class Header(msgspec.Struct, frozen=True):
    """A member of the tar: its name, bytes and time in seconds since 1970."""

    name: str
    size: int
    mtime: int


# Names


class Names:
    """The names of a bundle so far. Two that one file would have on any disk, case-insensitive ones included, never pass."""

    def __init__(self) -> None:
        self._files: set[bytes] = set()
        self._folders: set[bytes] = set()
        self._last = ""  # the folder of the name before, which nearly always is this one's too

    def objection(self, name: str) -> str:
        """Say why a name may not be in the bundle; empty when it may, and then it is taken."""
        reason = unsafe(name)
        if reason:
            return reason
        folder, _, _ = name.rpartition("/")
        mark = _mark(name)
        if mark in self._files or mark in self._folders:
            return "another member has the same name on a disk that ignores case"
        if folder != self._last and not self._take_folder(folder):
            return "a file stands where its folder would be on a disk that ignores case"
        self._last = folder
        self._files.add(mark)
        return ""

    def _take_folder(self, folder: str) -> bool:
        parts = folder.split("/") if folder else []
        marks = [_mark("/".join(parts[:depth])) for depth in range(1, len(parts) + 1)]
        if not self._files.isdisjoint(marks):
            return False
        self._folders.update(marks)
        return True


def unsafe(name: str) -> str:
    """Say why no bundle may hold a file of this name; empty when it may. The name becomes a path on any kind of disk."""
    folder, _, last = name.rpartition("/")
    if (
        len(name) > _LONGEST_NAME
        or name.count("/") > _DEEPEST
        or (folder and _is_unsafe_folder(folder))
        or _is_unsafe_part(last)
    ):
        return "its name is not one that every disk takes for a file within the folder"
    if name not in _FILES and not name.startswith(_FOLDERS):
        return "an archive has no such file"
    return ""


@lru_cache(maxsize=4096)
def _is_unsafe_folder(folder: str) -> bool:
    return any(map(_is_unsafe_part, folder.split("/")))


def _is_unsafe_part(part: str) -> bool:
    return (
        part in {"", ".", ".."}
        or not part.isprintable()
        or part[-1] in ". "
        or _FORBIDDEN.search(part) is not None
        or _DEVICE.fullmatch(part) is not None
        or not (part.isascii() or unicodedata.is_normalized("NFC", part))
        or len(part.encode()) > _LONGEST_PART
    )


def _mark(name: str) -> bytes:
    """What two names share exactly when some disk takes them for one; short, since there may be a million."""
    folded = name.lower() if name.isascii() else unicodedata.normalize("NFC", name.casefold())
    return hashlib.sha256(folded.encode()).digest()[:16]


# The tar


def header(member: Header) -> bytes:
    """A member's header, one or more blocks; its bytes follow, and `padding`."""
    name = member.name.encode()
    split = _split(name)
    if split is not None and member.size < _OCTAL_LIMIT:
        return _block(*split, member.size, member.mtime, b"0")
    records = b"".join(_pax_record(key, value) for key, value in ((b"path", name), (b"size", b"%d" % member.size)))
    short = hashlib.sha256(name).hexdigest()[:16].encode()
    extended = _block(b"pax/" + short, b"", len(records), 0, b"x") + records + padding(len(records))
    return extended + _block(b"long/" + short, b"", min(member.size, _OCTAL_LIMIT - 1), member.mtime, b"0")


def padding(size: int) -> bytes:
    """The zeros between a member's bytes and the next block."""
    return bytes(-size % BLOCK)


def pax_size(block: bytes) -> int | None:
    """How many bytes of names and numbers follow this block before the header proper; None when it is a header proper.

    Raises BundleError, as `parse_header` does.
    """
    if block[156:157] != b"x":
        return None
    size = _octal(block[124:136])
    if size is None or size > LONGEST_PAX:
        raise BundleError("a header of it is no header", "")
    return size


def parse_header(blocks: bytes) -> Header:
    """Read what `header` wrote. Raises BundleError, which says what it is, for anything else, were it one bit."""
    name, _, _, _, size, mtime, _, _, _, _, _, _, _, _, _, prefix = _HEADER.unpack(blocks[-BLOCK:])
    kind = blocks[-BLOCK:][156:157]
    found, size, mtime = name.rstrip(b"\0"), _octal(size), _octal(mtime)
    if prefix.rstrip(b"\0"):
        found = prefix.rstrip(b"\0") + b"/" + found
    if len(blocks) > BLOCK:
        found, size = _parse_pax(blocks[BLOCK:-BLOCK])
    if kind in _TYPES:
        raise BundleError(f"{found.decode('utf-8', 'backslashreplace')} is {_TYPES[kind]}, and a bundle holds files only")
    try:
        member = Header(found.decode(), -1 if size is None else size, -1 if mtime is None else mtime)
    except UnicodeDecodeError as error:
        raise BundleError("a name in it is not UTF-8") from error
    if member.size < 0 or member.mtime < 0 or header(member) != blocks:
        raise BundleError(f"the header of {member.name[:200]!r} is not as trailscan writes it: it was altered")
    return member


def seconds_of(moment: datetime | None) -> int:
    """A member's time for an object's last change (UTC without zone): 0 for none, and for what a tar cannot hold."""
    if moment is None:
        return 0
    return min(max(0, int(moment.replace(tzinfo=UTC).timestamp())), _OCTAL_LIMIT - 1)


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """A name as a header's name and prefix, None when it is too long for them or not ASCII."""
    if not name.isascii():
        return None
    if len(name) <= 100:  # noqa: PLR2004 - the field's length
        return name, b""
    cut = name.rfind(b"/", 0, 156)
    return (name[cut + 1 :], name[:cut]) if cut > 0 and len(name) - cut - 1 <= 100 else None  # noqa: PLR2004


def _block(name: bytes, prefix: bytes, size: int, mtime: int, kind: bytes) -> bytes:
    zero = b"0000000\0"
    block = _HEADER.pack(
        name, b"0000644\0", zero, zero, b"%011o\0" % size, b"%011o\0" % mtime, b"        ", kind, b"",
        b"ustar\0", b"00", b"", b"", zero, zero, prefix,
    )  # fmt: skip
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _pax_record(key: bytes, value: bytes) -> bytes:
    """`<length> <key>=<value>\n`, where the length counts itself."""
    rest = b" %b=%b\n" % (key, value)
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length += 1
    return b"%d%b" % (length, rest)


def _parse_pax(records: bytes) -> tuple[bytes, int | None]:
    match = re.match(rb"\d{1,5} path=(.*)\n\d{1,3} size=(\d{1,18})\n\0*\Z", records, re.DOTALL)
    return (match[1], int(match[2])) if match else (b"?", None)


def _octal(field: bytes) -> int | None:
    match = re.fullmatch(rb"([0-7]{11})\0", field)
    return int(match[1], 8) if match else None


# SHA256SUMS


def sums_line(sha256: str, name: str) -> bytes:
    """A line of SHA256SUMS, as `sha256sum` writes it; no name in a bundle needs its escapes."""
    return f"{sha256}  {name}\n".encode()


def parse_sums_line(line: bytes) -> tuple[str, str] | None:
    """The SHA-256 and the name of a line of SHA256SUMS, None when it is none."""
    match = re.fullmatch(rb"([0-9a-f]{64})  (.+)\n", line)
    try:
        return (match[1].decode(), match[2].decode()) if match else None
    except UnicodeDecodeError:
        return None
