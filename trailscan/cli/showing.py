"""What `show` does, once its arguments are read: find what the id names, tell its story, say what that rests on."""

from datetime import timedelta

from trailscan.archive.folder import ArchiveFolder
from trailscan.cli.terminal import Terminal
from trailscan.cli.writing import write_report
from trailscan.errors import ExitCode
from trailscan.render.sentences import answers


def show_subject(
    root: str, what: str, kind: str | None, around: timedelta, wanted: str, output: str | None, quiet: bool
) -> int:
    """Write the report of what an id names; gives the exit code: 3 where something behind it is damaged, lost or changed."""
    from trailscan.investigate.lookup import story_of
    from trailscan.investigate.subject import subject_of
    from trailscan.query.events import EventBasis
    from trailscan.store.archive_stats import archive_stats
    from trailscan.store.condition import inspecting
    from trailscan.store.database import Database

    archive = ArchiveFolder(root)
    archive.must_exist()
    with Database(archive.database).reading() as connection, inspecting(connection, archive) as inspection:
        story = story_of(connection, subject_of(connection, what, kind), around, archive.place)
        resting = answers.search_scope(archive_stats(connection), inspection.condition())
    write_report(story.report, wanted, output)
    basis = EventBasis(story.events, 0, story.conflicts, story.objects, 0)
    Terminal(quiet).say("\n".join(answers.of_answer(basis, resting, "", story.lost)))
    lacking = story.damaged or story.conflicts or story.lost or not resting.is_sound
    return ExitCode.DAMAGED if lacking else ExitCode.DONE
