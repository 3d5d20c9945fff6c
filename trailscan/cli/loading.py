"""What `load` does, once its arguments are read."""

import os

from trailscan.cli.run import Tally, counts_of, exit_code, interruptible, note, widened
from trailscan.cli.terminal import Terminal
from trailscan.cli.words import funnels
from trailscan.evidence.archive import Archive
from trailscan.evidence.folder import find_objects
from trailscan.evidence.local import Survey
from trailscan.records.needles import Needles
from trailscan.records.workers import Workers


def load_paths(paths: list[str], only: tuple[str, ...], jobs: int | None, root: str, quiet: bool) -> int:
    """Load, report, and give the exit code."""
    terminal, survey = Terminal(quiet), Survey()
    found = find_objects(paths, survey)
    archive = Archive(root)
    only = widened(archive, only)
    with Workers(jobs, Needles.of([only]) if only else None) as workers, interruptible() as stop, terminal.clean():
        from trailscan.store.arrivals import Arrivals
        from trailscan.store.intake import Intake

        archive.create()
        with archive.lock():
            intake = Intake(archive, workers, only, stop.is_set)
            arrivals = Arrivals(archive, intake, survey, only)
            tally = Tally(terminal)
            for loaded in intake.load(arrivals.of(found)):
                tally.add(loaded)
            intake.note_problems(survey.problems)
            if not stop.is_set():
                intake.settle()
            counts = {
                "found": arrivals.found,
                "held": arrivals.held,
                **counts_of(tally.loaded),
                "problems": len(survey.problems),
            }
            arguments = {"paths": list(map(os.path.abspath, paths)), "only": only, "stopped": stop.is_set()}
            note(archive, "load", arguments, counts)
    terminal.say(funnels.found_funnel(arrivals.found, tally.loaded, arrivals.held, survey))
    terminal.say("\n".join(funnels.of_loading(tally.loaded, tally.seconds, survey.problems)))
    if intake.unreadable:
        terminal.say("\n".join(funnels.of_lines(intake.unreadable)))
    if stop.is_set():
        terminal.say("stopped: what is loaded is kept; run the same command again to go on")
    return exit_code(tally.loaded.flawed_objects + len(survey.problems) + len(intake.unreadable), stop.is_set())


def load_backlog(only: tuple[str, ...], jobs: int | None, root: str, quiet: bool) -> int:
    """Load what was fetched and never loaded, or not in full; gives the exit code."""
    terminal, archive = Terminal(quiet), Archive(root)
    archive.must_exist()
    only = widened(archive, only)
    with Workers(jobs, Needles.of([only]) if only else None) as workers, interruptible() as stop, terminal.clean():
        from trailscan.store.backlog import waiting
        from trailscan.store.database import Database
        from trailscan.store.intake import Intake

        with archive.lock():
            incoming = waiting(archive, Database(archive.database), only)
            intake = Intake(archive, workers, only, stop.is_set)
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
