"""Notices for programs on this machine: as input of a command, or as lines on stdout. Never through a shell."""

import os
import shlex
import shutil
import signal
import subprocess
import sys

from trailscan.detect.finding_table import Notice
from trailscan.errors import UsageError
from trailscan.notify.message import encoded
from trailscan.notify.notifier import NotSent, named
from trailscan.render.escape import for_terminal

PATIENCE = 30.0  # seconds that a command may take
_LAST_WORDS = 200  # characters of what it says on stderr


class Command:
    """`exec:COMMAND`: the notice as JSON on its stdin; exit code 0 means that it was taken."""

    def __init__(self, url: str, command: str, patience: float = PATIENCE) -> None:
        self._arguments = _arguments(command)
        self._patience = patience
        self.name = named("exec", url)
        self.shown = f"exec:{os.path.basename(self._arguments[0])}"

    def send(self, notice: Notice) -> None:
        """Run the command. Raises NotSent when it fails, or takes longer than half a minute and is ended."""
        try:
            # In a session of its own, so that Ctrl-C is not for it, and so that all it started can be ended with it.
            process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise NotSent(f"it cannot be started: {error.strerror}") from error
        try:
            _, said = process.communicate(encoded(notice) + b"\n", timeout=self._patience)
        except subprocess.TimeoutExpired as error:
            _end(process)
            raise NotSent(f"it did not end within {self._patience:g} s") from error
        if process.returncode:
            last = for_terminal(said.decode("utf-8", "replace").strip()[-_LAST_WORDS:])
            raise NotSent(f"it ended with exit code {process.returncode}" + (f": {last}" if last else ""))


class Stdout:
    """`stdout:`: each notice a line of JSON."""

    name = "stdout"
    shown = "stdout"

    def send(self, notice: Notice) -> None:
        """Write a line. Raises NotSent when nobody reads it."""
        try:
            sys.stdout.write(encoded(notice).decode("ascii") + "\n")
            sys.stdout.flush()
        except OSError as error:
            raise NotSent(f"stdout cannot be written: {error.strerror}") from error


def _arguments(command: str) -> list[str]:
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--notify exec: its command cannot be split into words: {error}", "check its quotes") from error
    if not arguments:
        raise UsageError("--notify exec: names no command", "write exec:/path/to/command, with its arguments")
    if shutil.which(arguments[0]) is None:
        raise UsageError(
            f"--notify exec: there is no command {os.path.basename(arguments[0])!r} that can be run",
            "give its path, and see that it is executable",
        )
    return arguments


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a command and what it started."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()
