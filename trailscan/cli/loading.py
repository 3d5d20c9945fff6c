"""What `load` does, once its arguments are read."""

import os
from collections.abc import Callable, Sequence

import msgspec

from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.origin import Origin, name_of
from trailscan.cli.run import Tally, counts_of, exit_code, interruptible, merge_event_names, note
from trailscan.cli.terminal import Terminal
from trailscan.files.folder import find_objects
from trailscan.files.local_objects import Problem, Survey, printable
from trailscan.records.prefilter import Needles
from trailscan.records.worker_pool import Workers
from trailscan.render.sentences import funnels
from trailscan.store.counts import Loaded


class Wish(msgspec.Struct, frozen=True):
    """What the command line asks for: `copies` takes the files into the archive, too."""

    paths: tuple[str, ...]
    only: tuple[str, ...]
    copies: bool
    jobs: int | None


def load_paths(wish: Wish, root: str, quiet: bool) -> int:
    """Load, report, and give the exit code."""
    terminal, archive = Terminal(quiet), ArchiveFolder(root)
    survey = Survey()
    found = find_objects(wish.paths, survey)
    wish = msgspec.structs.replace(wish, only=merge_event_names(archive, wish.only))
    with (
        Workers(wish.jobs, Needles.of([wish.only]) if wish.only else None) as workers,
        interruptible() as stop,
        terminal.clean(),
    ):
        from trailscan.store.arrivals import Arrivals
        from trailscan.store.backlog import Backlog
        from trailscan.store.ingest import Ingest

        archive.create()
        with archive.lock():
            intake = Ingest(archive, workers, wish.only, stop.is_set)
            intake.database.create()
            backlog = Backlog(archive, intake.database, None)
            arrivals = Arrivals(archive, intake.database, backlog.held, survey, wish.only, copies=wish.copies)
            tally, late, fresh = Tally(terminal), Loaded(), Loaded()
            for loaded in intake.load(backlog.incoming, lambda: False):
                tally.add(loaded)
                late.add(loaded)
            for loaded in intake.load(arrivals.of(found), lambda: not arrivals.again, fresh=True):
                tally.add(loaded)
                fresh.add(loaded)
            for loaded in intake.load(arrivals.again):
                tally.add(loaded)
                fresh.add(loaded)
            copied = _copy_held(archive, workers, arrivals.uncopied, survey, stop.is_set)
            intake.note_problems(survey.problems)
            if not stop.is_set():
                intake.settle()
            counts = {
                "found": arrivals.found,
                "held": arrivals.held,
                **counts_of(tally.loaded),
                "problems": len(survey.problems),
            }
            arguments = {
                "paths": list(map(os.path.abspath, wish.paths)),
                "only": wish.only,
                "copy": wish.copies,
                "stopped": stop.is_set(),
            }
            note(archive, "load", arguments, counts)
    funnel = funnels.found_funnel(arrivals.found, fresh, arrivals.held, survey)
    terminal.say("\n".join([*funnels.of_leftovers(late.objects), funnel]))
    terminal.say("\n".join([*funnels.of_copies(copied), *funnels.of_loading(tally.loaded, tally.seconds, survey.problems)]))
    if intake.unreadable:
        terminal.say("\n".join(funnels.of_lines(intake.unreadable)))
    if stop.is_set():
        terminal.say("stopped: what is loaded is kept; run the same command again to go on")
    return exit_code(tally.loaded.flawed_objects + len(survey.problems) + len(intake.unreadable), stop.is_set())


def load_backlog(only: tuple[str, ...], jobs: int | None, root: str, quiet: bool) -> int:
    """Load what was fetched and never loaded, or not in full; gives the exit code."""
    terminal, archive = Terminal(quiet), ArchiveFolder(root)
    archive.must_exist()
    only = merge_event_names(archive, only)
    with Workers(jobs, Needles.of([only]) if only else None) as workers, interruptible() as stop, terminal.clean():
        from trailscan.store.backlog import waiting
        from trailscan.store.database import Database
        from trailscan.store.ingest import Ingest

        with archive.lock():
            incoming = waiting(archive, Database(archive.database), only)
            intake = Ingest(archive, workers, only, stop.is_set)
            tally = Tally(terminal)
            for loaded in intake.load(incoming):
                tally.add(loaded)
            if not stop.is_set():
                intake.settle()
            arguments = {"paths": [], "only": only, "stopped": stop.is_set()}
            note(archive, "load", arguments, {"found": len(incoming), **counts_of(tally.loaded)})
    terminal.say(funnels.of_backlog(len(incoming)))
    terminal.say("\n".join(funnels.of_loading(tally.loaded, tally.seconds, [])))
    if intake.unreadable:
        terminal.say("\n".join(funnels.of_lines(intake.unreadable)))
    if stop.is_set():
        terminal.say("stopped: what is loaded is kept; run the same command again to go on")
    return exit_code(tally.loaded.flawed_objects + len(intake.unreadable), stop.is_set())


def _copy_held(
    archive: ArchiveFolder, workers: Workers, uncopied: Sequence[Origin], survey: Survey, stop: Callable[[], bool]
) -> int:
    """Take copies of files that were loaded before and left where they are; returns of how many objects."""
    from trailscan.operations.relocation import Move, apply, files_of, with_same_bytes
    from trailscan.store.database import Database

    database, names = Database(archive.database), {name_of(origin) for origin in uncopied}
    copied: list[Move] = []
    for path in dict.fromkeys(origin.path for origin in uncopied):
        if stop():
            break
        held = [each for each in files_of(archive, database, path) if name_of(each[1]) in names]
        if not held:
            continue
        try:
            copy = archive.copy(path)
        except OSError as error:
            survey.problems.append(Problem(printable(path), f"it cannot be copied: {error.strerror}"))
            continue
        moves = [Move(number, origin, msgspec.structs.replace(origin, copy=copy)) for number, origin in held]
        copied += with_same_bytes(moves, workers, archive, lambda move, why: _refuse(survey, move.old, why))
    apply(archive, database, copied)
    return len(copied)


def _refuse(survey: Survey, origin: Origin, why: str) -> None:
    survey.problems.append(Problem(printable(origin.path), f"its copy does not count: {why}"))
