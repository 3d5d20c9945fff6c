"""Objects that were fetched again since their files were gone or altered: their rows take the place of the earlier ones."""

from collections.abc import Sequence

from trailscan.archive.origin import Origin
from trailscan.records.damage import Damage
from trailscan.store.counts import REPAIRED
from trailscan.store.database import Connection, run

_BAD = "('INVALID_HASH', 'MISSING_LOG', 'MISSING_DIGEST')"


def repairs_of(origin: Origin) -> list[Damage]:
    """The row of damage that tells of the repair, where there was one."""
    if origin.repaired is None:
        return []
    return [Damage(REPAIRED, f"{origin.repaired}; it was fetched again, with the SHA-256 that was recorded")]


def replaced_by(connection: Connection, numbered: Sequence[tuple[int, Origin]]) -> list[int]:
    """The ids under which repaired objects stand so far. What the last verification said of their old files is withdrawn."""
    earlier: list[int] = []
    for number, origin in numbered:
        if origin.repaired is None:
            continue
        same = "SELECT object_id FROM objects WHERE source = 's3' AND path = ? AND object_id <> ? AND status <> 'failed'"
        ids = [object_id for (object_id,) in run(connection, same, [origin.path, number])]
        run(connection, f"DELETE FROM verdicts WHERE status IN {_BAD} AND object_id IN (SELECT unnest(?))", [ids])
        run(connection, "UPDATE verdicts SET object_id = ? WHERE object_id IN (SELECT unnest(?))", [number, ids])
        earlier += ids
    return earlier
