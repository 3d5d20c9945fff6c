"""What killed processes left beside an archive or a file they were writing: known by its name, swept when nobody holds it.

Who makes such a thing holds a lock on it for as long as it lives, so that a living process is never taken for a dead one.
"""

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterator

UNPACKING = "unpacking"  # `case-17.unpacking-4242`: a bundle on its way into `case-17`
_DATABASE = re.compile(r"trailscan\.duckdb\.(new-\d+|rebuild)(\.wal(\.\w+)?)?")  # a database that was being made


def part_of(path: str) -> str:
    """The name under which a file is written before it is whole: `case.tar.trailscan-4242.part`."""
    return f"{path}.trailscan-{os.getpid()}.part"


def unpacking_of(root: str) -> str:
    """The folder into which a bundle is unpacked before it is whole."""
    return f"{root}.{UNPACKING}-{os.getpid()}"


@contextlib.contextmanager
def held(path: str) -> Iterator[None]:
    """Show other processes, for a while, that this file or folder is in use."""
    if sys.platform == "win32":  # there nobody can remove what another has open
        yield
        return
    import fcntl

    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network disks know no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def sweep_archive(root: str) -> None:
    """Remove what was being made of an archive; needs its lock."""
    parent, name = os.path.split(root)
    _sweep(root, _DATABASE)
    _sweep(parent, re.compile(rf"{re.escape(name)}\.{UNPACKING}-\d+"))


def sweep_parts(path: str) -> None:
    """Remove what was being written to become this file."""
    folder, name = os.path.split(os.path.abspath(path))
    _sweep(folder, re.compile(rf"{re.escape(name)}\.trailscan-\d+\.part"))


def _sweep(folder: str, names: re.Pattern[str]) -> None:
    """Remove what nobody holds; what cannot be removed is left for the next time."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        found = [entry for entry in entries if names.fullmatch(entry.name)]
        for entry in found:
            with contextlib.suppress(OSError):
                if entry.is_symlink() or _is_held(entry.path):
                    continue
                shutil.rmtree(entry.path) if entry.is_dir() else os.remove(entry.path)


def _is_held(path: str) -> bool:
    """Whether a process has a lock on it: ours on a file or folder that is being made, or DuckDB's on a database."""
    if sys.platform == "win32":
        return False
    import fcntl

    is_folder = os.path.isdir(path)
    descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not is_folder:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
