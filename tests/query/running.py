"""The command line within this process: what it writes, says and returns, as a shell would see it."""

import contextlib
import io
import sys
from dataclasses import dataclass
from unittest import mock

from trailscan.cli.main import main


@dataclass(frozen=True)
class Ended:
    """The exit code, stdout as bytes, stderr as text."""

    code: int
    stdout: bytes
    stderr: str


def trailscan(*arguments):
    """Run `trailscan` with these arguments."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    code = 0
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", ["trailscan", *map(str, arguments)]),
    ):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out.flush()
        err.flush()
    return Ended(code, out.buffer.getvalue(), err.buffer.getvalue().decode())
