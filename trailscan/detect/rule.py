"""What a rule is to those who run it, whatever language it was written in: what it says of itself, and how it finds hits.

Pure values and one protocol; the languages live beside it (event patterns, Sigma), the running in `detection`.
"""

from collections.abc import Iterator
from typing import Literal, Protocol

import msgspec

from trailscan.store.database import Connection

Level = Literal["informational", "low", "medium", "high", "critical"]
LEVELS: tuple[Level, ...] = ("informational", "low", "medium", "high", "critical")


class Rule(msgspec.Struct, frozen=True):
    """What a rule says of itself. `id` is stable across runs: the rule's own id, else its file's name and content."""

    id: str
    title: str
    level: Level
    language: Literal["event-pattern", "sigma", "sigma-correlation"]
    path: str  # of the file, as it was given
    author: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()


class Hit(msgspec.Struct, frozen=True):
    """One thing that a rule found: the rows of `events` it rests on (their rowid), the one to cite first.

    `identity` tells it from the rule's other hits, and stays the same when the archive's database is made anew: so it is
    made of accounts, event ids, session ids, times and texts, never of rowids or object ids.
    """

    row_ids: tuple[int, ...]
    identity: str
    note: str = ""  # what the row itself does not show: `7 targets within 1h`


class Compiled(Protocol):
    """A rule that is ready to run."""

    @property
    def rule(self) -> Rule:
        """What it says of itself."""
        ...

    def hits(self, connection: Connection) -> Iterator[Hit]:
        """Everything in the database that the rule matches; copies of one event (same account, event id, content) once.

        `connection` is read-only and locked down. Raises RuleFailed when the database refuses the rule's SQL.
        """
        ...


class Uncompiled(msgspec.Struct, frozen=True):
    """A rule, or a file of rules, that cannot run: where it stands and why. The others run."""

    path: str
    place: str  # within the file: a JSON path, a document's number, a title; may be empty
    reason: str


class RuleFailed(Exception):
    """A compiled rule that could not be run to its end; the reason is the message."""
