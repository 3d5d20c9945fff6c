"""What an answer from an archive rests on, for commands that ask no more of its database than that."""

from trailscan.cli.words.answers import Resting, resting_on
from trailscan.evidence.archive import Archive


def resting_of(archive: Archive) -> Resting:
    """Look at an archive. Raises what Database.reading raises."""
    from trailscan.store.condition import inspecting
    from trailscan.store.database import Database
    from trailscan.store.holdings import holdings

    with Database(archive.database).reading() as connection, inspecting(connection, archive) as inspection:
        return resting_on(holdings(connection), inspection.condition())
