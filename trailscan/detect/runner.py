"""Rules run over an archive's database: what they found, as rows with the event to cite and where its record lies.

It never decides how a finding is shown or whom it is told.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

import msgspec
from arro3.core import Table as ArrowTable

from trailscan.archive.folder import ArchiveFolder
from trailscan.detect import finding_table as stored
from trailscan.detect.rule import LEVELS, Compiled, Hit, Rule, RuleFailed
from trailscan.detect.rulebook import Rulebook
from trailscan.query.events import ORIGINAL_COLUMNS, known_column, quoted
from trailscan.query.table import Table
from trailscan.query.tables import table_of
from trailscan.store.arrow import Cells, Kinds, insert, read_table
from trailscan.store.database import Connection, Database, run

COLUMNS = (
    "rule_id", "title", "level", "author", "tags", "language", "note", "event_time", "event_name", "who", "source_ip_address",
    "target", "session_id", "result", "recipient_account_id", "aws_region", "event_id", "finding_id", "bucket", "key", "path",
    "member", "record_index", "sha256",
)  # fmt: skip
PEOPLE_COLUMNS = ("event_time", "level", "title", "who", "source_ip_address", "target", "event_name", "note")
HITS_AT_ONCE = 20_000
_OF_RULE = ("rule_id", "title", "level", "author", "tags", "language")
_INTERNAL = ("row_id", "member_offset", "object_bytes")
_HITS: Kinds = {"number": "short", "row_ids": "text", "identity": "text", "note": "text"}
_RULES: Kinds = {"number": "short", **dict.fromkeys(_OF_RULE, "text")}
_LEVELS = "[" + ", ".join(f"'{level}'" for level in LEVELS) + "]"

_TABLES = """
CREATE OR REPLACE TEMP TABLE rule (number INTEGER, rule_id VARCHAR, title VARCHAR, level VARCHAR, author VARCHAR, tags VARCHAR,
                                   language VARCHAR);
CREATE OR REPLACE TEMP TABLE hit (number INTEGER, row_ids BIGINT[], identity VARCHAR, note VARCHAR)
"""
# Hits of one identity are one finding, whichever copies of its events they rest on.
_FOUND = """
CREATE OR REPLACE TEMP TABLE found AS
  WITH named AS (SELECT sha256(rule_id || chr(10) || identity) AS finding_id, number, nullif(note, '') AS note, row_ids,
                        row_ids[1] AS row_id
                 FROM hit JOIN rule USING (number)),
       timed AS (SELECT named.*, event_time, object_id, record_index FROM named LEFT JOIN events ON events.rowid = row_id)
  SELECT finding_id, number, note, row_ids, row_id, finding_id NOT IN (SELECT finding_id FROM findings) AS is_new
  FROM timed WHERE (?::TIMESTAMP IS NULL OR event_time >= ?) AND (?::TIMESTAMP IS NULL OR event_time < ?)
  QUALIFY row_number() OVER (PARTITION BY finding_id ORDER BY object_id, record_index) = 1
"""
_REPORTED = """
CREATE OR REPLACE TEMP VIEW reported AS
  SELECT rule.* EXCLUDE (number), found.* EXCLUDE (number, row_id), evidence.*
  FROM found JOIN rule USING (number) LEFT JOIN evidence USING (row_id)
"""
_BASIS = """
WITH cited AS (SELECT DISTINCT unnest(row_ids) AS row_id FROM reported),
     resting AS (SELECT object_id FROM events WHERE rowid IN (SELECT row_id FROM cited))
SELECT count(*), count(DISTINCT rule_id), (SELECT count(DISTINCT object_id) FROM resting), (SELECT count(*) FROM resting),
       count(*) FILTER (is_new), (SELECT count(*) FROM found), max(list_position({levels}, level))
