"""Rules written in a test, run over records written in a test: a database in memory, loaded as archives are."""

import json

from trailscan.detect.rule import Uncompiled
from trailscan.detect.sigma.compiling import compile_sigma
from trailscan.store.arrow import rows_as_arrow
from trailscan.store.database import run, scratch, sql
from trailscan.store.rows import BATCH

CLOUDTRAIL = "{product: aws, service: cloudtrail}"
SESSIONS = "{product: aws, service: session-manager}"


def database(*objects, connection=None):
    """A connection to the records of some objects, each a list of records as dicts or as JSON text."""
    connection = connection or scratch()
    run(connection, "DELETE FROM events")
    cells = [
        (number, index, record if isinstance(record, str) else json.dumps(record))
        for number, content in enumerate(objects, 1)
        for index, record in enumerate(content)
    ]
    connection.register("batch", rows_as_arrow(BATCH, cells))
    run(connection, "INSERT INTO events " + sql("parse.sql"))
    connection.unregister("batch")
    return connection


def compiled(text, path="rules/test.yml"):
    """The rules of a file, none of which may fail."""
    rules = compile_sigma(text if isinstance(text, bytes) else text.encode(), path)
    assert not [each for each in rules if isinstance(each, Uncompiled)], rules
    return rules


def refused(text):
    """The reasons why a file cannot run, when nothing of it can."""
    rules = compile_sigma(text if isinstance(text, bytes) else text.encode(), "rules/test.yml")
    assert all(isinstance(each, Uncompiled) for each in rules), rules
    return [each.reason for each in rules]


def rule(detection, source=CLOUDTRAIL, title="Test", more=""):
    """A rule as YAML: `detection` is its detection without indentation, or one selection in a line of its own."""
    if "condition:" not in detection:
        detection = f"selection:\n  {detection}\ncondition: selection"
    indented = "\n".join("  " + line for line in detection.splitlines())
    return f"title: {title}\n{more}logsource: {source}\ndetection:\n{indented}\n"


def hit_ids(connection, text, about="event_id"):
    """The event ids (or another column) of what each hit of the rules of a file cites first, in the order of hits."""
    return [
        run(connection, f"SELECT {about} FROM events WHERE rowid = ?", [hit.row_ids[0]])[0][0]
        for each in compiled(text)
        for hit in each.hits(connection)
    ]
