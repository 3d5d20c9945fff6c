"""An answer to stdout or into a file: the one place that knows which format goes where."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from trailscan.errors import TrailscanError, UsageError
from trailscan.search.table import Table
from trailscan.views.escape import for_terminal


def write_table(table: Table, wanted: str, output: str | None) -> None:
    """Write a table in one of the formats. Raises UsageError where a terminal would get bytes, TrailscanError."""
    if wanted == "table":
        _write_for_people(table, output)
        return
    if wanted == "parquet" and output is None and sys.stdout.isatty():
        raise UsageError("parquet is not for a terminal", "give a file: -o FILE")
    with _opened(output) as out:
        _writer(wanted)(table, out)


def write_count(number: int, output: str | None) -> None:
    """Write one integer."""
    with _opened(output) as out:
        out.write(f"{number}\n".encode())


def write_records(table: Table, place: Callable[[str], str], missing: Callable[[str], None], output: str | None) -> None:
    """Write the original record of each row, one a line."""
    from trailscan.search.originals import originals

    rows = (row for chunk in table.chunks for row in chunk)
    with _opened(output) as out:
        for record in originals(rows, place, missing):
            out.write(record + b"\n")


def _write_for_people(table: Table, output: str | None) -> None:
    from trailscan.views.as_table import write_table as write

    if output is None:
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        terminal = sys.stdout.isatty()
        write(
            table,
            sys.stdout,
            shutil.get_terminal_size().columns if terminal else None,
            terminal and "NO_COLOR" not in os.environ,
        )
        return
    with _opened(output) as raw:
        import io

        text = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
        write(table, text, None, False)
        text.detach()


def _writer(wanted: str) -> Callable[[Table, BinaryIO], int]:
    if wanted == "csv":
        from trailscan.views.as_csv import write_csv

        return write_csv
    if wanted == "parquet":
        from trailscan.views.as_parquet import write_parquet

        return write_parquet
    from trailscan.views import as_json

    return as_json.write_json if wanted == "json" else as_json.write_jsonl


class _Screen:
    """stdout when it is a terminal: formats for machines are shown there too, and may hold what would steer it."""

    def write(self, data: bytes) -> int:
        lines = data.decode("utf-8", "backslashreplace").split("\n")
        sys.stdout.buffer.write("\n".join(map(for_terminal, lines)).encode())
        return len(data)


@contextlib.contextmanager
def _opened(output: str | None) -> Iterator[BinaryIO]:
    """stdout, or a file that appears under its name only when it is whole."""
    if output is None:
        yield cast("BinaryIO", _Screen()) if sys.stdout.isatty() else sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    fresh = f"{output}.{os.getpid()}.part"
    try:
        with open(fresh, "wb") as file:
            yield file
        os.replace(fresh, output)
    except OSError as error:
        raise TrailscanError(f"cannot write {output}: {error.strerror}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(fresh)
