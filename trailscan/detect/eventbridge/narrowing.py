"""A pattern to a condition of SQL over `events`: it holds for every row whose record matches, and for few others.

It never decides: `matching` does. What it cannot say in SQL, it lets through, and so it does with every row that has flags,
since their columns do not say all that their records do. Every value is a parameter.
"""

from collections.abc import Sequence

from trailscan.detect.eventbridge.criteria import (
    Absent,
    Addresses,
    Criterion,
    Folded,
    Just,
    Prefix,
    Suffix,
    Texts,
    Wildcard,
)
from trailscan.detect.eventbridge.envelope import API_CALL, DETAIL_TYPES, NOT_READING, READING
from trailscan.detect.eventbridge.parsing import Branch, Condition, Pattern
from trailscan.query.filters import Where
from trailscan.store.record_rebuild import DOCUMENTS, TEXTS

ALL, NONE = Where("true"), Where("false")
_V4_DIGITS = 8
_MOST_BRANCHES = 50  # of more than these, only what they have in common is asked for

_FLAGS = {f"detail.{field}": column for column, field in TEXTS.items() if column in {"read_only", "management_event"}}
_TIME = "strftime(event_time, '%Y-%m-%dT%H:%M:%SZ')"  # a time in another notation is flagged
_FIELDS = {f"detail.{field}": column for column, field in TEXTS.items() if f"detail.{field}" not in _FLAGS}
_FIELDS["detail.eventTime"] = _TIME
_ENVELOPE = {
    "time": f"coalesce({_TIME}, '')",
    "id": "coalesce(event_id, '')",
    "account": "coalesce(recipient_account_id, '')",
    "region": "coalesce(aws_region, '')",
    "source": "'aws.' || coalesce(nullif(CASE WHEN ends_with(event_source, '.amazonaws.com') "
    "THEN left(event_source, -14) ELSE event_source END, ''), 'cloudtrail')",
}
_DOCUMENTS = {field: column for column, field in DOCUMENTS.items()}
_READS = f"""(read_only AND ({" OR ".join(f"starts_with(event_name, '{verb}')" for verb in READING)})
  AND NOT (event_name IN {NOT_READING} AND event_source = 'sts.amazonaws.com')
  AND CASE WHEN event_category <> '' THEN event_category = 'Management' ELSE management_event IS NOT false END)"""


def narrowed(pattern: Pattern, reads: bool) -> Where:
    """The condition; without `reads`, read-only management events are left out (see `envelope.only_reads`)."""
    asked = _asked(pattern.branches)
    if not reads:
        asked = _all_of([asked, Where(f"{_READS} IS NOT true")])
    return _any_of([Where("flags IS NOT NULL"), asked])


def _asked(branches: Sequence[Branch]) -> Where:
    if len(branches) > _MOST_BRANCHES:
        return _all_of([_any_of(list(map(_of_condition, conditions))) for conditions in _in_common(branches)])
    return _any_of([_all_of(list(map(_of_condition, branch))) for branch in branches])


def _in_common(branches: Sequence[Branch]) -> list[list[Condition]]:
    """For each path that every branch has a condition on, those conditions."""
    by_path = [{condition.path: condition for condition in branch} for branch in branches]
    paths = set.intersection(*map(set, by_path))
    return [list(dict.fromkeys(conditions[path] for conditions in by_path)) for path in sorted(paths)]


def _of_condition(condition: Condition) -> Where:
    path, criteria = condition.path, condition.criteria
    if Absent() in criteria:
        return ALL
    if path == "detail-type":
        return _of_detail_type(criteria)
    if path in _ENVELOPE:
        return _any_of([_of_text(_ENVELOPE[path], criterion) or ALL for criterion in criteria])
    if path in _FIELDS:
        return _any_of([_of_text(_FIELDS[path], criterion) or _is_there(path, _FIELDS[path]) for criterion in criteria])
    if path in _FLAGS:
        return _any_of([_of_flag(path, criterion) for criterion in criteria])
    return _of_document(path, criteria) if path.startswith("detail.") else ALL


# ---- what one column holds ----


def _of_text(column: str, criterion: Criterion) -> Where | None:
    """None for what does not ask for a text, or cannot be asked of a database."""
    condition: Where | None = None
    match criterion:
        case Texts(values) if all(map(_is_utf8, values)):
            condition = Where(f"{column} IN ({', '.join('?' * len(values))})", tuple(sorted(values)))
        case Prefix(text) if _is_utf8(text):
            condition = Where(f"starts_with({column}, ?)", (text,))
        case Suffix(text) if _is_utf8(text):
            condition = Where(f"ends_with({column}, ?)", (text,))
        case Wildcard(parts) if all(map(_is_utf8, parts)):
            condition = _all_of([Where(f"contains({column}, ?)", (part,)) for part in parts if part])
        case Folded(text) if text.isascii():
            condition = Where(f"contains(lower({column}), ?)", (text.lower(),))
        case Addresses(low, high):
            condition = _of_addresses(column, low, high)
    return condition


