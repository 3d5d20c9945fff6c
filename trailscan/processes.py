"""How processes of ours are started: forked where that is fast and safe, else anew."""

import multiprocessing
import sys
import threading
from multiprocessing.context import BaseContext


def starting() -> BaseContext:
    """The way to start a process. Forking is fast, and safe while there is one thread, DuckDB's own counted."""
    can_fork = sys.platform == "linux" and threading.active_count() == 1 and "_duckdb" not in sys.modules
    return multiprocessing.get_context("fork" if can_fork else "spawn")
