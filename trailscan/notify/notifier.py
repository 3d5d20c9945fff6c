"""What somebody to be told is to those who tell: a name without secrets, and a way to send one notice."""

import hashlib
from typing import Protocol

from trailscan.detect.finding_table import Notice

FINGERPRINT = 12  # hex digits


class NotSent(Exception):
    """One notice that was not taken; the reason is the message, and holds no secret."""


class Notifier(Protocol):
    """Somebody to be told.

    `name` is what the archive knows it by: its kind and a fingerprint of its address. `shown` is what people see of it.
    """

    name: str
    shown: str

    def send(self, notice: Notice) -> None:
        """Send one notice, and return when it was taken. Raises NotSent. Not called from two threads at once."""
        ...


def named(kind: str, url: str) -> str:
    """`mailto 0123456789ab`: tells two addresses apart, and says nothing of either."""
    return f"{kind} {hashlib.sha256(url.encode('utf-8', 'surrogateescape')).hexdigest()[:FINGERPRINT]}"
