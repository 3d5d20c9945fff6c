"""The only owner of stderr: notices, errors, progress. stdout is data and nothing else.

Whatever is said may quote a log, so all of it is escaped here, once.
"""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from trailscan.errors import TrailscanError
from trailscan.render.escape import for_terminal

REDRAW = 0.1  # seconds
# What must never be printed, whichever library's message holds it: access keys, tokens, signatures, passwords in URLs.
_SECRETS = re.compile(
    r"(?i)((?:aws_)?(?:secret|session|security)[\w-]*(?:key|token)[\"']?\s*[:=]\s*[\"']?|x-amz-(?:signature|security-token|credential)=|"
    r"signature=|://[^/\s:@]+:(?=[^\s/@]*@))[^\s\"'&,@>]+"
)


def without_secrets(text: str) -> str:
    """A message of some library, with credentials struck out."""
    return _SECRETS.sub(r"\1***", text)


class Terminal:
    """stderr, for one command."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.interactive = sys.stderr.isatty() and not quiet
        self._drawn = 0.0
        self._line = False

    def progress_only(self) -> "Terminal":
        """One that shows how far things are, and says nothing."""
        progress_only = Terminal(quiet=True)
        progress_only.interactive = self.interactive
        return progress_only

    def say(self, text: str) -> None:
        """A line for a person, unless asked to be quiet."""
        if not self.quiet:
            self._print(text)

    def fail(self, error: TrailscanError) -> None:
        """What went wrong and what to do about it; quiet or not."""
        hint = f"\n  {for_terminal(error.hint)}" if error.hint else ""
        self._print(f"error: {for_terminal(error.message)}{hint}")

    def progress(self, text: str) -> None:
        """Show how far things are, on one line that is drawn over; only on a terminal, some times a second."""
        now = time.monotonic()
        if self.interactive and now - self._drawn >= REDRAW:
            self._drawn, self._line = now, True
            sys.stderr.write(f"\r\x1b[K{for_terminal(text)}")
            sys.stderr.flush()

    @contextmanager
    def clean(self) -> Iterator[None]:
        """Leave no half-drawn progress behind."""
        try:
            yield
        finally:
            self._wipe()

    def _print(self, text: str) -> None:
        self._wipe()
        lines = without_secrets(text).split("\n")
        sys.stderr.write("\n".join(map(for_terminal, lines)) + "\n")

    def _wipe(self) -> None:
        if self._line:
            self._line = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
