"""A rule whose hits are the rows of one SQL statement, so that running rules can be tested without a rule language."""

from dataclasses import dataclass

from trailscan.detect.rule import Hit, Rule, RuleFailed


@dataclass
class SqlRule:
    """`condition` over `evidence`; `fails_after` so many hits, if given."""

    rule: Rule
    condition: str
    fails_after: int | None = None
    note: str = ""

    def hits(self, connection):
        rows = connection.execute(f"SELECT row_id, event_id FROM evidence WHERE {self.condition} ORDER BY row_id").fetchall()
        for number, (row_id, event_id) in enumerate(rows):
            if number == self.fails_after:
                raise RuleFailed("the database refused it")
            yield Hit((row_id,), str(event_id), self.note)


def sql_rule(title, condition, level="medium", **more):
    """A rule that has its title for an id."""
    rule = Rule(id=title, title=title, level=level, language="sigma", path="rules/x.yml", author="ana", tags=("a", "b"))
    return SqlRule(rule, condition, **more)


class Book:
    """What `detect_new` takes: rules, and a fingerprint of them."""

    def __init__(self, *rules, fingerprint="one"):
        self.rules, self.fingerprint = rules, fingerprint
