"""Patterns and events given as Python values or as JSON texts."""

import json

from trailscan.findings.patterns.matching import matches
from trailscan.findings.patterns.parsing import Pattern, pattern_of
from trailscan.findings.patterns.places import parse_json


def pattern(written: object) -> Pattern:
    return pattern_of(parse_json(written if isinstance(written, str) else json.dumps(written)))


def matched(written: object, event: object) -> bool:
    return matches(pattern(written), json.loads(event) if isinstance(event, str) else event)
