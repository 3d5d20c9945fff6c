"""Objects laid into an archive by a process of its own.

Laying one down takes half a dozen short calls of the system. In the process that also fetches, each waits for Python's lock
anew: eight thousand small objects took eight times as long.
"""

import contextlib
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from trailscan.archive.folder import ArchiveFolder, Arrived, Laid
from trailscan.errors import ArchiveError
from trailscan.processes import starting


class WriterProcess:
    """The process; a context manager. Make it before other threads are started: it forks where it can."""

    def __init__(self, archive: ArchiveFolder) -> None:
        context = starting()
        self._archive = archive
        self._here, there = context.Pipe()
        inherited = self._here if context.get_start_method() == "fork" else None
        self._process = context.Process(  # type: ignore[attr-defined]
            target=_lay, args=(archive.root, archive.sha256_raw, there, inherited), daemon=True
        )
        self._process.start()
        there.close()

    def put_all(self, arrived: Sequence[Arrived]) -> list[Laid]:
        """As Archive.put_all. Raises ArchiveError also when the process died. For one thread."""
        self._archive.note_laid()
        try:
            self._here.send(list(arrived))
            answer: list[Laid] | tuple[str, str] = self._here.recv()
        except (EOFError, OSError) as error:
            raise ArchiveError("the process that writes the objects died", "run the same command again") from error
        if isinstance(answer, tuple):
            raise ArchiveError(*answer)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._here.close()
        self._process.join()


def _lay(root: str, sha256_raw: Callable[[bytes], str] | None, there: Connection, inherited: Connection | None) -> None:
    """Lay down what comes until the other side is closed, be it by its death."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that commits
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if inherited is not None:
        inherited.close()  # the other side, which this process would otherwise hold open itself
    archive = ArchiveFolder(root, sha256_raw)
    with contextlib.suppress(EOFError, OSError):  # so the other side's end shows, be it in the middle of an answer
        while True:
            there.send(_laid(archive, there.recv()))


def _laid(archive: ArchiveFolder, arrived: Sequence[Arrived]) -> list[Laid] | tuple[str, str]:
    """Paths and SHA-256s, or the message and hint of what went wrong."""
    try:
        return archive.put_all(arrived)
    except ArchiveError as error:
        return error.message, error.hint
