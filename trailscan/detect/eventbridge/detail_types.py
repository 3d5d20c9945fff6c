"""The two spellings of one detail-type: AWS documents `AWS Console Signin via CloudTrail`, rules in use say `Sign In`.

Patterns are put into the documented spelling, which `envelope` uses too. Source: Amazon EventBridge User Guide, "AWS service
events delivered via AWS CloudTrail".
"""

import msgspec

from trailscan.detect.eventbridge.criteria import AnythingBut, Criterion, Folded, Prefix, Suffix, Texts, Wildcard
from trailscan.detect.eventbridge.parsing import Condition, Pattern

_FIELD = "detail-type"


def respelled(pattern: Pattern) -> Pattern:
    """The pattern with what it says of detail-type in the documented spelling."""
    branches = tuple(tuple(map(_condition, branch)) for branch in pattern.branches)
    return msgspec.structs.replace(pattern, branches=branches)


def _condition(condition: Condition) -> Condition:
    if condition.path != _FIELD:
        return condition
    return Condition(_FIELD, tuple(map(_criterion, condition.criteria)))


def _criterion(criterion: Criterion) -> Criterion:
    match criterion:
        case Texts(values):
            return Texts(frozenset(map(_text, values)))
        case Prefix() | Suffix() | Folded():
            return msgspec.structs.replace(criterion, text=_text(criterion.text))
        case Wildcard(parts):
            return Wildcard(tuple(map(_text, parts)))
        case AnythingBut(excluded):
            return AnythingBut(tuple(map(_criterion, excluded)))
        case _:
            return criterion


def _text(text: str) -> str:
    return text.replace("Console Sign In", "Console Signin").replace("console sign in", "console signin")
