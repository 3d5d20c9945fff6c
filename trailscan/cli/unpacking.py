"""What `unpack` does, once its arguments are read."""

import contextlib
import os
import re
import sys

from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.bundle.unpack import Unpacked, unpack
from trailscan.cli.terminal import Terminal
from trailscan.errors import ArchiveError, ExitCode, SourceError, UsageError
from trailscan.render.amounts import count, size
from trailscan.render.sentences import archives
from trailscan.render.sentences.answers import search_scope


def unpack_bundle(bundle: str, sha256: str | None, jobs: int | None, root: str, quiet: bool) -> int:
    """Unpack, note it in the custody log, make the database if none came, and give the exit code."""
    terminal, archive = Terminal(quiet), ArchiveFolder(root)
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UsageError(f"{sha256!r} is not a SHA-256", "give the 64 hexadecimal digits that `trailscan pack` printed")
    with terminal.clean():
        found = _unpack(bundle, sha256, root, terminal)
    archive.create()
    with archive.lock():
        name = "-" if bundle == "-" else os.path.basename(bundle)
        counts = {"files": found.members, "objects": found.objects, "bytes": found.bytes}
        CustodyLog(archive).append("unpack", {"bundle": name}, counts, {"bundle": found.sha256})
    terminal.say(f"unpacked: {count(found.members, 'file')}, {count(found.objects, 'object')} among them, {size(found.bytes)}")
    terminal.say(f"the bundle's SHA-256 is {found.sha256}" + (", as it must be" if sha256 else ""))
    code = _told(archive, terminal) if found.with_database else _rebuilt(root, jobs, quiet)
    terminal.say("to check it against CloudTrail's signatures: `trailscan verify`")
    return code


def _unpack(bundle: str, sha256: str | None, root: str, terminal: Terminal) -> Unpacked:
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if bundle == "-" else open(bundle, "rb", buffering=0) as file:
            return unpack(file, root, sha256, lambda so_far: terminal.progress(f"{count(so_far.objects, 'object')} unpacked"))
    except OSError as error:
        raise SourceError(f"cannot read {bundle}: {error.strerror}") from error


def _told(archive: ArchiveFolder, terminal: Terminal) -> int:
    """Say what the database that came along holds."""
    from trailscan.store.archive_stats import archive_stats
    from trailscan.store.condition import inspecting
    from trailscan.store.database import Database

    try:
        with Database(archive.database).reading() as connection, inspecting(connection, archive) as inspection:
            held = archive_stats(connection)
            resting = search_scope(held, inspection.condition())
            terminal.say("\n".join(archives.of_status(held, resting)))
    except ArchiveError as error:
        terminal.say(f"{error.message}\n{error.hint}")
        return ExitCode.DAMAGED
    terminal.say("its database came with it; `trailscan rebuild` makes it anew from the objects")
    return ExitCode.DONE if resting.is_sound else ExitCode.DAMAGED


def _rebuilt(root: str, jobs: int | None, quiet: bool) -> int:
    from trailscan.cli.rebuilding import rebuild_archive

    return rebuild_archive(root, (), jobs, quiet)
