"""Asks the database for what a condition matches: events, each once, or sessions. Only parameters carry a rule's text.

Copies of an event count once; versions that differ under one event id are matches of their own, told apart by their content.
"""

from collections.abc import Sequence
from datetime import datetime
from importlib import resources
from typing import Literal

import duckdb
import msgspec

from trailscan.detect.rule import RuleFailed
from trailscan.detect.sigma.condition import Column, Condition, Field, Within, networks_in
from trailscan.detect.sigma.rendering import Parameters, values_sql, where
from trailscan.query.deduplicate import EVENT_KEY, hide_copies
from trailscan.query.networks import lies_in, may_lie_in
from trailscan.store.database import Connection, Row, run

Kind = Literal["events", "sessions"]


class Search(msgspec.Struct, frozen=True):
    """What is looked at, and what must hold of it."""

    kind: Kind
    condition: Condition


class Match(msgspec.Struct, frozen=True):
    """An event or a session: its rows of `events`, the first first, what tells it from all others, and when it was.

    `values` are those of the fields that were asked for, in their order.
    """

    row_ids: tuple[int, ...]
    identity: str
    time: datetime | None
    values: tuple[tuple[str, ...], ...] = ()


def matches(connection: Connection, search: Search, fields: Sequence[Field] = ()) -> list[Match]:
    """Everything that matches, in order of time, with the values of some fields. Raises RuleFailed."""
    try:
        run(connection, resources.files(__package__).joinpath("macros.sql").read_text(encoding="utf-8"))
        parameters = Parameters()
        condition = where(search.condition, parameters, _resolved(connection, search))
        wanted = "".join(f", {values_sql(field)}" for field in fields)
        find = _sessions if search.kind == "sessions" else _events
        return find(connection, condition, wanted, parameters.values)
    except duckdb.Error as error:
        raise RuleFailed(f"the database refused it: {str(error).partition(chr(10))[0]}") from error


def _resolved(connection: Connection, search: Search) -> dict[Within, list[str]]:
    """The addresses of the database that lie in the networks of a condition, by Python's own rules."""
    resolved = {}
    for within in networks_in(search.condition):
        values = within.field.values
        seen = values.sql if isinstance(values, Column) else f"unnest({values_sql(within.field)})"
        test = may_lie_in("address", [within.network])
        found = run(connection, f"SELECT DISTINCT address FROM (SELECT {seen} AS address FROM {search.kind}) WHERE {test}")
        resolved[within] = [address for (address,) in found if lies_in(address, [within.network])]
    return resolved


def _events(connection: Connection, condition: str, wanted: str, parameters: Sequence[object]) -> list[Match]:
    statement = f"""
        WITH hit AS MATERIALIZED (SELECT rowid AS row_id, recipient_account_id AS account, event_id, event_time, object_id,
                                         record_index{wanted} FROM events WHERE {condition})
        SELECT row_id, account, event_id, event_time,
               event_id IS NOT NULL AND count(*) OVER (PARTITION BY account, event_id) > 1 AS twin,
               * EXCLUDE (row_id, account, event_id, event_time, object_id, record_index)
        FROM hit ORDER BY event_time, event_id, object_id, record_index"""
    rows = run(connection, statement, parameters)
    hidden = _hidden(connection, [row[0] for row in rows if row[4]])
    shown = [row for row in rows if row[0] not in hidden]
    conflicts = _conflicts(shown)
    marks = _contents(connection, [row[0] for row in shown if row[2] is None or row[0] in conflicts])
    found: dict[str, Match] = {}
    for row_id, account, event_id, time, _, *values in shown:
        identity = " ".join(filter(None, ("event", account, event_id, marks.get(row_id))))
        found.setdefault(identity, Match((row_id,), identity, time, _values(values)))
    return list(found.values())


def _hidden(connection: Connection, twins: Sequence[int]) -> set[int]:
    """The rows that are copies of others."""
    if not twins:
        return set()
    statement = f"""CREATE OR REPLACE TEMP TABLE hit AS
                    SELECT rowid AS row_id, {EVENT_KEY} FROM events WHERE rowid IN (SELECT unnest(?::BIGINT[]))"""
    run(connection, statement, [list(twins)])
    run(connection, "CREATE OR REPLACE TEMP TABLE hidden (row_id BIGINT)")
    hide_copies(connection)
    return {row_id for (row_id,) in run(connection, "SELECT row_id FROM hidden")}


def _conflicts(rows: Sequence[Row]) -> set[int]:
    """The rows that share their event with another, when copies are gone."""
    versions: dict[tuple[str | None, str], list[int]] = {}
    for row_id, account, event_id, _, twin, *_ in rows:
        if twin:
            versions.setdefault((account, event_id), []).append(row_id)
    return {row_id for row_ids in versions.values() if len(row_ids) > 1 for row_id in row_ids}


def _contents(connection: Connection, row_ids: Sequence[int]) -> dict[int, str]:
    """A fingerprint of what each row says."""
    if not row_ids:
        return {}
    statement = """SELECT rowid, sha256(to_json(row(*COLUMNS(* EXCLUDE (object_id, record_index, targets, failure)))))
                   FROM events WHERE rowid IN (SELECT unnest(?::BIGINT[]))"""
    return dict(run(connection, statement, [list(row_ids)]))


def _sessions(connection: Connection, condition: str, wanted: str, parameters: Sequence[object]) -> list[Match]:
    statement = f"""SELECT row_ids, account_id, region, session_id, event_ids ->> '$[0]', coalesce(started_at, first_seen_at)
                    {wanted} FROM sessions WHERE {condition} ORDER BY ALL"""
    rows = run(connection, statement, parameters)
    nameless = [row[0][0] for row in rows if row[3] is None and row[4] is None]
    contents = _contents(connection, nameless)
    found = []
    for row_ids, account, region, session_id, event_id, time, *values in rows:
        name = (
            ("session", account, region, session_id) if session_id else ("event", account, event_id, contents.get(row_ids[0]))
        )
        found.append(Match(tuple(row_ids), " ".join(filter(None, name)), time, _values(values)))
    return sorted(found, key=lambda match: (match.time is None, match.time, match.identity))


def _values(values: Sequence[Sequence[str | None] | None]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(value for value in of_field or () if value is not None) for of_field in values)
