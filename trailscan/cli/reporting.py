"""What `status` does, once its arguments are read."""

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Literal

import msgspec

from trailscan.archive.custody_log import CustodyLog, Entry
from trailscan.archive.folder import ArchiveFolder
from trailscan.cli.run import note
from trailscan.cli.terminal import Terminal
from trailscan.cli.writing import write_table
from trailscan.errors import ExitCode
from trailscan.render.escape import for_terminal
from trailscan.render.sentences import archives
from trailscan.render.sentences.answers import search_scope

if TYPE_CHECKING:  # DuckDB is loaded once there is an archive
    from trailscan.store.database import Connection

Part = Literal["all", "damage", "about"]


def report_status(root: str, part: Part, wanted: str, output: str | None, quiet: bool) -> int:
    """Write the part asked for; all is what is held and, for people, the facts and what is damaged. Gives the exit code."""
    from trailscan.query.status import damage_table, facts_table, held_table
    from trailscan.store.archive_stats import archive_stats
    from trailscan.store.condition import inspecting
    from trailscan.store.database import Database

    archive = ArchiveFolder(root)
    archive.must_exist()
    for_people = part == "all" and wanted == "table" and output is None
    with Database(archive.database).reading() as connection, inspecting(connection, archive) as inspection:
        held = archive_stats(connection)
        if part == "all":
            write_table(held_table(connection), wanted, output)
        if part == "about" or for_people:
            sys.stdout.write("\n" if for_people else "")
            write_table(facts_table(_facts(archive, connection)), wanted, output)
        if part == "damage" or (for_people and (held.damage or held.foreign or held.dismissed)):
            sys.stdout.write("\n" if for_people else "")
            write_table(damage_table(connection), wanted, output)
        resting = search_scope(held, inspection.condition())
    Terminal(quiet).say("\n".join(archives.of_status(held, resting)))
    return ExitCode.DAMAGED if held.damage or held.foreign or not resting.is_sound else ExitCode.DONE


def dismiss_flaw(root: str, flaw_id: str, reason: str, quiet: bool) -> int:
    """Set a damage or a foreign object aside, write it into the custody log; gives the exit code."""
    from trailscan.store.database import Database
    from trailscan.store.dismissals import COMMAND, dismiss, dismissed_in, flaw_of

    archive = ArchiveFolder(root)
    archive.must_exist()
    database = Database(archive.database)
    with archive.lock():
        with database.reading() as connection:
            what, name = flaw_of(connection, flaw_id)
        note(archive, COMMAND, {"id": flaw_id, "reason": reason, "what": what, "object": name}, {})
        dismiss(database, dismissed_in(CustodyLog(archive).entries()))
    Terminal(quiet).say(f"dismissed: {for_terminal(name)}, {what}: {for_terminal(reason)}")
    return ExitCode.DONE


def _facts(archive: ArchiveFolder, connection: "Connection") -> list[tuple[str, str]]:
    """What was last done to the archive, what verification found, and how large all is."""
    from trailscan.query.status import digests_held, stored_bytes, verdict_counts, verified_at

    last: dict[str, Entry] = {}
    for entry in CustodyLog(archive).entries():
        last[entry.command] = entry
    done = [(f"last {command}", archives.of_entry(entry)) for command, entry in sorted(last.items())]
    return [
        *done,
        ("verified", archives.of_verdicts(verified_at(connection), verdict_counts(connection))),
        ("digests", f"{digests_held(connection):,}"),
        ("public keys", archives.of_keys(_keys(archive))),
        ("size", archives.of_size(stored_bytes(connection), os.path.getsize(archive.database))),
    ]


def _keys(archive: ArchiveFolder) -> dict[str, int | None]:
    """How many public keys are held of each region; None where the file cannot be read."""
    found: dict[str, int | None] = {}
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(archive.keys)):
            region, ending = os.path.splitext(name)
            if ending == ".json":
                found[region] = _number_of_keys(os.path.join(archive.keys, name))
    return found


def _number_of_keys(path: str) -> int | None:
    try:
        with open(path, "rb") as file:
            return len(msgspec.json.decode(file.read(), type=list[dict[str, str]]))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
