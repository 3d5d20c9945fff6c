"""A report: an answer of several parts, as values. Each part has rows, a document, notes, or some of these.

It knows nobody: neither where its values come from nor how they will look.
"""

import msgspec

from trailscan.query.table import Column, Row


class Grid(msgspec.Struct, frozen=True):
    """Typed columns and all of their rows: a Table that can be read twice."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


class Section(msgspec.Struct, frozen=True):
    """One part: `name` for machines, `title` for people.

    `stacked` rows are wide and few, and read better as names and values below each other. `document` is one JSON text,
    as it was found. `notes` are sentences: what the rows mean, what is missing, how to see more.
    """

    name: str
    title: str
    grid: Grid | None = None
    stacked: bool = False
    document: str | None = None
    notes: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True):
    """What there is to say of one thing: its `kind` ("event", "session"), its id, and the sections in order."""

    kind: str
    id: str
    sections: tuple[Section, ...]
