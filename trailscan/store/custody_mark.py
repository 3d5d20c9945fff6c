"""What the database remembers of the custody log: that it once had a line of this hash. A log without it was shortened.

It is noted after the line was written, so that a process that is killed in between leaves a database that remembers less.
"""

import contextlib
import os

from trailscan.archive.custody_log import CustodyLog, Entry, Remembered, hash_of, line_of
from trailscan.archive.folder import ArchiveFolder
from trailscan.errors import ArchiveError
from trailscan.store.database import Connection, Database, run

NAME = "custody"  # in `about`: `<number of the line> <its SHA-256>`
_PATIENCE = 1.0  # seconds: what cannot be noted now is noted after the next command


def remembered(connection: Connection) -> Remembered | None:
    """The line that was noted last; None where none was, or what stands there is none."""
    found = run(connection, "SELECT value FROM about WHERE name = ?", [NAME])
    number, _, head = str(found[0][0]).partition(" ") if found else ("", "", "")
    return Remembered(int(number), head) if number.isdecimal() and len(number) < 18 and head else None  # noqa: PLR2004


def remembered_by(database: Database) -> Remembered | None:
    """The same of a database that may not be there, or cannot be asked."""
    with contextlib.suppress(ArchiveError):
        if os.path.isfile(database.path):
            with database.reading() as connection:
                return remembered(connection)
    return None


def remember(archive: ArchiveFolder, entry: Entry) -> None:
    """Note a line that was just written, unless the log lacks what was noted before: that must not be forgotten.

    Needs the archive's lock. A database that cannot be written now is left as it is.
    """
    with contextlib.suppress(ArchiveError), Database(archive.database, _PATIENCE).writing() as connection:
        before = remembered(connection)
        if before is None or CustodyLog(archive).holds(before):
            value = f"{entry.number} {hash_of(line_of(entry))}"
            run(connection, "INSERT OR REPLACE INTO about VALUES (?, ?)", [NAME, value])
