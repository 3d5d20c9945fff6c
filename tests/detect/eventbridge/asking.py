"""Patterns and events given as Python values or as JSON texts."""

import json

from trailscan.detect.eventbridge.matching import matches
from trailscan.detect.eventbridge.parsing import Pattern, pattern_of
from trailscan.detect.eventbridge.places import parse_json


def pattern(written: object) -> Pattern:
    return pattern_of(parse_json(written if isinstance(written, str) else json.dumps(written)))


def matched(written: object, event: object) -> bool:
    return matches(pattern(written), json.loads(event) if isinstance(event, str) else event)
