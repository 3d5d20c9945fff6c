"""What `status` does, once its arguments are read."""

import sys

from trailscan.cli import endings
from trailscan.cli.terminal import Terminal
from trailscan.cli.writing import write_table
from trailscan.errors import ExitCode
from trailscan.evidence.archive import Archive


def report_status(root: str, damage: bool, wanted: str, output: str | None, quiet: bool) -> int:
    """Write what is held, then, for people, what is damaged; gives the exit code."""
    from trailscan.search.status import damage_table, held_table
    from trailscan.store.database import Database
    from trailscan.store.holdings import holdings

    archive = Archive(root)
    archive.must_exist()
    with Database(archive.database).reading() as connection:
        held = holdings(connection)
        if not damage:
            write_table(held_table(connection), wanted, output)
        if damage or (wanted == "table" and output is None and held.damage):
            sys.stdout.write("" if damage else "\n")
            write_table(damage_table(connection), wanted, output)
    Terminal(quiet).say("\n".join(endings.of_status(held)))
    return ExitCode.DAMAGED if held.damage else ExitCode.DONE
