"""Correlation rules: the matches of other rules, put together by groups, within a span of time.

What a window is stands in `windows`. Everything that is counted is a number of different things: events, values of a field,
rules. Source: SigmaHQ, "Sigma correlation rules specification".
"""

import json
import operator
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from datetime import timedelta

import msgspec
from sigma.collection import SigmaCollection
from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionItem,
    CorrelationConditionNOT,
    SigmaCorrelationCondition,
    SigmaCorrelationRule,
    SigmaCorrelationType,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)
from sigma.exceptions import SigmaFeatureNotSupportedByBackendError
from sigma.rule import SigmaRule

from trailscan.detect.rule import Hit, Rule
from trailscan.detect.sigma.condition import Field
from trailscan.detect.sigma.searching import Match, Search, matches
from trailscan.detect.sigma.windows import Occurrence, Window, in_order, windows
from trailscan.store.database import Connection

LONGEST = timedelta(days=3660)

Subject = tuple[Search, Callable[[str], Field]]  # what a rule looks for, and the fields of what it looks at
Counts = Counter[Hashable]

_COUNTING = (SigmaCorrelationType.EVENT_COUNT, SigmaCorrelationType.VALUE_COUNT, SigmaCorrelationType.TEMPORAL)
_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "LT": operator.lt,
    "LTE": operator.le,
    "GT": operator.gt,
    "GTE": operator.ge,
    "EQ": operator.eq,
    "NEQ": operator.ne,
}


class Source(msgspec.Struct, frozen=True):
    """One of the rules that are correlated: its name there, what it looks for, what groups its matches, what is counted."""

    name: str
    title: str
    search: Search
    groups: tuple[Field, ...]
    counted: tuple[Field, ...]


class Correlation(msgspec.Struct, frozen=True):
    """A correlation that is ready to run; `enough` judges what a window holds, and is None where order decides."""

    rule: Rule
    sources: tuple[Source, ...]
    span: timedelta
    slides: bool
    enough: Callable[[Counts], bool] | None
    count_of: Callable[[Source, Match], tuple[Hashable, ...]]
    told: str  # `{number} event{s} within 1h`

    def hits(self, connection: Connection) -> Iterator[Hit]:
        """A hit for each window, resting on all of its events. Raises RuleFailed."""
        groups: dict[tuple[tuple[str, ...], ...], list[Occurrence]] = {}
        for source in self.sources:
            self._gather(connection, source, groups)
        found = [(window, number, key) for key in groups for window, number in self._windows(groups[key])]
        for window, number, key in sorted(found, key=lambda each: (each[0][0].time, each[2])):
            row_ids = dict.fromkeys(row_id for one in window for row_id in one.row_ids)
            identity = json.dumps([*key, window[0].identity], ensure_ascii=False)
            yield Hit(tuple(row_ids), identity, self.told.format(number=f"{number:,}", s="" if number == 1 else "s"))

    def _gather(
        self, connection: Connection, source: Source, groups: dict[tuple[tuple[str, ...], ...], list[Occurrence]]
    ) -> None:
        """Matches without a time, without a value to group by or without one to count are in no window."""
        width = len(source.groups)
        for match in matches(connection, source.search, (*source.groups, *source.counted)):
            key, counted = match.values[:width], self.count_of(source, match)
            if match.time is not None and all(key) and counted:
                one = Occurrence(match.time, match.identity, match.row_ids, source.name, counted)
                groups.setdefault(key, []).append(one)

    def _windows(self, found: list[Occurrence]) -> Iterator[tuple[Window, int]]:
        found.sort(key=lambda one: (one.time, one.identity))
        if self.enough is not None:
            return windows(found, self.span, self.enough, self.slides)
        names = [source.name for source in self.sources]
        return ((window, len(window)) for window in in_order(found, self.span, names))


