"""What is still to be told, in counts, and what was never to be: beside `store.findings`, for those who watch."""

from collections.abc import Sequence

from trailscan.detect.finding_table import owe
from trailscan.store.database import Connection, run


def waiting(connection: Connection, notifier: str) -> int:
    """How many notices a notifier is still owed."""
    return int(run(connection, "SELECT count(*) FROM notices WHERE notifier = ? AND sent_at IS NULL", [notifier])[0][0])


def untold(connection: Connection, notifier: str, rule_ids: Sequence[str]) -> list[str]:
    """The findings of some rules that a notifier never was to be told of."""
    never = """SELECT finding_id FROM findings WHERE rule_id IN (SELECT unnest(?::VARCHAR[]))
               AND finding_id NOT IN (SELECT finding_id FROM notices WHERE notifier = ?)"""
    return [finding_id for (finding_id,) in run(connection, never, [list(rule_ids), notifier])]


def owe_all(connection: Connection, notifier: str, rule_ids: Sequence[str]) -> int:
    """Owe a notifier all findings of some rules, however old their events; returns how many it was not owed before."""
    missed = untold(connection, notifier, rule_ids)
    owe(connection, notifier, missed)
    return len(missed)
