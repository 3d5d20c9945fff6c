"""Files of others, opened so that nothing but a file can answer: a pipe or a device would wait, or never end."""

import os
import stat
from typing import BinaryIO


class NotAFile(OSError):
    """A path leads to a pipe, a device, a socket or a folder, not to a regular file."""


def open_regular(path: str) -> BinaryIO:
    """Open a regular file for reading, without ever waiting for another process.

    Raises NotAFile for a pipe, device, socket or folder, OSError for what the system refuses.
    """
    return os.fdopen(open_descriptor(path), "rb")


def open_descriptor(path: str) -> int:
    """The same as a bare descriptor, for readers of many small files."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFile("it is neither a file nor a folder: a pipe or a device is not read")
    return descriptor
