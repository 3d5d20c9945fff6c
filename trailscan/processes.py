"""How processes of ours are started: forked where that is fast and safe, else spawned without the program that started us.

A spawned process would run the main module again, which in a notebook does not exist and in a script without a main guard
would start everything once more. Nothing of ours needs it: tasks are functions of modules.
"""

import multiprocessing
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext, SpawnContext, SpawnProcess
from multiprocessing.popen_spawn_posix import Popen
from multiprocessing.process import BaseProcess

_HIDING = threading.Lock()


class _Process(SpawnProcess):
    """A spawned process that is not told which program started us."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Popen:  # noqa: N802 - multiprocessing's name
        with _without_main():
            return SpawnProcess._Popen(process_obj)  # noqa: SLF001 - what it overrides


class _Context(SpawnContext):
    Process = _Process


def starting() -> BaseContext:
    """The way to start a process. Forking is fast, and safe while there is one thread, DuckDB's own counted."""
    can_fork = sys.platform == "linux" and threading.active_count() == 1 and "_duckdb" not in sys.modules
    return multiprocessing.get_context("fork") if can_fork else _Context()


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide where the main module lies, for as long as a process is being started."""
    main = sys.modules["__main__"]
    with _HIDING:
        hidden = {name: vars(main).pop(name) for name in ("__file__", "__spec__") if name in vars(main)}
        main.__spec__ = None
        try:
            yield
        finally:
            vars(main).update({"__spec__": None} | hidden)
