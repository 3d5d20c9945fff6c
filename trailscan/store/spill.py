"""Where a question puts rows that do not fit into its memory: a private folder of its own, outside of the archive.

All of a user's folders lie in one (`trailscan-UID` in the system's folder for temporary files), so that what a killed process
left is found and removed by the next one. A process holds a lock on its folder; links are never followed.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator


class _Shared:
    """The folder of this process: DuckDB opens a file several times in one process only with the same settings."""

    guard = threading.Lock()
    users = 0
    process = 0
    folder = ""
    lock = -1


@contextlib.contextmanager
def spill_folder() -> Iterator[str]:
    """The folder of this process, mode 0700, there for as long as somebody uses it.

    An empty text where no folder can be made: then nothing is spilled.
    """
    with _Shared.guard:
        if _Shared.users == 0 or _Shared.process != os.getpid():
            _open_shared()
        _Shared.users += 1
        folder = _Shared.folder
    try:
        yield folder
    finally:
        with _Shared.guard:
            _Shared.users -= 1
            if _Shared.users == 0:
                _close_shared()


def _open_shared() -> None:
    _Shared.users, _Shared.process = 0, os.getpid()
    try:
        _Shared.folder, _Shared.lock = _locked_folder()
    except OSError:
        _Shared.folder, _Shared.lock = "", -1


def _close_shared() -> None:
    if _Shared.folder:
        shutil.rmtree(_Shared.folder, ignore_errors=True)
        os.close(_Shared.lock)


def _locked_folder() -> tuple[str, int]:
    """The folder, and the open file that holds its lock. Raises OSError."""
    home = os.path.join(tempfile.gettempdir(), f"trailscan-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(home, 0o700)
    if not _is_ours(home):  # another user was first: go elsewhere, and leave theirs alone
        folder = tempfile.mkdtemp(prefix="trailscan-")
        return folder, _lock(folder)
    door = _lock(home, wait=True)  # nobody sweeps between the making of a folder and its lock
    try:
        _sweep(home)
        folder = tempfile.mkdtemp(dir=home)
        return folder, _lock(folder)
    finally:
        os.close(door)


def _is_ours(folder: str) -> bool:
    found = os.lstat(folder)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _sweep(home: str) -> None:
    """Remove the folders that no process holds."""
    with os.scandir(home) as entries:
        folders = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    for folder in folders:
        with contextlib.suppress(OSError):
            lock = _lock(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _lock(folder: str, *, wait: bool = False) -> int:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(opened)
        raise
    return opened
