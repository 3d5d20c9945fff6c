"""The three standard streams, as whoever started this process left them: closed, full, read by nobody, or sound.

A closed stream is given a place at once, or the next file that is opened would take its number, and what is printed would go
into it. Writing to stdout fails as an OutputError; what cannot be written to stderr is left out: there is nowhere to say so.
"""

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from trailscan.errors import OutputError, ReaderGone

if TYPE_CHECKING:
    from typing_extensions import Buffer


class _Output(io.FileIO):
    """stdout; `was_closed` when there is none, `is_over` once it failed and nothing more is to be written."""

    was_closed = False
    is_over = False

    def write(self, data: "Buffer", /) -> int:
        if self.is_over:
            return len(memoryview(data))
        if self.was_closed:
            raise OutputError("cannot write to standard output: it is closed", "give it somewhere to go, or a file: -o FILE")
        try:
            return super().write(data) or 0
        except BrokenPipeError as error:
            raise ReaderGone("cannot write to standard output: nobody reads it any more") from error
        except OSError as error:
            raise OutputError(f"cannot write to standard output: {error.strerror}", "the answer is not complete") from error


class _Errors(io.FileIO):
    """stderr; what cannot be written is left out."""

    def write(self, data: "Buffer", /) -> int:
        with contextlib.suppress(OSError):
            return super().write(data) or 0
        return len(memoryview(data))


def prepare() -> None:
    """Put these in the place of Python's own streams, where those are still in place."""
    closed = [number for number in range(3) if not _is_open(number)]
    for _ in closed:
        os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    if sys.stdout is sys.__stdout__:
        raw = _Output(1, "w", closefd=False)
        raw.was_closed = 1 in closed
        sys.stdout = _text(raw, sys.stdout, raw.isatty())
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Errors(2, "w", closefd=False), sys.stderr, True)


def finish() -> None:
    """Write what waits for stdout. Raises OutputError, and from then on writes nothing more."""
    try:
        sys.stdout.flush()
    except OutputError:
        give_up()
        raise


def give_up() -> None:
    """Write nothing more to stdout: it failed."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _Output):
        raw.is_over = True


def _text(raw: io.FileIO, before: TextIO | None, by_line: bool) -> TextIO:
    encoding = before.encoding if before is not None else "utf-8"
    errors = before.errors if before is not None else "backslashreplace"
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=by_line)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
