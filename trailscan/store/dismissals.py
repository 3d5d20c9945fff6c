"""What a person has set aside: a damage or a foreign file, by its id, with a reason. The custody log is where it is kept."""

from collections.abc import Iterable
from datetime import datetime

from trailscan.archive.custody_log import Entry
from trailscan.errors import UsageError
from trailscan.store.database import Connection, Database, run

COMMAND = "status --dismiss"  # its name in the custody log


def flaw_of(connection: Connection, flaw_id: str) -> tuple[str, str]:
    """What a flaw is and of which object. Raises UsageError where no flaw has this id."""
    found = run(connection, "SELECT what, coalesce(key, reason) FROM flaws WHERE id = ? LIMIT 1", [flaw_id])
    if not found:
        raise UsageError(f"nothing damaged or foreign has the id {flaw_id!r}", "`trailscan status --damage` lists them")
    return str(found[0][0]), str(found[0][1])


def dismiss(database: Database, ids: Iterable[tuple[str, str, datetime]]) -> None:
    """Set flaws aside: each by its id, the reason, and when (UTC)."""
    rows = list(ids)
    if not rows:
        return
    with database.writing() as connection:
        for row in rows:
            run(connection, "INSERT OR REPLACE INTO dismissals VALUES (?, ?, ?)", list(row))


def dismissed_in(entries: Iterable[Entry]) -> list[tuple[str, str, datetime]]:
    """What the custody log says was set aside."""
    return [
        (str(entry.arguments.get("id")), str(entry.arguments.get("reason")), _moment(entry.at))
        for entry in entries
        if entry.command == COMMAND
    ]


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return datetime(1970, 1, 1)  # noqa: DTZ001 - the tables hold UTC without zone
