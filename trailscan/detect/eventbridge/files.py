"""Rule files as people keep them to the rules in them: bare patterns, answers of `aws events`, CloudFormation, Terraform; pure.

A file holds one rule or a list of them. What a rule says of itself is taken along; what does not fit is left out.
"""

from collections.abc import Iterator

import msgspec

from trailscan.detect.eventbridge.places import Malformed, Members, inside, parse_json

_PATTERN = ("EventPattern", "event_pattern", "eventPattern")
_RULE = "AWS::Events::Rule"
_TERRAFORM = "aws_cloudwatch_event_rule"


class Sketch(msgspec.Struct, frozen=True):
    """A rule as its file has it: the pattern's JSON and its place, and what was said of it."""

    place: str
    pattern: object
    name: str | None = None
    arn: str | None = None
    description: str | None = None
    state: str | None = None


def sketches_of(document: object, place: str = "$") -> Iterator[Sketch | Malformed]:
    """The rules of a document (see `places.parse_json`), and what of it is none."""
    if isinstance(document, list) and place == "$":
        for number, item in enumerate(document):
            yield from sketches_of(item, f"{place}[{number}]")
    elif not isinstance(document, Members):
        yield Malformed(place, "neither a pattern nor a rule: those are JSON objects")
    elif any(name in document for name in _PATTERN):
        yield _of_rule(document, place)
    elif isinstance(rules := document.get("Rules"), list) and all(map(_is_described, rules)):
        for number, rule in enumerate(rules):
            yield _of_rule(rule, f"{place}.Rules[{number}]")
    elif members := list(_of_template(document, place)):
        yield from members
    else:
        yield Sketch(place, document)


def _is_described(rule: object) -> bool:
    return isinstance(rule, Members) and isinstance(rule.get("Name"), str)


def _of_template(document: Members, place: str) -> Iterator[Sketch | Malformed]:
    resources = document.get("Resources")
    if isinstance(resources, Members):
        for name, resource in resources.pairs:
            if isinstance(resource, Members) and resource.get("Type") == _RULE:
                here = inside(inside(inside(place, "Resources"), name), "Properties")
                yield _of_rule(resource.get("Properties"), here, name)
    resources = document.get("resource")
    rules = resources.get(_TERRAFORM) if isinstance(resources, Members) else None
    if isinstance(rules, Members):
        for name, rule in rules.pairs:
            yield _of_rule(rule, inside(f"{place}.resource.{_TERRAFORM}", name), name)


def _of_rule(rule: object, place: str, name: str | None = None) -> Sketch | Malformed:
    """A rule's object; its pattern may be JSON within a text, as AWS answers it."""
    rule = rule if isinstance(rule, Members) else Members(())
    key = next((key for key in _PATTERN if rule.get(key) is not None), None)
    if key is None:
        return Malformed(place, "the rule has no event pattern: it runs on a schedule, or it is none")
    pattern, here = rule.get(key), inside(place, key)
    if isinstance(pattern, str):
        try:
            pattern = parse_json(pattern, here)
        except Malformed as error:
            return error
    return Sketch(
        here,
        pattern,
        _text(rule.get("Name", "name")) or name,
        _text(rule.get("Arn", "arn")),
        _text(rule.get("Description", "description")),
        _text(rule.get("State", "state")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
