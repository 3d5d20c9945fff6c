"""Where rows come from, for whoever must defend them: objects, their hashes then and now, what `verify` said, damage."""

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from trailscan.errors import SourceError
from trailscan.files.folder import read_bytes
from trailscan.files.local_objects import LocalObject
from trailscan.query.report import Grid, Section
from trailscan.query.table import Column, Row
from trailscan.query.tables import grid_of
from trailscan.store.database import Connection, run

Place = Callable[[str], str]

MOST = 50  # objects, and things damaged in them, that are told one by one
# An object's name for people and for citing: its URL, else its path and the member within it.
OBJECT = "CASE WHEN bucket IS NULL THEN concat_ws('!', path, member) ELSE 's3://' || bucket || '/' || key END"

_OBJECTS = f"""
SELECT object_id, {OBJECT} AS object, bytes, sha256, sha256_raw, etag, version_id, last_modified, fetched_at, loaded_at,
       only_events, records, status,
       coalesce((SELECT string_agg(upper(kind) || ' ' || status || ': ' || message, '; ' ORDER BY kind DESC, status, message)
                 FROM verdicts WHERE verdicts.object_id = objects.object_id),
                'not verified yet: run `trailscan verify`') AS verdict
FROM objects WHERE object_id IN (SELECT unnest(?::BIGINT[])) ORDER BY object_id
"""
_FILES = """
SELECT object_id, coalesce(copy, path), member, member_offset, bytes, sha256
FROM objects WHERE object_id IN (SELECT unnest(?::BIGINT[])) ORDER BY object_id
"""
_DAMAGE = f"""
SELECT object_id, record_index, what, where_bytes, reason
FROM damage WHERE object_id IN (SELECT unnest(?::BIGINT[])) ORDER BY ALL LIMIT {MOST + 1}
"""


class Provenance(msgspec.Struct, frozen=True):
    """The sections that say where some rows come from, and why the bytes of some objects are not what they were."""

    sections: tuple[Section, ...]
    damaged: int  # objects among them with damage
    lost: tuple[str, ...]


def provenance(connection: Connection, object_ids: Sequence[int], place: Place) -> Provenance:
    """Tell of the objects, the first 50 one by one; each of those is read and hashed again.

    `place` turns a stored path into one on this disk.
    """
    told = list(dict.fromkeys(object_ids))[:MOST]
    states = {row[0]: _state(row, place) for row in run(connection, _FILES, [told])}
    objects = _with_state(grid_of(connection, _OBJECTS, [told]), states)
    sections = [Section("objects", "Objects that hold it", objects, stacked=True, notes=_untold(object_ids))]
    damage = grid_of(connection, _DAMAGE, [list(object_ids)])
    if damage.rows:
        more = ("there is more: `trailscan status --damage`",) if len(damage.rows) > MOST else ()
        sections.append(Section("damage", "Damage in these objects", Grid(damage.columns, damage.rows[:MOST]), notes=more))
    lost = tuple(state for state in states.values() if state != _SOUND)
    return Provenance(tuple(sections), len({row[0] for row in damage.rows}), lost)


_SOUND = "the bytes have this SHA-256 still"


def _state(row: Sequence[object], place: Place) -> str:
    """How the object's bytes are now, against the SHA-256 that was recorded."""
    _, path, member, offset, size, sha256 = row
    file = LocalObject(
        place(str(path)),
        "",
        int(str(size)),
        0.0,
        member if isinstance(member, str) else None,
        offset if isinstance(offset, int) else None,
    )
    try:
        found = hashlib.sha256(read_bytes(file)).hexdigest()
    except SourceError as error:
        return error.message
    if sha256 is None:
        return f"no SHA-256 was recorded; it is {found} now"
    return _SOUND if found == sha256 else f"object {row[0]} was changed: its bytes have SHA-256 {found} now"


def _with_state(objects: Grid, states: dict[int, str]) -> Grid:
    rows: list[Row] = [(*row, states.get(int(str(row[0])))) for row in objects.rows]
    return Grid((*objects.columns, Column("now", "text")), tuple(rows))


def _untold(object_ids: Sequence[int]) -> tuple[str, ...]:
    rest = len(set(object_ids)) - MOST
    return (f"and {rest:,} more objects, which are not told and not hashed here: `trailscan verify` checks all",) * (rest > 0)
