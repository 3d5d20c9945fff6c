"""Files whose bytes are found elsewhere than where they were loaded from: put on record, then into the database."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.origin import Origin, bytes_of, name_of, state_of
from trailscan.records.worker_pool import Workers
from trailscan.store.archive_stats import files_below
from trailscan.store.arrow import Cells, Kinds, rows_as_arrow
from trailscan.store.database import Connection, Database, run
from trailscan.store.rows import forget
from trailscan.verify.object_check import StoredObject, check_logs

_MOVED: Kinds = {
    "object_id": "integer",
    **dict.fromkeys(("path", "copy", "member", "sha256"), "text"),
    "last_modified": "time",
}


class Move(msgspec.Struct, frozen=True):
    """An object that is held, as it was recorded and as it is to be recorded now."""

    object_id: int
    old: Origin
    new: Origin


def files_of(archive: ArchiveFolder, database: Database, path: str) -> Iterator[tuple[int, Origin]]:
    """The files of this path or below it that have no copy in the archive, with their ids, as the manifest has them."""
    with database.reading() as connection:
        ids = {(name_of(origin), state_of(origin)): number for origin, number in files_below(connection, path)}
    for origin in archive.versions() if ids else ():
        number = ids.get((name_of(origin), state_of(origin)))
        if number is not None and origin.source == "file":
            yield number, origin


def with_same_bytes(
    moves: Iterable[Move], workers: Workers, archive: ArchiveFolder, refuse: Callable[[Move, str], None]
) -> Iterator[Move]:
    """Those whose bytes, where they are said to be, have the SHA-256 that was recorded; others are refused, with why."""
    kept: dict[int, Move] = {}

    def asked() -> Iterator[StoredObject]:
        for move in moves:
            if move.old.sha256 is None:
                refuse(move, "no SHA-256 was recorded of it, so that nothing shows whether it is the same")
                continue
            kept[move.object_id] = move
            yield StoredObject(move.object_id, move.new)

    for each, checked in check_logs(workers, asked(), archive.place):
        move = kept.pop(each.object_id)
        if checked.sha256 is None:
            refuse(move, f"{bytes_of(move.new)}: {checked.flaw}")
        elif checked.sha256 != move.old.sha256:
            refuse(move, f"{bytes_of(move.new)} has other bytes: SHA-256 {move.old.sha256} recorded, {checked.sha256} there")
        else:
            yield move


def apply(archive: ArchiveFolder, database: Database, moves: Sequence[Move]) -> None:
    """Record where the bytes lie now, then note it in the database. Needs the archive's lock."""
    if not moves:
        return
    archive.record([move.new for move in moves])
    archive.flush()
    with database.writing() as connection:
        connection.register("moved", rows_as_arrow(_MOVED, list(map(_row_of, moves))))
        forget(connection, _doubles(connection))
        run(
            connection,
            """UPDATE objects SET path = moved.path, copy = moved.copy, last_modified = moved.last_modified
               FROM moved WHERE objects.object_id = moved.object_id""",
        )
        connection.unregister("moved")


def _doubles(connection: Connection) -> list[int]:
    """Objects that were loaded from the new place already: the very same files."""
    found = """SELECT o.object_id FROM objects o JOIN moved m ON o.path = m.path AND o.member IS NOT DISTINCT FROM m.member
               AND o.sha256 = m.sha256 AND o.source = 'file' WHERE o.object_id NOT IN (SELECT object_id FROM moved)"""
    return [number for (number,) in run(connection, found)]


def _row_of(move: Move) -> Cells:
    new = move.new
    return (move.object_id, new.path, new.copy, new.member, new.sha256, new.last_modified)
