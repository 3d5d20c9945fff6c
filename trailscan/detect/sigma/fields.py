"""Which column, or which place in a column of JSON, holds a field of a rule: CloudTrail's own names, or those of `sessions`.

A name becomes SQL only when every part of it is made of harmless characters. Pure.
"""

import difflib
import re
from collections.abc import Mapping

from sigma.exceptions import SigmaValueError

from trailscan.detect.sigma.condition import Column, Field, Path, Texts
from trailscan.store.record_rebuild import DOCUMENTS, TEXTS

LONGEST = 16  # parts of a name
_PART = re.compile(r"[\w \-:/@+#=~]{1,128}")
_FLAGS = ("readOnly", "managementEvent")
_TIME = "strftime({}, '%Y-%m-%dT%H:%M:%SZ')"

_COLUMNS = {field: column for column, field in TEXTS.items()}
_JSON_COLUMNS = {field: column for column, field in DOCUMENTS.items()}
# Fields of userIdentity that have a column of their own, which is read a hundred times as fast.
_IDENTITY = {
    "type": "user_type",
    "arn": "user_arn",
    "userName": "user_name",
    "principalId": "user_principal_id",
    "accountId": "user_account_id",
    "accessKeyId": "user_access_key_id",
    "invokedBy": "user_invoked_by",
    "sessionContext.sessionIssuer.arn": "user_issuer_arn",
    "sessionContext.sourceIdentity": "user_source_identity",
}

_LISTS = [
    "source_ip_addresses",
    "user_agents",
    "event_ids",
    "event_names",
    "error_codes",
    "names",
    "arns",
    "access_keys",
    "targets",
    "client_ip_addresses",
]
_TIMES = ("started_at", "ended_at", "first_seen_at", "last_seen_at")
_WORDS = """session_id outcome end_status duration_s resumes who user_name user_arn user_issuer_arn mfa_authenticated
    user_access_key_id target target_kind document purpose reason account_id region door event_source starter terminates client
    node_answered requested_by access_request"""
_SESSION: Mapping[str, Column | Texts | Path] = {
    **{name: Column(f"{name}::VARCHAR") for name in _WORDS.split()},
    **{name: Column(_TIME.format(name)) for name in _TIMES},
    **{name: Path(name) for name in _LISTS},
    "flags": Texts("string_split(flags, ',')"),
    "hour": Column("date_part('hour', started_at)::VARCHAR"),
    "weekday": Column("lower(strftime(started_at, '%a'))"),
}


def event_field(name: str) -> Field:
    """A field of a CloudTrail record; dots descend. One that no column holds is looked for in the rest of the record.

    Raises SigmaValueError for a name that cannot be looked for.
    """
    keys = _keys(name)
    top, below = keys[0], keys[1:]
    if not below and top in _COLUMNS:
        return Field(name, _top_column(top), f"{_COLUMNS[top]} IS NOT NULL OR {_there('other_fields', keys)}")
    if name == "eventTime":
        told = f"coalesce(json_extract_string(other_fields, {path_of(keys)}), {_TIME.format('event_time')})"
        return Field(name, Column(told), f"event_time IS NOT NULL OR {_there('other_fields', keys)}")
    if top not in _JSON_COLUMNS:
        return Field(name, Path("other_fields", keys), _there("other_fields", keys))
    column = _JSON_COLUMNS[top]
    if not below:
        return Field(name, Path(column), f"{column} IS NOT NULL OR {_there('other_fields', keys)}")
    own = _IDENTITY.get(".".join(below)) if top == "userIdentity" else None
    return Field(name, Column(own) if own else Path(column, below), _there(column, below))


def session_field(name: str) -> Field:
    """A column of `sessions`, or `hour` (0 to 23) or `weekday` (mon to sun) of its start, UTC. Raises SigmaValueError."""
    if name not in _SESSION:
        close = difflib.get_close_matches(name, _SESSION, 1)
        raise SigmaValueError(f"sessions have no field '{name}'" + (f"; is it {close[0]}?" if close else ""))
    values = _SESSION[name]
    return Field(name, values, f"{values.column if isinstance(values, Path) else values.sql} IS NOT NULL")


def path_of(keys: tuple[str, ...]) -> str:
    """Keys that `event_field` let through, as DuckDB's JSON path in an SQL literal."""
    return "'$" + "".join(f'."{key}"' for key in keys) + "'"


def _keys(name: str) -> tuple[str, ...]:
    keys = tuple(name.split("."))
    if len(keys) > LONGEST or not all(map(_PART.fullmatch, keys)):
        raise SigmaValueError(f"a field named '{name[:100]}' cannot be looked for")
    return keys


def _top_column(top: str) -> Column:
    column = _COLUMNS[top]
    if top in _FLAGS:  # a flag that was written as text is not in its column
        return Column(f"coalesce({column}::VARCHAR, json_extract_string(other_fields, {path_of((top,))}))")
    return Column(column)


def _there(column: str, keys: tuple[str, ...]) -> str:
    """Whether something stands at `keys`, be it null; below an array, whether some element has it."""
    return f"len(list_filter({nodes_of(column, keys)}, lambda n: n IS NOT NULL)) > 0"


def nodes_of(column: str, keys: tuple[str, ...]) -> str:
    """What stands at `keys` in a column of JSON, as a list: arrays on the way are opened."""
    nodes = f"[{column}]"
    for key in keys:
        nodes = f"[json_extract(o, {path_of((key,))}) FOR o IN sigma_opened({nodes})]"
    return nodes
