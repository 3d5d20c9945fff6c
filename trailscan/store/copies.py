"""When two rows say the same event: account, id and the whole content agree, in whatever order a tool wrote JSON's keys."""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from operator import itemgetter

from trailscan.store.database import Connection, run, sql

# Of one row: everything but where it lies. What flags say is in the columns already, or only in what stood around the record.
FINGERPRINT = "hash(*COLUMNS(* EXCLUDE (object_id, record_index, flags)))"


def meaning(cells: Sequence[object]) -> bytes:
    """A hash that two rows share when their cells say the same, JSON cells in whatever order."""
    try:
        said = repr([_parsed(cell) for cell in cells])
    except RecursionError:
        said = repr(tuple(cells))
    return hashlib.sha256(said.encode()).digest()


def count_fresh(connection: Connection, first: int, last: int) -> tuple[int, int]:
    """How many rows the objects `first` to `last` have, and how many of these are copies: each event's first is none.

    Rows that share an id and differ are no copies, as a question sees it (`search.copies`).
    """
    rows, suspects = run(connection, sql("count_new.sql"), [first, last])[0]
    return rows, _copies(connection, first, last) if suspects else 0


def _copies(connection: Connection, first: int, last: int) -> int:
    run(connection, sql("suspects.sql"), [first, last])
    (alike,) = run(connection, sql("count_alike.sql"))[0]
    return int(alike) + _rewritten(connection)


def _rewritten(connection: Connection) -> int:
    """Copies among the versions that differ in their bytes only."""
    seen: set[tuple[object, object, bytes]] = set()
    copies = 0
    for is_fresh, account, event, said in _versions(connection):
        copies += is_fresh and (account, event, said) in seen
        seen.add((account, event, said))
    return copies


def _versions(connection: Connection) -> Iterator[tuple[bool, object, object, bytes]]:
    """One row of each version of the events that have several: those held already first."""
    result = connection.execute(sql("versions.sql"))
    while rows := result.fetchmany(1000):
        for is_fresh, account, event, *cells in rows:
            yield is_fresh, account, event, meaning(cells)


def _parsed(cell: object) -> object:
    if not isinstance(cell, str) or not cell.startswith(("{", "[")):
        return cell
    try:
        return json.loads(cell, object_pairs_hook=_members, parse_float=_number)
    except ValueError:
        return cell


def _members(pairs: list[tuple[str, object]]) -> object:
    """An object in one order, unless a key stands twice in it: then its order decides what it means, and to whom."""
    members = dict(sorted(pairs, key=itemgetter(0)))
    return members if len(members) == len(pairs) else tuple(pairs)


def _number(text: str) -> float | Decimal:
    return number if math.isfinite(number := float(text)) else Decimal(text)