FROM reported
"""


class DetectionScope(msgspec.Struct, frozen=True):
    """Which findings are asked for: those that cite an event of [since, until), naive UTC, or only those not stored before."""

    since: datetime | None = None
    until: datetime | None = None
    only_new: bool = False


class FindingBasis(msgspec.Struct, frozen=True):
    """What an answer of findings rests on, in counts."""

    findings: int
    rules: int  # that found something
    objects: int  # that hold the events
    events: int
    new: int  # findings not stored before
    known: int  # findings left out since they were stored before
    level: str | None  # the highest

    def reaches(self, level: str) -> bool:
        """Whether there is a finding of at least this level."""
        return self.level is not None and LEVELS.index(self.level) >= LEVELS.index(level)


class Failure(msgspec.Struct, frozen=True):
    """A rule that could not be run to its end; nothing that it found is in the answer."""

    rule: Rule
    reason: str


class Detection:
    """What some rules find in an open database: found once, then counted, listed or grouped."""

    def __init__(
        self,
        connection: Connection,
        rules: Sequence[Compiled],
        scope: DetectionScope = DetectionScope(),  # noqa: B008 - frozen
        on_rule: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._connection = connection
        run(connection, _TABLES)
        self.failed = tuple(_run_all(connection, rules, on_rule))
        run(connection, _FOUND, [scope.since, scope.since, scope.until, scope.until])
        run(connection, _REPORTED + ("WHERE is_new" if scope.only_new else ""))
        self.basis = _basis(connection)

    def table(self, columns: Sequence[str], sort: str = "event_time", limit: int | None = None) -> Table:
        """The findings as rows; `sort` takes a leading `-`, and levels by their weight."""
        names = ", ".join(quoted(known_column(name, self._known())) for name in columns)
        return table_of(self._connection.execute(f"SELECT {names} FROM reported {self._order(sort, limit)}"))

    def originals(self, sort: str = "event_time", limit: int | None = None) -> Table:
        """Where the original records lie that the findings rest on, finding by finding (see `search.originals`)."""
        wanted = ", ".join(f"evidence.{name}" for name in ORIGINAL_COLUMNS)
        return table_of(
            self._connection.execute(
                f"""WITH sorted AS (SELECT row_ids, row_number() OVER ({self._order(sort)}) AS number FROM reported
                                    ORDER BY number{_at_most(limit)}),
                         cited AS (SELECT number, unnest(row_ids) AS row_id, generate_subscripts(row_ids, 1) AS place
                                   FROM sorted)
                    SELECT {wanted} FROM cited JOIN evidence USING (row_id) ORDER BY number, place"""
            )
        )

    def number_of_groups(self, field: str) -> int:
        """How many values a column has."""
        name = quoted(known_column(field, self._known()))
        return int(run(self._connection, f"SELECT count(*) FROM (SELECT DISTINCT {name} FROM reported)")[0][0])

    def groups(self, field: str, limit: int | None = None) -> Table:
        """How many findings have each value of a column, the most frequent first, and when the first and last event was."""
        name = quoted(known_column(field, self._known()))
        spans = "count(*) AS findings, min(event_time) AS first_event, max(event_time) AS last_event"
        grouped = f"SELECT {name}, {spans} FROM reported GROUP BY {name} ORDER BY findings DESC, {name}{_at_most(limit)}"
        return table_of(self._connection.execute(grouped))

    def to_store(self, sort: str = "event_time", limit: int | None = None) -> ArrowTable:
        """The rows that `table` shows and that are not stored yet, as the table `findings` holds them."""
        now = datetime.now(UTC).replace(tzinfo=None).isoformat()
        columns = ", ".join(
            {"account_id": "recipient_account_id AS account_id", "found_at": f"TIMESTAMP '{now}' AS found_at"}.get(name, name)
            for name in stored.KINDS
        )
        shown = f"SELECT * FROM reported {self._order(sort, limit)}"
        return read_table(self._connection, f"SELECT {columns} FROM ({shown}) WHERE is_new")

    def _known(self) -> list[str]:
        described = run(self._connection, "DESCRIBE reported")
        return [name for name, kind, *_ in described if name not in _INTERNAL and not kind.endswith("[]")]

    def _order(self, sort: str, limit: int | None = None) -> str:
        name = known_column(sort.removeprefix("-"), self._known())
        column = f"list_position({_LEVELS}, level)" if name == "level" else quoted(name)
        way = "DESC" if sort.startswith("-") else "ASC"
        return f"ORDER BY {column} {way} NULLS LAST, event_time, rule_id, finding_id{_at_most(limit)}"


class Detected(msgspec.Struct, frozen=True):
    """What a round of detection came to."""

    new: tuple[stored.Finding, ...] = ()
    failed: tuple[Failure, ...] = ()
    skipped: bool = False  # nothing was loaded since the same rules ran


def detect_new(
    archive: ArchiveFolder, rulebook: Rulebook, notifiers: Sequence[str] = (), since: datetime | None = None
) -> Detected:
    """Run the rules, store what was not stored before, and note what each notifier is still to be told; all or nothing.

    Quick where nothing was loaded since the last time with the same rules. A notifier that was never given before hears
    only of events from `since` on, naive UTC. Raises ArchiveError, such as ArchiveBusy; nothing is lost then.
    """
    database = Database(archive.database)
    ids = [each.rule.id for each in rulebook.rules]
    with database.reading() as connection:
        mark = stored.detection_mark(connection, rulebook.fingerprint)
        is_same = stored.detected_mark(connection) == mark
        if is_same and not any(_is_behind(connection, notifier, ids) for notifier in notifiers):
            return Detected(skipped=True)
        detection = Detection(connection, () if is_same else rulebook.rules)
        found = detection.to_store()
    with archive.lock(), database.writing() as connection:
        for notifier in notifiers:
            stored.owe(connection, notifier, stored.overheard(connection, notifier, ids))
        new = stored.add(connection, found, notifiers, since)
        if not detection.failed:
            stored.set_detected_mark(connection, mark)
    return Detected(tuple(stored.findings_of(found, new)), detection.failed, is_same)


def _is_behind(connection: Connection, notifier: str, rule_ids: Sequence[str]) -> bool:
    """Whether a notifier is new, or was not told of what others found."""
    return stored.known_since(connection, notifier) is None or bool(stored.overheard(connection, notifier, rule_ids))


def _run_all(connection: Connection, rules: Sequence[Compiled], on_rule: Callable[[int], None]) -> Iterator[Failure]:
    """Fill `rule` and `hit`. The rules have a connection of their own, so that what they ask of it hinders nobody."""
    insert(connection, "rule", _RULES, [_row_of(*each) for each in enumerate(rules)])
    theirs = connection.cursor()
    for number, each in enumerate(rules):
        on_rule(number)
        try:
            hits = each.hits(theirs)
            while some := list(islice(hits, HITS_AT_ONCE)):
                insert(connection, "hit", _HITS, [_hit_row(number, hit) for hit in some])
        except Exception as error:  # noqa: BLE001 - no rule may stop the others: it is named, with what it broke
            run(connection, "DELETE FROM hit WHERE number = ?", [number])
            reason = str(error) if isinstance(error, RuleFailed) else f"{type(error).__name__}: {error}"
            yield Failure(each.rule, reason)
    theirs.close()


def _row_of(number: int, each: Compiled) -> Cells:
    rule = each.rule
    texts = (rule.id, rule.title, rule.level, rule.author, ", ".join(rule.tags) or None, rule.language)
    return (number, *map(_utf8, texts))


def _hit_row(number: int, hit: Hit) -> Cells:
    return (number, str(list(hit.row_ids)), _utf8(hit.identity), _utf8(hit.note))


def _utf8(text: str | None) -> str | None:
    r"""A rule's text with lone surrogates, which JSON can spell and UTF-8 cannot hold, shown as `\ud800`."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _basis(connection: Connection) -> FindingBasis:
    findings, rules, objects, events, new, all_found, highest = run(connection, _BASIS.format(levels=_LEVELS))[0]
    level = None if highest is None else LEVELS[highest - 1]
    return FindingBasis(findings, rules, objects, events, new, all_found - findings, level)


def _at_most(limit: int | None) -> str:
    return "" if limit is None else f" LIMIT {limit:d}"
