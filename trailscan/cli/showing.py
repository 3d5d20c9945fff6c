"""What `show` does, once its arguments are read: find what the id names, tell its story, say what that rests on."""

from datetime import timedelta

from trailscan.cli.terminal import Terminal
from trailscan.cli.words import answers
from trailscan.cli.writing import write_report
from trailscan.errors import ExitCode
from trailscan.evidence.archive import Archive


def show_subject(
    root: str, what: str, kind: str | None, around: timedelta, wanted: str, output: str | None, quiet: bool
) -> int:
    """Write the report of what an id names; gives the exit code: 3 where something behind it is damaged, lost or changed."""
    from trailscan.findings.story import story_of
    from trailscan.findings.subject import subject_of
    from trailscan.search.question import Basis
    from trailscan.store.condition import inspecting
    from trailscan.store.database import Database
    from trailscan.store.holdings import holdings

    archive = Archive(root)
    archive.must_exist()
    with Database(archive.database).reading() as connection, inspecting(connection, archive) as inspection:
        story = story_of(connection, subject_of(connection, what, kind), around, archive.place)
        resting = answers.resting_on(holdings(connection), inspection.condition())
    write_report(story.report, wanted, output)
    basis = Basis(story.events, 0, story.conflicts, story.objects, 0)
    Terminal(quiet).say("\n".join(answers.of_answer(basis, resting, "", story.lost)))
    lacking = story.damaged or story.conflicts or story.lost or not resting.is_sound
    return ExitCode.DAMAGED if lacking else ExitCode.DONE
