"""What `pack` does, once its arguments are read."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.bundle.pack import Load, Narrowing, Packed, pack
from trailscan.cli.run import exit_code
from trailscan.cli.terminal import Terminal
from trailscan.errors import ArchiveBusy, ArchiveError, Forbidden, NotLoaded, ReadOnly, SystemFault, UsageError
from trailscan.files.local_objects import Problem
from trailscan.render.amounts import count, size
from trailscan.render.escape import for_terminal
from trailscan.render.sentences.condition import NOT_LOADED
from trailscan.store.counts import NAMED

if TYPE_CHECKING:  # DuckDB is loaded once there is an archive
    from trailscan.store.database import Connection

Sums = dict[str, frozenset[str]]


class PackOptions(msgspec.Struct, frozen=True):
    """What the command line asks for."""

    out: str
    narrowing: Narrowing
    database: bool
    wheels: bool
    platforms: tuple[str, ...]
    python: str | None


def pack_archive(wish: PackOptions, root: str, quiet: bool) -> int:
    """Pack, note it in the custody log where that can be written, print the bundle's SHA-256, and give the exit code."""
    terminal, archive = Terminal(quiet), ArchiveFolder(root)
    archive.must_exist()
    _check(wish, archive)
    with terminal.clean():
        wheels = _wheels(wish, terminal)
        with _locked(archive) as unwritable, _quiet_database(archive, wish, unwritable is None) as database:
            load = Load(database.path if wish.database else None, wheels, database.known)
            packed = pack(archive, wish.out, wish.narrowing, load, lambda so_far: _progress(terminal, so_far))
            packed.problems[:0] = [*database.problems, *_unreadable(archive)]
            if unwritable is None:
                CustodyLog(archive).append("pack", _arguments(wish), _counts(packed), {"bundle": packed.sha256})
    sys.stdout.write(f"{packed.sha256}  {for_terminal(wish.out)}\n")
    terminal.say("\n".join(_last_words(wish, packed)))
    if unwritable is not None:
        terminal.say(f"not noted in the custody log: {for_terminal(unwritable.message)}")
    return exit_code(len(packed.problems), stopped=False)