def _of_addresses(column: str, low: str, high: str) -> Where:
    """Texts that may be such an address, with leading zeros or not.

    Of IPv4 octet by octet, and the addresses of IPv6 that pass for it: by their first group, or mapped to IPv4.
    """
    if len(low) != _V4_DIGITS:
        return Where(f"regexp_full_match({column}, '[0-9.]+|[0-9a-fA-F:]+')")
    spelled = r"\.".join(map(_octet, bytes.fromhex(low), bytes.fromhex(high)))
    group = int(low[:4], 16) if low[:4] == high[:4] else 0
    longer = f"(?i)0*{group:x}:[0-9a-f:]*|[0:]*ffff:[0-9a-f:]*" if group else "(?i)[0-9a-f:]*:[0-9a-f:]*"
    return Where(f"regexp_full_match({column}, ?)", (f"{spelled}|{longer}",))


def _octet(first: int, last: int) -> str:
    return "[0-9]+" if (first, last) == (0, 255) else f"0*({'|'.join(map(str, range(first, last + 1)))})"


def _is_there(path: str, column: str) -> Where:
    """A value, or a null: those stand among the other fields."""
    null = _in_json("other_fields", [f'"{path.removeprefix("detail.")}"'])
    return _any_of([Where(f"{column} IS NOT NULL"), null])


def _of_flag(path: str, criterion: Criterion) -> Where:
    if isinstance(criterion, Just) and criterion.value is not None:
        return Where(f"{_FLAGS[path]} = ?", (criterion.value,))
    return _is_there(path, _FLAGS[path])


def _of_detail_type(criteria: Sequence[Criterion]) -> Where:
    def passes(detail_type: str) -> bool:
        return any(criterion.passes(detail_type) for criterion in criteria)

    if passes(API_CALL):
        return ALL
    types = tuple(event_type for event_type, detail_type in DETAIL_TYPES.items() if passes(detail_type))
    return Where(f"event_type IN ({', '.join('?' * len(types))})", types) if types else NONE


# ---- columns that hold JSON ----


def _of_document(path: str, criteria: Sequence[Criterion]) -> Where:
    """Values below a field of the record; one whose name has dots in it stands among the other fields."""
    _, field, *steps = path.split(".")
    column = _DOCUMENTS.get(field, "other_fields")
    below = _with_key(column, steps[-1] if steps else "", criteria)
    return _any_of([below, _with_key("other_fields", path.rpartition(".")[2], criteria)])


def _with_key(column: str, key: str, criteria: Sequence[Criterion]) -> Where:
    """The last step of a path ends a key, however the steps before it are spread over keys."""
    named = _in_json(column, [f'{key}"']) if key else Where(f"{column} IS NOT NULL")
    return _all_of([named, _any_of([_of_json(column, criterion) for criterion in criteria])])


def _of_json(column: str, criterion: Criterion) -> Where:
    condition = ALL
    match criterion:
        case Texts(values):
            condition = _any_of([_in_json(column, [f'"{value}"']) for value in sorted(values)])
        case Prefix(text):
            condition = _in_json(column, [f'"{text}'])
        case Suffix(text):
            condition = _in_json(column, [f'{text}"'])
        case Wildcard(parts):
            condition = _in_json(column, [f'"{parts[0]}', *filter(None, parts[1:-1]), f'{parts[-1]}"'])
        case Folded(text) if text.isascii():
            condition = _in_json(f"lower({column})", [text.lower()])
        case Just(value):
            condition = _in_json(column, [{True: "true", False: "false", None: "null"}[value]])
    return condition


def _in_json(column: str, texts: Sequence[str]) -> Where:
    """JSON that spells these texts, if it spells everything as it is; where there is a backslash, it may not.

    No parser stands between, so it does not matter what one makes of a key that stands twice.
    """
    escaped = Where(f"contains({column}, '\\')")
    if not all(_needs_no_escape(text.removeprefix('"').removesuffix('"')) for text in texts):
        return escaped
    return _any_of([_all_of([Where(f"contains({column}, ?)", (text,)) for text in texts]), escaped])


def _needs_no_escape(text: str) -> bool:
    return _is_utf8(text) and not any(char in '"\\' or char < " " for char in text)


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


# ---- conditions together ----


def _any_of(conditions: Sequence[Where]) -> Where:
    conditions = [each for each in dict.fromkeys(conditions) if each != NONE]
    return ALL if ALL in conditions else _joined(conditions, "OR") if conditions else NONE


def _all_of(conditions: Sequence[Where]) -> Where:
    conditions = [each for each in dict.fromkeys(conditions) if each != ALL]
    return NONE if NONE in conditions else _joined(conditions, "AND") if conditions else ALL


def _joined(conditions: Sequence[Where], word: str) -> Where:
    """As a balanced tree: DuckDB takes no expression that is nested too deeply."""
    if len(conditions) == 1:
        return conditions[0]
    half = len(conditions) // 2
    left, right = _joined(conditions[:half], word), _joined(conditions[half:], word)
    return Where(f"({left.sql} {word} {right.sql})", left.parameters + right.parameters)
