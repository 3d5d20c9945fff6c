"""The table of doors as SQL: the macros that parse.sql and sessions.sql use, and the conditions that find door calls fast."""

from collections.abc import Callable, Iterable

from trailscan.store.access_methods import DOORS, GROUPED, LOOKS, STEPS, Door


def parsing_macros() -> str:
    """What parse.sql asks of a call: is it a door, which machines and which session does it name?"""
    return "\n".join(
        [
            f"CREATE OR REPLACE TEMP MACRO is_door(source, name) AS source IN ({_SOURCES}) AND name IN ({_list(_NAMES)});",
            f"CREATE OR REPLACE TEMP MACRO from_door(source) AS source IN ({_SOURCES});",
            _macro("TEMP", "names_machines(source, name)", lambda door: "true" if _targets(door) else None),
            _macro("TEMP", "named_in_request(source, name, asked, answered, request)", _targets),
            _macro("TEMP", "also_named(source, name, asked, answered)", lambda door: _sql_list(door.also)),
            _macro("TEMP", "session_in(source, name, asked, answered)", lambda door: _first(door.session)),
        ]
    )


def view_macros() -> str:
    """What sessions.sql asks of a call: which door it is of, what it does there, what its success means, what it was for."""
    return "\n".join(
        [
            _macro("", "door_of(source, name)", lambda door: _text(door.group)),
            _macro("", "role_of(source, name)", lambda door: _text(door.role)),
            _macro("", "step_of(source, name)", lambda door: str(STEPS[door.role])),
            _macro("", "success_of(source, name)", lambda door: _text(door.success)),
            _macro("", "machine_of(source, name)", lambda door: door.machine and _text(door.machine)),
            _macro("", "document_of(source, name, request)", lambda door: door.document),
            _macro("", "purpose_of(source, name, request)", lambda door: door.purpose),
            _macro("", "keeps_silent(source, name)", lambda door: "true" if door.silent else None),
            f"CREATE MACRO is_grouped(kind) AS kind IN ({_list(GROUPED)});",
        ]
    )


def door_events() -> str:
    """The view of all door calls, found by what selects fast among millions of events: two lists of names."""
    documents = _list(door.name for door in DOORS if door.document)
    return f"""
CREATE VIEW door_events AS
SELECT rowid AS row_id, *, door_of(event_source, event_name) AS door_kind, role_of(event_source, event_name) AS role
FROM events
WHERE event_source IN ({_list(door.source for door in DOORS)})
  AND event_name IN ({_list(door.name for door in DOORS)})
  AND door_of(event_source, event_name) IS NOT NULL
  -- A data channel that names no session cannot be said to be of one.
  AND (role_of(event_source, event_name) <> 'channel' OR session_id IS NOT NULL)
  AND (event_name NOT IN ({documents})
       OR runs_commands(document_of(event_source, event_name, request_parameters), error_message));
"""


def _macro(scope: str, signature: str, answer: Callable[[Door], str | None]) -> str:
    """A macro of `source` and `name` that gives what `answer` says of each door; doors of one answer share a branch."""
    branches: dict[str, dict[str, list[str]]] = {}
    for door in (*DOORS, *LOOKS) if scope else DOORS:
        if (said := answer(door)) is not None:
            branches.setdefault(said, {}).setdefault(door.source, []).append(door.name)
    cases = [f"WHEN {_any_call(by)} THEN {said}" for said, by in branches.items()]
    return f"CREATE {'OR REPLACE TEMP ' if scope else ''}MACRO {signature} AS CASE {' '.join(cases)} END;"


def _any_call(names_by_source: dict[str, list[str]]) -> str:
    return " OR ".join(f"source = {_text(source)} AND name IN ({_list(names)})" for source, names in names_by_source.items())


def _targets(door: Door) -> str | None:
    return door.lists or (f"[{_first(door.targets)}]" if door.targets else None)


def _first(expressions: Iterable[str]) -> str | None:
    found = list(expressions)
    return f"coalesce({', '.join(found)})" if found else None


def _sql_list(expressions: tuple[str, ...]) -> str | None:
    return f"[{', '.join(expressions)}]" if expressions else None


def _list(texts: Iterable[str]) -> str:
    return ", ".join(_text(text) for text in dict.fromkeys(texts))


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_SOURCES = _list(door.source for door in DOORS)
_NAMES = [door.name for door in (*DOORS, *LOOKS)]