@contextlib.contextmanager
def _locked(archive: ArchiveFolder) -> Iterator[SystemFault | None]:
    """Keep other writers out; gives the reason where the archive cannot be written, and so by nobody else."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(archive.lock())
        except (ReadOnly, Forbidden) as error:
            yield error
        else:
            yield None


def _check(wish: PackOptions, archive: ArchiveFolder) -> None:
    if os.path.isdir(wish.out):
        raise UsageError(f"{wish.out} is a folder", "name the file to write, such as case-17.tar")
    if os.path.abspath(wish.out).startswith(os.path.join(archive.objects, "")):
        raise UsageError(f"{wish.out} lies among the objects to be packed", "write it elsewhere")
    if (wish.platforms or wish.python) and not wish.wheels:
        raise UsageError("--platform and --python say for what to fetch wheels", "add --with-wheels")


def _wheels(wish: PackOptions, terminal: Terminal) -> dict[str, bytes]:
    if not wish.wheels:
        return {}
    from trailscan.bundle.wheels import Target, wheelhouse

    terminal.progress("fetching wheels")
    target = Target(wish.platforms, wish.python)
    wheels = wheelhouse(target)
    if target.too_old:
        terminal.say("some wheels need glibc 2.28 or newer: DuckDB has none for the platform that was asked for")
    return wheels


class _Quiet(msgspec.Struct):
    """A database that nobody writes: its path, the SHA-256s it knows of files outside the archive, its problems."""

    path: str
    known: Sums = {}
    problems: list[Problem] = []


@contextlib.contextmanager
def _quiet_database(archive: ArchiveFolder, wish: PackOptions, is_writable: bool) -> Iterator[_Quiet]:
    """Keep other programs from writing the database. Raises NotLoaded for one that must not stand for the whole archive."""
    from trailscan.store.database import Database

    with contextlib.ExitStack() as stack:
        quiet = _Quiet(archive.database)
        try:
            if os.path.exists(f"{archive.database}.wal"):  # left by a process that was killed
                if not is_writable:
                    quiet.path = _copied(archive.database, stack.enter_context(tempfile.TemporaryDirectory()))
                with Database(quiet.path).writing():
                    pass
            database = Database(quiet.path)
            if database.exists():
                connection = stack.enter_context(database.reading())
                if wish.database and not wish.narrowing:
                    _must_be_loaded(connection, archive)
                quiet.known = _known(connection)
        except (ArchiveBusy, NotLoaded):
            raise
        except ArchiveError as error:
            quiet.problems.append(Problem(os.path.basename(archive.database), f"packed as it is, but {error.message}"))
        yield quiet


def _copied(database: str, folder: str) -> str:
    """A copy of a database and its write-ahead log, to be merged where that can be written."""
    copy = os.path.join(folder, os.path.basename(database))
    for ending in ("", ".wal"):
        shutil.copyfile(f"{database}{ending}", f"{copy}{ending}")
    return copy


def _must_be_loaded(connection: "Connection", archive: ArchiveFolder) -> None:
    from trailscan.store.archive_stats import never_loaded
    from trailscan.store.backlog import not_loaded

    if behind := not_loaded(connection, archive) + sum(1 for _ in never_loaded(connection)):
        hint = "or leave the database out, and `trailscan unpack` makes it of all objects: --no-database"
        raise NotLoaded(f"{count(behind, 'object')} {NOT_LOADED}", hint)


def _known(connection: "Connection") -> Sums:
    from trailscan.store.database import run

    files = "source = 'file' AND member IS NULL AND sha256 IS NOT NULL"
    rows = run(connection, f"SELECT path, list(DISTINCT sha256) FROM objects WHERE {files} GROUP BY path")
    return {path: frozenset(sums) for path, sums in rows}


def _unreadable(archive: ArchiveFolder) -> list[Problem]:
    """The manifest's lines that name no object: a bundle of a part leaves them out."""
    return [Problem("manifest.jsonl", f"line {number} names no object") for number in archive.unreadable_lines()]


def _arguments(wish: PackOptions) -> dict[str, object]:
    return {
        "out": os.path.basename(wish.out),
        "database": wish.database and not wish.narrowing,
        "wheels": wish.wheels,
        **(wish.narrowing.as_arguments() if wish.narrowing else {}),
    }


def _counts(packed: Packed) -> dict[str, int]:
    return {
        "files": packed.members,
        "objects": packed.objects,
        "left_out": packed.left_out,
        "bytes": packed.bytes,
        "problems": len(packed.problems),
    }


def _progress(terminal: Terminal, packed: Packed) -> None:
    terminal.progress(f"{count(packed.objects, 'object')} packed")


def _last_words(wish: PackOptions, packed: Packed) -> list[str]:
    others = packed.members - packed.objects
    lines = [f"packed: {count(packed.objects, 'object')} and {count(others, 'more file')}, {size(packed.bytes)}"]
    if wish.narrowing:
        lines.append(f"left out: {count(packed.left_out, 'object')} that were not asked for")
        if packed.unnamed:
            lines.append(f"  {packed.unnamed:,} of them since their keys do not tell account, region or time")
        if wish.narrowing.since or wish.narrowing.until:
            lines.append("  by day of delivery, from an hour before --since to a day after --until")
        lines.append("the database is left out, since it holds the rest too; `trailscan unpack` makes it anew")
    if packed.problems:
        lines.append(f"{count(len(packed.problems), 'file')} missing, altered or not fit to be packed:")
        lines += [f"  {for_terminal(found.path)}: {for_terminal(found.reason)}" for found in packed.problems[:NAMED]]
        lines += [f"  and {len(packed.problems) - NAMED:,} more"] if len(packed.problems) > NAMED else []
    return lines
