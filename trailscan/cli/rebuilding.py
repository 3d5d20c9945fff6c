"""What `rebuild` does, once its arguments are read."""

from typing import TYPE_CHECKING

from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.cli.evidence_found import Evidence
from trailscan.cli.run import Tally, counts_of, exit_code, interruptible, note
from trailscan.cli.terminal import Terminal
from trailscan.records.prefilter import Needles
from trailscan.records.worker_pool import Workers
from trailscan.render.sentences import funnels
from trailscan.store.counts import Loaded

if TYPE_CHECKING:  # DuckDB is loaded after the workers were started
    from trailscan.store.database import Database
    from trailscan.store.salvage import Salvaged


def rebuild_archive(root: str, only: tuple[str, ...], jobs: int | None, quiet: bool, accept_altered: bool = False) -> int:
    """Load everything that the archive holds into a new database, put it in the old one's place, and give the exit code.

    What does not have the SHA-256 that was recorded is named and not loaded, but with `accept_altered`.
    """
    terminal, archive = Terminal(quiet), ArchiveFolder(root)
    archive.must_exist()
    with Workers(jobs, Needles.of([only]) if only else None) as workers, interruptible() as stop, terminal.clean():
        from trailscan.store.database import Database, fresh_path
        from trailscan.store.dismissals import dismiss, dismissed_in
        from trailscan.store.ingest import Ingest
        from trailscan.store.salvage import salvage
        from trailscan.store.swapping import wipe

        with archive.lock():
            old, fresh = Database(archive.database), Database(fresh_path(archive.database))
            wipe(fresh.path)
            try:
                saved, evidence = salvage(old), Evidence(archive)
                fresh.make()
                intake = Ingest(archive, workers, only, stop.is_set, fresh, accept_altered=accept_altered)
                tally = Tally(terminal)
                for loaded in intake.load(evidence.recorded(), lambda: False):
                    tally.add(loaded)
                for loaded in intake.load(evidence.strays(), fresh=True):
                    tally.add(loaded)
                intake.note_problems(evidence.problems)
                if stop.is_set():
                    terminal.say("stopped: the database is as it was")
                    return exit_code(0, stopped=True)
                intake.settle()
                dismiss(fresh, dismissed_in(CustodyLog(archive).entries()))
                counts = counts_of(tally.loaded) | evidence.counts(fresh)
                moved = _replace(old, fresh, saved, tally.loaded)
            finally:
                wipe(fresh.path)
            note(archive, "rebuild", {"only": only, "accept_altered": accept_altered}, counts)
    lines = [*funnels.of_rebuild(tally), *evidence.report(accept_altered), *funnels.of_lines(intake.unreadable)]
    terminal.say("\n".join([*lines, *funnels.of_carried(saved.findings, saved.lost, moved)]))
    flawed = tally.loaded.flawed_objects + len(evidence.problems) + len(evidence.flaws) + len(intake.unreadable)
    return exit_code(flawed, stopped=False)


def _replace(old: "Database", fresh: "Database", saved: "Salvaged", loaded: Loaded) -> str | None:
    """Give the new database what no object tells, and the old one's place; returns where a folder in its place went."""
    from trailscan.store.salvage import put_back
    from trailscan.store.swapping import swap_in

    rows = put_back(saved, fresh)
    return swap_in(fresh, old, {"objects": loaded.objects, "events": loaded.loaded + loaded.copies} | rows)
