"""A condition as SQL over `events` or `sessions`. Every value of a rule is a parameter; only names that `fields` let through
and SQL of this project stand in the text. Pure.
"""

from collections.abc import Mapping, Sequence

import msgspec

from trailscan.detect.sigma.condition import (
    All,
    Any,
    Anywhere,
    Column,
    Condition,
    Exists,
    Field,
    Match,
    Not,
    Passes,
    Path,
    Same,
    Test,
    Texts,
    Valueless,
    Within,
    literal,
)
from trailscan.detect.sigma.fields import nodes_of, path_of
from trailscan.store.record_rebuild import DOCUMENTS, TEXTS

Resolved = Mapping[Within, Sequence[str]]

_TEXT = [name for name in TEXTS if name not in ("read_only", "management_event")]
_TIME = "strftime(event_time, '%Y-%m-%dT%H:%M:%SZ')"
_FEW = 4  # texts that are looked for one by one; more of them are found sooner by one regular expression
_JSON = [*DOCUMENTS, "other_fields"]
_SAME: Mapping[Match, str] = {
    "equal": "lower(a) = lower(b)",
    "startswith": "starts_with(lower(a), lower(b))",
    "endswith": "ends_with(lower(a), lower(b))",
    "contains": "contains(lower(a), lower(b))",
}


class Parameters(msgspec.Struct, frozen=True):
    """The values of a statement, numbered as they are met."""

    values: list[object] = msgspec.field(default_factory=list)

    def bind(self, value: object) -> str:
        """The placeholder that stands for a value."""
        self.values.append(value)
        return f"${len(self.values)}"


def where(condition: Condition, parameters: Parameters, resolved: Resolved) -> str:
    """The condition as an SQL expression: true where it holds, false or NULL where not.

    `resolved` has the addresses that lie in each of its networks.
    """
    match condition:
        case All(parts):
            return "(" + " AND ".join(where(part, parameters, resolved) for part in parts) + ")"
        case Any(parts):
            return "(" + " OR ".join(where(part, parameters, resolved) for part in parts) + ")"
        case Not(part):
            return f"NOT coalesce({where(part, parameters, resolved)}, false)"
        case Within(field):
            return _within(field, parameters.bind(list(resolved[condition])))
        case _:
            return _leaf(condition, parameters)


def values_sql(field: Field) -> str:
    """All values of a field, as a list of texts or NULL."""
    match field.values:
        case Column(sql):
            return f"CASE WHEN {sql} IS NOT NULL THEN [{sql}] END"
        case Texts(sql):
            return sql
        case Path(column, keys) if keys:
            return f"sigma_values({column}, {path_of(keys)}, {nodes_of(column, keys)})"
        case Path(column):
            return f"sigma_leaves({column})"


def _leaf(condition: Passes | Same | Exists | Valueless | Anywhere, parameters: Parameters) -> str:
    match condition:
        case Passes(field, tests):
            return _passes(field, tests, parameters)
        case Same(field, other, match):
            inner = f"len(list_filter({values_sql(other)}, lambda b: {_SAME[match]})) > 0"
            return f"(len(list_filter({values_sql(field)}, lambda a: {inner})) > 0)"
        case Exists(field):
            return f"({field.exists})"
        case Valueless(Field(values=Column(sql))):
            return f"({sql} IS NULL)"
        case Valueless(field):
            return f"(len(coalesce({values_sql(field)}, [])) = 0)"
        case Anywhere(tests):
            return _anywhere(tests, parameters)


def _passes(field: Field, tests: Sequence[Test], parameters: Parameters) -> str:
    match field.values:
        case Column(sql):
            return _either(tests, sql, parameters)
        case Path(column):
            return f"({_sifted(tests, column, parameters)}{_some(tests, values_sql(field), parameters)})"
        case _:
            return f"({_some(tests, values_sql(field), parameters)})"


def _anywhere(tests: Sequence[Test], parameters: Parameters) -> str:
    """The tests of every column of text, and of the values in every column of JSON."""
    timely = any(test.holds is None or set(test.holds) <= set("0123456789-:TZtz") for test in tests)
    plain = [_either(tests, column, parameters) for column in ([*_TEXT, _TIME] if timely else _TEXT)]
    deep = [f"({_sifted(tests, column, parameters)}{_some(tests, f'sigma_leaves({column})', parameters)})" for column in _JSON]
    return "(" + " OR ".join([*plain, *deep]) + ")"


def _some(tests: Sequence[Test], values: str, parameters: Parameters) -> str:
    return f"len(list_filter({values}, lambda v: {_either(tests, 'v', parameters)})) > 0"


def _either(tests: Sequence[Test], value: str, parameters: Parameters) -> str:
    rendered = (test.sql.format(*map(parameters.bind, test.parameters), v=value) for test in tests)
    return "(" + " OR ".join(rendered) + ")"


def _sifted(tests: Sequence[Test], column: str, parameters: Parameters) -> str:
    """What is true of every JSON text that holds a value which passes: the text of the test is there to be seen, unless it is
    escaped. Looking for it is ten times as fast as taking values out."""
    held = [test.holds for test in tests if test.holds]
    if len(held) < len(tests):
        return ""
    escape = "\\u" if all(map(_is_plain, held)) else "\\"
    folded = f"lower({column}::VARCHAR)"
    if len(held) > _FEW:
        seen = f"regexp_matches({folded}, lower({parameters.bind('|'.join(map(literal, held)))}))"
    else:
        seen = " OR ".join(f"contains({folded}, lower({parameters.bind(text)}))" for text in held)
    return f"(contains({column}::VARCHAR, '{escape}') OR {seen}) AND "


def _is_plain(text: str) -> bool:
    """Whether JSON has but one way to escape what a text consists of."""
    return text.isascii() and text.isprintable() and not any(character in text for character in '"\\/')


def _within(field: Field, addresses: str) -> str:
    if isinstance(field.values, Column):
        return f"({field.values.sql} IN (SELECT unnest({addresses}::VARCHAR[])))"
    return f"coalesce(list_has_any({values_sql(field)}, {addresses}::VARCHAR[]), false)"
