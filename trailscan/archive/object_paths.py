"""Where an object lies in the archive's folder: `<bucket>/<key>`, made safe for every file system, and back again.

Pure: it names paths and never touches disk. A key that CloudTrail wrote stays as it is, so that other tools find it;
in any other key the characters that a file system would refuse or read in its own way are percent-escaped, so nothing
is lost and no two keys share a path.

Two things a name cannot settle are the caller's: keys that differ in case alone fall together on a case-insensitive
file system (compare `fold` of their paths), and a key `a` leaves no room for a folder `a` that `a/b` would need.
"""

import re
from functools import lru_cache

from trailscan.cloudtrail.object_keys import parse_key
from trailscan.errors import UnsafeKey

_LONGEST = 255  # bytes in one component: ext4, XFS, APFS, NTFS

# Each alternative matches the one character to escape, or the empty place where a segment should be. All but printable
# ASCII goes: file systems fold and normalise the rest each in its own way. "~" goes since "AWSLOG~1" is another file's
# name on Windows. Dots in front and ".part" go since the walk of a folder passes over such files (files/folder.py).
_AT_START = r"(?:\A|(?<=/))"
_END = r"(?=/|\Z)"
_DEVICE_END = r"[ ]*(?:[./]|\Z)"
_UNSAFE = re.compile(
    rf"""[^\x20-\x7e] | ["%*:<>?\\|~]
    | {_AT_START}\. | [.\x20]{_END} | \.(?=(?:part|tmp){_END})
    | {_AT_START}(?:
          c(?=(?:on|om\d|onin\$|onout\$|lock\$){_DEVICE_END})
        | l(?=pt\d{_DEVICE_END})
        | [pan](?=(?:(?<=p)rn|(?<=a)ux|(?<=n)ul){_DEVICE_END})
        | t(?=humbs\.db{_END})
      )
    | {_AT_START}{_END}""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_ESCAPED = re.compile(r"%_|(?:%[0-9A-F]{2})+")
_TOO_LONG = re.compile(rf"[^/]{{{_LONGEST + 1}}}")


def path_of(bucket: str, key: str) -> str:
    """Give the relative path, parted by `/`, of an object; plain ASCII, within the folder it is joined to.

    `%XX` stands for a byte of UTF-8, `%_` for an empty segment (`a//b`, or a key that ends in `/`). Raises UnsafeKey
    when a segment would be longer than 255 bytes once escaped.
    """
    parsed = parse_key(key)  # what its grammar admits is safe as it is, and that is nearly every key
    path = _head(bucket, "") + _escape(key) if parsed is None else _head(bucket, parsed.prefix) + key[len(parsed.prefix) :]
    if len(path) > _LONGEST and _TOO_LONG.search(path):
        raise UnsafeKey(f"a part of s3://{ascii(bucket)[1:-1]}/{ascii(key)[1:-1]} is too long for a file name")
    return path


def key_of(path: str) -> tuple[str, str]:
    """Give the bucket and key whose path this is. Raises UnsafeKey for a path that `path_of` does not make."""
    bucket, _, key = path.partition("/")
    try:
        found = _unescape(bucket), _unescape(key)
    except UnicodeDecodeError:
        found = ("", "")
    if path_of(*found) != path:
        raise UnsafeKey(f"{path!a} is not the path of an object in an archive")
    return found


def fold(path: str) -> str:
    """Give the text that two paths share exactly when a case-insensitive file system takes them for one file."""
    return path.lower()  # paths are ASCII: no other folding can happen


@lru_cache(maxsize=64)
def _head(bucket: str, prefix: str) -> str:
    """Escape what all keys of a trail share; a prefix ends in `/` or is empty."""
    folders = f"{_escape(prefix[:-1])}/" if prefix else ""
    return f"{_escape(bucket).replace('/', '%2F')}/{folders}"


def _escape(key: str) -> str:
    return _UNSAFE.sub(_percent, key)


def _percent(match: re.Match[str]) -> str:
    # A lone surrogate cannot come from S3, but must not be what breaks us.
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass")) or "%_"


def _unescape(path: str) -> str:
    return _ESCAPED.sub(_character, path)


def _character(match: re.Match[str]) -> str:
    if match[0] == "%_":
        return ""
    return bytes.fromhex(match[0].replace("%", "")).decode("utf-8", "surrogatepass")
