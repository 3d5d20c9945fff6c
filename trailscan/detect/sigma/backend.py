"""pySigma's parse of a rule -> a condition as values: what each kind of value in a rule means over this project's tables.

Texts match in whatever case unless `cased`; DuckDB folds both sides, so that they are folded alike. Wildcards in the middle
of a text become a regular expression of RE2, which takes linear time on any text; LIKE does not.
"""

from collections.abc import Callable, Sequence

import msgspec
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.exceptions import SigmaConditionError, SigmaFeatureNotSupportedByBackendError, SigmaPlaceholderError
from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaStringPartType,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from trailscan.detect.sigma.condition import (
    All,
    Anywhere,
    Condition,
    Exists,
    Field,
    Match,
    Not,
    Passes,
    Same,
    Test,
    Valueless,
    Within,
    any_of,
    literal,
)

Parts = Sequence[SigmaStringPartType]

ANY = SpecialChars.WILDCARD_MULTI
EXACT = 2**53  # whole numbers below it are exact as DOUBLE

_NUMBER = "try_cast({v} AS DOUBLE)"
_OPERATORS = {
    CompareOperators.LT: "<",
    CompareOperators.LTE: "<=",
    CompareOperators.GT: ">",
    CompareOperators.GTE: ">=",
    CompareOperators.NEQ: "<>",
}
_FLAGS = {
    SigmaRegularExpressionFlag.IGNORECASE: "i",
    SigmaRegularExpressionFlag.MULTILINE: "m",
    SigmaRegularExpressionFlag.DOTALL: "s",
}
_MATCHES: dict[tuple[bool, bool], Match] = {
    (False, False): "equal",
    (True, False): "startswith",
    (False, True): "endswith",
    (True, True): "contains",
}


class Backend(msgspec.Struct, frozen=True):
    """Turns the conditions of rules about one kind of thing into values; `field_of` knows the fields of that kind."""

    field_of: Callable[[str], Field]
    keywords: bool  # whether it can be searched for a text anywhere

    def condition(self, parsed: object) -> Condition:
        """What a parsed condition means. Raises SigmaError for what it cannot mean here."""
        match parsed:
            case ConditionOR():
                return any_of([self.condition(part) for part in parsed.args])
            case ConditionAND():
                return All(tuple(self.condition(part) for part in parsed.args))
            case ConditionNOT():
                return Not(self.condition(parsed.args[0]))
            case ConditionFieldEqualsValueExpression():
                return self._compared(self.field_of(parsed.field), parsed.value)
            case ConditionValueExpression():
                return self._anywhere(parsed.value)
            case _:
                raise SigmaConditionError("the condition says nothing")

    def _compared(self, field: Field, value: SigmaType) -> Condition:
        match value:
            case SigmaExpansion():
                return any_of([self._compared(field, each) for each in value.values])
            case SigmaCIDRExpression():
                return Within(field, value.network)
            case SigmaFieldReference():
                return Same(field, self.field_of(value.field), _MATCHES[value.starts_with, value.ends_with])
            case SigmaExists():
                return Exists(field) if value else Not(Exists(field))
            case SigmaNull():
                return Valueless(field)
            case _:
                return Passes(field, (_test(value),))

    def _anywhere(self, value: SigmaType) -> Condition:
        """A keyword: a text or a number that some value of the record holds."""
        if not self.keywords:
            raise SigmaFeatureNotSupportedByBackendError("keywords without a field are not supported for sessions")
        match value:
            case SigmaExpansion():
                return any_of([self._anywhere(each) for each in value.values])
            case SigmaString():
                return Anywhere((text_test([ANY, *value.s, ANY], isinstance(value, SigmaCasedString)),))
            case SigmaNumber():
                return Anywhere((text_test([ANY, str(value), ANY]),))
            case SigmaRegularExpression():
                return Anywhere((_regex_test(value),))
            case _:
                raise SigmaFeatureNotSupportedByBackendError(f"{type(value).__name__} without a field is not supported")


def text_test(parts: Parts, cased: bool = False) -> Test:
    """A test for a text of which some parts are wildcards. Raises SigmaPlaceholderError where one is a placeholder."""
    if unknown := [part.name for part in parts if isinstance(part, Placeholder)]:
        raise SigmaPlaceholderError(f"nothing is known that %{unknown[0]}% stands for")
    body = _without_ends(parts)
    texts = [part for part in body if isinstance(part, str)]
    if parts and not body:
        return Test("{v} IS NOT NULL")
    if len(texts) < len(body):
        pattern = "(?s)" + "".join(map(_as_regex, parts))
        return Test(_folded("regexp_full_match({v}, {0})", cased), (pattern,), max(texts, key=len, default=None))
    before, after = ANY in parts[:1], ANY in parts[-1:]
    text = "".join(texts)
    return Test(_folded(_SQL[before, after], cased), (text,), text or None)


_SQL = {
    (False, False): "{v} = {0}",
    (False, True): "starts_with({v}, {0})",
    (True, False): "ends_with({v}, {0})",
    (True, True): "contains({v}, {0})",
}


def _without_ends(parts: Parts) -> list[SigmaStringPartType]:
    """The parts less the wildcards for any characters at either end."""
    body = list(parts)
    while body and body[0] == ANY:
        del body[0]
    while body and body[-1] == ANY:
        del body[-1]
    return body


def _folded(sql: str, cased: bool) -> str:
    return sql if cased else sql.replace("{v}", "lower({v})").replace("{0}", "lower({0})")


def _as_regex(part: SigmaStringPartType) -> str:
    if isinstance(part, str):
        return literal(part)
    return ".*" if part == ANY else "."


def _test(value: SigmaType) -> Test:
    """The test of one value of a field."""
    match value:
        case SigmaString():
            return text_test(value.s, isinstance(value, SigmaCasedString))
        case SigmaTimestampPart():
            part = value.timestamp_part.name.lower()  # a name out of pySigma's own list
            return Test(f"date_part('{part}', try_cast({{v}} AS TIMESTAMP)) = {{0}}", (value.number,))
        case SigmaNumber():
            return _number_test(value.number)
        case SigmaBool():
            return Test("lower({v}) = {0}", ("true" if value else "false",))
        case SigmaRegularExpression():
            return _regex_test(value)
        case SigmaCompareExpression():
            sql = f"(isfinite({_NUMBER}) AND {_NUMBER} {_OPERATORS[value.op]} {{0}})"
            return Test(sql, (float(value.number.number),))
        case _:
            raise SigmaFeatureNotSupportedByBackendError(f"{type(value).__name__} is not supported")


def _number_test(number: float) -> Test:
    """A number, written as a number or as text. Of whole numbers too great for a DOUBLE, pySigma keeps only some exact."""
    if isinstance(number, int) and abs(number) >= EXACT:
        return Test("{v} = {0}", (str(number),))
    return Test(f"({{v}} = {{0}} OR isfinite({_NUMBER}) AND {_NUMBER} = {{1}})", (str(number), float(number)))


def _regex_test(value: SigmaRegularExpression) -> Test:
    """A regular expression that is found somewhere in the value."""
    if value.contains_placeholder():
        raise SigmaPlaceholderError("nothing is known that the placeholder in a regular expression stands for")
    flags = "".join(sorted(_FLAGS[flag] for flag in value.flags))
    return Test("regexp_matches({v}, {0})", ((f"(?{flags})" if flags else "") + str(value.regexp),))
