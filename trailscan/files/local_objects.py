"""What a walk over local files speaks of: objects, problems, counts, and which names can be CloudTrail's. Opens nothing."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from trailscan.cloudtrail.object_keys import Level, depth, parse_name
from trailscan.files.first_bytes import opens_like_records

_OBJECTS = (".json", ".jsonl", ".ndjson", ".log", ".csv", ".gz", ".bz2", ".xz", ".zst")
_DESKTOP = (".ds_store", "thumbs.db")
_LATEST = 1 << 33  # seconds; past year 2200 a file's time is nonsense


class LocalObject(msgspec.Struct, frozen=True):
    """One object on this machine: a file, or a member of a tar or zip.

    `bytes` is its size as listed. `offset` is where a member lies: its content in the (inflated) tar, its local header
    in the zip. `mtime` is in seconds since 1970, 0.0 when nonsense; a zip's has no zone and is taken for UTC. `sha256` is what
    was recorded of its bytes, empty where only their number was, None where anything will do.
    """

    path: str
    name: str  # the last part only
    bytes: int
    mtime: float
    member: str | None = None
    offset: int | None = None
    sha256: str | None = None


class FileState(msgspec.Struct, frozen=True):
    """A file's size in bytes and its time of change in nanoseconds since 1970."""

    bytes: int
    modified: int


class Problem(msgspec.Struct, frozen=True):
    """A file or folder that may hold evidence and was not taken; `path` names it as `display_name` would."""

    path: str
    reason: str


@dataclass(slots=True)
class Survey:
    """What a walk met beside objects: problems, and counts of what cannot be CloudTrail's by rule or by its first bytes."""

    problems: list[Problem] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)


def state_of_file(path: str) -> FileState | None:
    """The size and time of a file, None for one that cannot be had."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return FileState(found.st_size, found.st_mtime_ns)


def display_name(obj: LocalObject) -> str:
    """Name an object for people, `case.tar!member`, with all that a terminal could obey written as an escape."""
    return printable(obj.path if obj.member is None else f"{obj.path}!{obj.member}")


def is_foreign(folder: str, survey: Survey) -> bool:
    """Tell whether a folder is another service's, as in `AWSLogs/111122223333/Config`, and count it then."""
    place = depth(folder.replace(os.sep, "/") + "/")
    if place.level is not Level.FOREIGN:
        return False
    survey.passed_over[f"of other services ({printable(os.path.basename(folder))})"] += 1
    return True


def can_hold_records(name: str, survey: Survey, head: Callable[[], bytes]) -> bool:
    """Tell whether a file is worth reading, by its name or else by its first bytes; count it as passed over when not.

    `head` gives the first `openings.HEAD` bytes; it is asked only where the name does not decide.
    """
    lower = name.lower()
    is_fork = name.startswith("._")
    if not is_fork and (lower.endswith(_OBJECTS) or parse_name(name) is not None):
        return True
    if opens_like_records(head()):
        return True
    if is_fork:
        label = "._*"
    elif lower in _DESKTOP:
        label = lower
    else:
        label = "*" + os.path.splitext(lower)[1] if "." in lower[1:] else "without extension"
    survey.passed_over[printable(label)] += 1
    return False


def sane(mtime: float) -> float:
    """A time in seconds since 1970, 0.0 for nonsense."""
    return float(mtime) if 0 <= mtime < _LATEST else 0.0


def cause(error: Exception) -> str:
    """What went wrong, in the words of the system."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(text or type(error).__name__)


def printable(text: str) -> str:
    """A name with all that a terminal could obey written as an escape."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
