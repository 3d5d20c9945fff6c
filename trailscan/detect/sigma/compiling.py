"""A file of Sigma rules -> rules that are ready to run, and those that cannot, with the reason. One never stops the others.

pySigma reads rules and correlations and says what is wrong with them; what they look at is decided by their log source.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, cast

import msgspec
from sigma.collection import NestedDict, SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaConditionError, SigmaError, SigmaLogsourceError
from sigma.rule import SigmaRule

from trailscan.detect.rule import Compiled, Hit, Level, Rule, Uncompiled
from trailscan.detect.sigma.backend import Backend
from trailscan.detect.sigma.condition import Field, any_of
from trailscan.detect.sigma.correlation import Subject, correlation_of
from trailscan.detect.sigma.fields import event_field, session_field
from trailscan.detect.sigma.reading import Document, Unreadable, documents
from trailscan.detect.sigma.searching import Kind, Search, matches
from trailscan.store.database import Connection

LONGEST_CONDITION = 4_000  # characters
MOST_TESTS = 50_000  # published rules have some hundreds
DEEPEST_CONDITION = 20  # brackets within brackets: what it takes to parse them grows steeply

# What pySigma raises for files that are not as it expects; of these only the first is of its own making.
_BROKEN = (SigmaError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)

Parsed = SigmaRule | SigmaCorrelationRule


class SigmaCompiled(msgspec.Struct, frozen=True):
    """A rule about single events or sessions."""

    rule: Rule
    search: Search

    def hits(self, connection: Connection) -> Iterator[Hit]:
        """A hit for each event or session. Raises RuleFailed."""
        for match in matches(connection, self.search):
            yield Hit(match.row_ids, match.identity)


def compile_sigma(text: bytes, path: str) -> list[Compiled | Uncompiled]:
    """The rules of a file in their order, then what was no rule; rules that only serve a correlation are not listed."""
    try:
        found = documents(text)
    except Unreadable as error:
        return [Uncompiled(path, error.place, error.reason)]
    if not found:
        return [Uncompiled(path, "", "there is no rule in the file")]
    return _File(path).compiled(found)


class _File:
    """A file while it is compiled: its rules know each other by id and name."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._parsed: list[Parsed] = []
        self._fingerprints: dict[int, str] = {}  # of the document that a rule stood in, by the rule's id()
        self._subjects: dict[int, Subject] = {}
        self._wrong: list[Uncompiled] = []

    def compiled(self, found: Sequence[Document]) -> list[Compiled | Uncompiled]:
        for documents_of_one in _belonging(found):
            self._parse(documents_of_one)
        collection = SigmaCollection(list(self._parsed), resolve_references=False)
        failures = {id(rule): self._prepare(rule, collection) for rule in self._parsed}
        done: list[Compiled | Uncompiled] = []
        for rule in self._parsed:
            if failure := failures[id(rule)]:
                done.append(self._uncompiled(rule.title, failure))
            elif rule._output:  # noqa: SLF001 - pySigma's mark on rules that only serve a correlation; it has no other
                done.append(self._finish(rule, collection))
        return [*done, *self._wrong]

    def _parse(self, found: Sequence[Document]) -> None:
        """pySigma's own reading of one document, or of several that go together."""
        contents = [each.content for each in found]
        place = _title(contents[0]) or f"document {found[0].number}"
        try:
            for content in contents:
                _check(content)
            parsed = SigmaCollection.from_dicts(cast("list[NestedDict]", contents), resolve_references=False).rules
            if not parsed:
                raise SigmaConditionError("there is no rule in it; filters and global parts serve the rules of their own file")
        except _BROKEN as error:
            self._wrong.append(self._uncompiled(place, _reason(error)))
            return
        for number, rule in enumerate(parsed):
            fingerprint = "".join(each.fingerprint for each in found) + (str(number) if number else "")
            self._fingerprints[id(rule)] = fingerprint
        self._parsed += parsed

    def _prepare(self, rule: Parsed, collection: SigmaCollection) -> str | None:
        """Convert a rule, or find what a correlation refers to; returns what is wrong."""
        try:
            if isinstance(rule, SigmaRule):
                self._subjects[id(rule)] = _subject(rule)
            else:
                rule.resolve_rule_references(collection)
        except _BROKEN as error:
            return _reason(error)
        return None

    def _finish(self, parsed: Parsed, collection: SigmaCollection) -> Compiled | Uncompiled:
        if isinstance(parsed, SigmaRule):
            return SigmaCompiled(self._rule(parsed, "sigma"), self._subjects[id(parsed)][0])
        try:
            return correlation_of(parsed, self._rule(parsed, "sigma-correlation"), collection, self._subjects)
        except _BROKEN as error:
            return self._uncompiled(parsed.title, _reason(error))

    def _rule(self, parsed: Parsed, language: Literal["sigma", "sigma-correlation"]) -> Rule:
        name = f"{os.path.basename(self._path)}\n{self._fingerprints[id(parsed)]}"
        return Rule(
            id=str(parsed.id) if parsed.id else hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest(),
            title=parsed.title,
            level=cast("Level", parsed.level.name.lower()) if parsed.level else "medium",
            language=language,
            path=self._path,
            author=parsed.author,
            description=parsed.description,
            tags=tuple(map(str, parsed.tags)),
        )

    def _uncompiled(self, place: str, reason: str) -> Uncompiled:
        return Uncompiled(self._path, place, reason)


