"""Times as people type them on a command line, to UTC. Pure: "now" is an argument."""

import re
from datetime import UTC, datetime, timedelta

from trailscan.errors import UsageError

_AGO = re.compile(r"(\d{1,6})\s*(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_span(text: str) -> timedelta:
    """A span of time from `90s`, `15m`, `12h`, `7d` or `2w`. Raises UsageError, with examples, for anything else."""
    if not (span := _AGO.fullmatch(text.strip())):
        raise UsageError(f"{text!r} is not a span of time", "write 90s, 15m, 12h or 7d")
    return timedelta(**{_UNITS[span[2]]: int(span[1])})


def parse_time(text: str, now: datetime) -> datetime:
    """A moment in UTC, without zone, from ISO 8601 (a bare date is its midnight, no zone is UTC) or `7d`, `12h`, `30m` ago.

    `now` is UTC without zone. Raises UsageError, with examples, for anything else.
    """
    text = text.strip()
    try:
        if _AGO.fullmatch(text):
            return now - parse_span(text)
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError) as error:
        message = f"{text!r} is not a time"
        raise UsageError(message, "write 2026-03-01, 2026-03-01T09:15:00Z, 2026-03-01T09:15+01:00, 7d, 12h or 30m") from error
