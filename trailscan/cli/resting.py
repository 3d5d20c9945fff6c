"""What an answer from an archive rests on, for commands that ask no more of its database than that."""

from trailscan.archive.folder import ArchiveFolder
from trailscan.render.sentences.answers import SearchScope, search_scope


def resting_of(archive: ArchiveFolder) -> SearchScope:
    """Look at an archive. Raises what Database.reading raises."""
    from trailscan.store.archive_stats import archive_stats
    from trailscan.store.condition import inspecting
    from trailscan.store.database import Database

    with Database(archive.database).reading() as connection, inspecting(connection, archive) as inspection:
        return search_scope(archive_stats(connection), inspection.condition())