_SERVICES: dict[str, tuple[Kind, Callable[[str], Field]]] = {
    "cloudtrail": ("events", event_field),
    "session-manager": ("sessions", session_field),
}


def _subject(rule: SigmaRule) -> Subject:
    """What a rule looks for. Raises SigmaError, and whatever else pySigma stumbles over."""
    source = rule.logsource
    service = (source.service or "").lower()
    if (source.product or "").lower() != "aws" or service not in _SERVICES or source.category:
        named = (("product", source.product), ("service", source.service), ("category", source.category))
        told = ", ".join(f"{name} {value}" for name, value in named if value)
        raise SigmaLogsourceError(f"the rule is for {told}; those for product aws, service {' or '.join(_SERVICES)} can run")
    kind, field_of = _SERVICES[service]
    backend = Backend(field_of, keywords=kind == "events")
    conditions = [backend.condition(parsed.parsed) for parsed in rule.detection.parsed_condition]
    return Search(kind, any_of(conditions)), field_of


def _belonging(found: Sequence[Document]) -> Iterator[Sequence[Document]]:
    """Each document by itself, so that one that is wrong spoils no other; all of a file whose documents build on others."""
    building = ("action", "filter")
    if any(isinstance(each.content, dict) and any(key in each.content for key in building) for each in found):
        return iter([found])
    return iter([[each] for each in found])


def _check(content: object) -> None:
    """Refuse what is no rule, and what would take long to unfold: a condition may name each detection again and again."""
    if not isinstance(content, dict):
        raise SigmaConditionError("this is not a rule")
    for section in filter(None, (content.get("detection"), content.get("correlation"))):
        named = section.get("condition") if isinstance(section, dict) else None
        conditions = [each for each in (named if isinstance(named, list) else [named]) if isinstance(each, str)]
        for condition in conditions:
            _check_condition(condition)
        words = sum(len(condition.split()) for condition in conditions)
        if words * _values_in(section) > MOST_TESTS:
            raise SigmaConditionError(f"the condition unfolds to more than {MOST_TESTS:,} tests")


def _check_condition(condition: str) -> None:
    depth = deepest = 0
    for character in condition:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    if len(condition) > LONGEST_CONDITION or deepest > DEEPEST_CONDITION:
        limits = f"{LONGEST_CONDITION:,} characters, {DEEPEST_CONDITION} brackets within brackets"
        raise SigmaConditionError(f"the condition is too long or too deep; it may have {limits}")


def _values_in(section: object) -> int:
    """How many values there are in part of a rule; `windash` stands for up to 125 of each."""
    if isinstance(section, dict):
        return sum(_values_in(value) * (125 if "|windash" in str(key) else 1) for key, value in section.items())
    return sum(map(_values_in, section)) if isinstance(section, list) else 1


def _title(content: object) -> str:
    title = content.get("title") if isinstance(content, dict) else None
    return title if isinstance(title, str) else ""


def _reason(error: Exception) -> str:
    text = str(error).partition("\n")[0] or type(error).__name__
    return text if isinstance(error, SigmaError) else f"not a rule as Sigma defines it ({text})"