def correlation_of(
    parsed: SigmaCorrelationRule, rule: Rule, collection: SigmaCollection, subjects: Mapping[int, Subject]
) -> Correlation:
    """A correlation whose references are resolved; `subjects` has what each rule looks for, by the rule's `id()`.

    Raises SigmaFeatureNotSupportedByBackendError for what is not supported.
    """
    span = timedelta(seconds=min(parsed.timespan.seconds, 2 * int(LONGEST.total_seconds())))
    if span > LONGEST:
        raise _unsupported(f"a timespan of more than {LONGEST.days:,} days")
    sources = tuple(_source(parsed, reference, collection, subjects) for reference in parsed.referenced_rules)
    names = " and ".join(dict.fromkeys(source.title for source in sources)).replace("{", "{{").replace("}", "}}")
    within = f"within {parsed.timespan.spec}"
    if parsed.type is SigmaCorrelationType.TEMPORAL_ORDERED:
        _check_order(parsed, len(sources))
        ordered = names.replace(" and ", ", then ")
        return Correlation(rule, sources, span, True, None, _count_rules, f"{ordered} {within}")
    if parsed.type not in _COUNTING:
        raise _unsupported(f"correlation type {parsed.type.name.lower()}")
    enough, slides = _judge(parsed)
    if parsed.type is SigmaCorrelationType.TEMPORAL:
        return Correlation(rule, sources, span, slides, enough, _count_rules, f"{names} {within}")
    if parsed.type is SigmaCorrelationType.EVENT_COUNT:
        return Correlation(rule, sources, span, slides, enough, _count_events, f"{{number}} event{{s}} {within}")
    fields = ", ".join(_counted_fields(parsed)).replace("{", "{{").replace("}", "}}")
    return Correlation(rule, sources, span, slides, enough, _count_values, f"{{number}} value{{s}} of {fields} {within}")


def _source(
    parsed: SigmaCorrelationRule, reference: SigmaRuleReference, collection: SigmaCollection, subjects: Mapping[int, Subject]
) -> Source:
    referred = reference.rule
    if not isinstance(referred, SigmaRule):
        raise _unsupported("a correlation of correlations")
    if id(referred) not in subjects:
        raise SigmaFeatureNotSupportedByBackendError(f"it needs the rule '{referred.title}', which cannot run")
    search, field_of = subjects[id(referred)]
    aliases = {
        alias.alias: name
        for alias in parsed.aliases
        for other, name in alias.mapping.items()
        if collection[other.reference] is referred
    }

    def fields(names: Sequence[str]) -> tuple[Field, ...]:
        return tuple(field_of(aliases.get(name, name)) for name in names)

    counted = _counted_fields(parsed)
    return Source(reference.reference, referred.title, search, fields(parsed.group_by or ()), fields(counted))


def _counted_fields(parsed: SigmaCorrelationRule) -> list[str]:
    if parsed.type is not SigmaCorrelationType.VALUE_COUNT or not isinstance(parsed.condition, SigmaCorrelationCondition):
        return []
    named = parsed.condition.fieldref
    return [str(name) for name in named] if isinstance(named, list) else [str(named)]


def _judge(parsed: SigmaCorrelationRule) -> tuple[Callable[[Counts], bool], bool]:
    """What decides whether a window holds enough, and whether windows slide."""
    condition = parsed.condition
    if isinstance(condition, SigmaExtendedCorrelationCondition):
        tree = condition.parsed
        return (lambda counts: _holds(tree, counts)), True
    compare, number = _COMPARED[condition.op.name], condition.count
    return (lambda counts: compare(len(counts), number)), condition.op.name in ("GT", "GTE")


def _check_order(parsed: SigmaCorrelationRule, number: int) -> None:
    condition = parsed.condition
    plain = isinstance(condition, SigmaCorrelationCondition) and condition.op.name == "GTE" and condition.count == number
    if not plain:
        raise _unsupported("a condition of a temporal_ordered correlation")


def _holds(tree: CorrelationConditionItem | SigmaRuleReference, counts: Counts) -> bool:
    """An expression over the rules that have matches in a window."""
    if isinstance(tree, SigmaRuleReference):
        return tree.reference in counts
    parts = [_holds(part, counts) for part in tree.args]
    if isinstance(tree, CorrelationConditionNOT):
        return not parts[0]
    return all(parts) if isinstance(tree, CorrelationConditionAND) else any(parts)


def _count_events(_source: Source, match: Match) -> tuple[Hashable, ...]:
    return (match.identity,)


def _count_rules(source: Source, _match: Match) -> tuple[Hashable, ...]:
    return (source.name,)


def _count_values(source: Source, match: Match) -> tuple[Hashable, ...]:
    """The values of one field, or how those of several go together."""
    values = match.values[len(source.groups) :]
    if len(values) == 1:
        return tuple(dict.fromkeys(values[0]))
    return (values,) if all(values) else ()


def _unsupported(what: str) -> SigmaFeatureNotSupportedByBackendError:
    return SigmaFeatureNotSupportedByBackendError(f"{what} is not supported")
