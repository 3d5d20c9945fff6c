"""What `rebuild` does, once its arguments are read."""

import contextlib
import os
from typing import TYPE_CHECKING

from trailscan.cli.run import Tally, counts_of, exit_code, interruptible
from trailscan.cli.terminal import Terminal
from trailscan.cli.words import funnels
from trailscan.errors import ArchiveError
from trailscan.evidence.archive import Archive
from trailscan.evidence.custody import Custody
from trailscan.records.needles import Needles
from trailscan.records.workers import Workers

if TYPE_CHECKING:  # DuckDB is loaded after the workers were started
    from trailscan.store.database import Database


def rebuild_archive(root: str, only: tuple[str, ...], jobs: int | None, quiet: bool) -> int:
    """Load everything that the archive holds into a new database, put it in the old one's place, and give the exit code."""
    terminal, archive = Terminal(quiet), Archive(root)
    archive.must_exist()
    with Workers(jobs, Needles.of([only]) if only else None) as workers, interruptible() as stop, terminal.clean():
        from trailscan.store.database import Database
        from trailscan.store.intake import Intake

        with archive.lock():
            fresh = Database(f"{archive.database}.rebuild")
            _remove(fresh.path)
            intake = Intake(archive, workers, only, stop.is_set, fresh)
            tally = Tally(terminal)
            for loaded in intake.load((origin, None) for origin in archive.everything()):
                tally.add(loaded)
            if stop.is_set():
                _remove(fresh.path)
                terminal.say("stopped: the database is as it was")
                return exit_code(0, stopped=True)
            intake.settle()
            carried = _carry_over(Database(archive.database), fresh)
            os.replace(fresh.path, archive.database)
            Custody(archive).append("rebuild", {"only": only}, counts_of(tally.loaded))
    terminal.say("\n".join([*funnels.of_rebuild(tally), *carried]))
    return exit_code(tally.loaded.damaged_objects, stopped=False)


def _carry_over(old: "Database", fresh: "Database") -> list[str]:
    """Take over what no object tells, findings and whom they are to be told; says so, or why it could not."""
    from trailscan.store.findings import carry_over

    if not old.exists():
        return []
    try:
        return funnels.of_carried(carry_over(old, fresh))
    except ArchiveError as error:
        return funnels.of_not_carried(error.message)


def _remove(path: str) -> None:
    for name in (path, f"{path}.wal"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(name)
