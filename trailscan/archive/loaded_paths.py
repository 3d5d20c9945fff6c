"""Where files that lie outside of an archive, or were copied into it, have their place in it: `loaded/`. Pure."""

import hashlib
import re

from trailscan.archive.object_paths import path_of
from trailscan.errors import UnsafeKey

LOADED = "loaded"  # the folder for what lies outside of `objects/`, or cannot have its own name in a bundle
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def loaded_name(path: str) -> str:
    """The member for a file whose own path cannot be its name: `loaded/<of its path's SHA-256>/<its last part made safe>`."""
    return _below_loaded(path, path)


def copy_name(path: str, sha256: str) -> str:
    """The same for a copy that was taken into the archive; one of other bytes (whose SHA-256 this is, hex) has another name."""
    return _below_loaded(path, f"{sha256} {path}")


def _below_loaded(path: str, marked: str) -> str:
    mark = hashlib.sha256(marked.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    last = re.split(r"[\\/]" if _WINDOWS_PATH.match(path) else "/", path)[-1]
    try:
        return f"{LOADED}/{path_of(mark, last)}"
    except UnsafeKey:  # too long once escaped; the end stays, since it tells a .tar from a .gz
        return f"{LOADED}/{mark}/x{path_of(mark, last[-20:]).partition('/')[2]}"


def is_elsewhere(path: str) -> bool:
    """Whether an origin's path is that of a file outside of the archive, on this system or another."""
    return path.startswith("/") or _WINDOWS_PATH.match(path) is not None
