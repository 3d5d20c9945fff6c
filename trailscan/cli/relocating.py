"""What `relocate` does, once its arguments are read: files that were loaded where they lay are found again elsewhere."""

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.loaded_paths import is_elsewhere
from trailscan.archive.origin import Origin
from trailscan.cli.run import Tally, counts_of, exit_code, interruptible
from trailscan.cli.terminal import Terminal
from trailscan.errors import UsageError
from trailscan.files.local_objects import sane
from trailscan.records.worker_pool import Workers
from trailscan.render.sentences import funnels

if TYPE_CHECKING:  # DuckDB is loaded after the workers were started
    from trailscan.store.database import Database


def relocate_files(old: str, new: str, jobs: int | None, root: str, quiet: bool) -> int:
    """Re-point what lies at NEW with the SHA-256 it was recorded with, load what could not be read, and give the exit code."""
    terminal, archive = Terminal(quiet), ArchiveFolder(root)
    archive.must_exist()
    old, new = old if is_elsewhere(old) else os.path.abspath(old), os.path.abspath(new)
    old = old.rstrip("/\\") or old
    refused: list[tuple[str, str]] = []
    with Workers(jobs) as workers, interruptible() as stop, terminal.clean():
        from trailscan.operations.relocation import Move, apply, files_of, with_same_bytes
        from trailscan.store.database import Database
        from trailscan.store.ingest import Ingest

        database = Database(archive.database)
        with archive.lock():
            held = [Move(number, origin, _moved(origin, old, new)) for number, origin in files_of(archive, database, old)]
            if not held:
                raise UsageError(f"no file that was loaded lies below {old}", "`trailscan show ID` says where a file lay")
            moves = list(with_same_bytes(held, workers, archive, lambda move, why: refused.append((move.old.path, why))))
            unread = _unread(database)
            apply(archive, database, moves)
            intake, tally = Ingest(archive, workers, (), stop.is_set), Tally(terminal)
            for loaded in intake.load((move.new, move.object_id) for move in moves if move.object_id in unread):
                tally.add(loaded)
            counts = {"objects": len(held), "relocated": len(moves), "refused": len(refused)}
            CustodyLog(archive).append("relocate", {"old": old, "new": new}, counts_of(tally.loaded) | counts)
    terminal.say("\n".join(funnels.of_relocation(len(held), len(moves), refused, tally)))
    return exit_code(len(refused) + tally.loaded.damaged_objects, stop.is_set())


def _unread(database: "Database") -> set[int]:
    from trailscan.store.archive_stats import unread_ids

    with database.reading() as connection:
        return unread_ids(connection)


def _moved(origin: Origin, old: str, new: str) -> Origin:
    rest = origin.path[len(old) :].replace("\\", os.sep)
    path = os.path.normpath(new + rest)
    modified = origin.last_modified
    if origin.member is None and os.path.exists(path):
        modified = datetime.fromtimestamp(sane(os.stat(path).st_mtime), UTC).replace(tzinfo=None)
    return msgspec.structs.replace(origin, path=path, last_modified=modified, moved_from=origin.path)
