"""What `detect` does, once its arguments are read: compile the rules, run them, write what they found, keep it, tell it."""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from trailscan.archive.folder import ArchiveFolder
from trailscan.cli.asking import Inquiry, OutputOptions
from trailscan.cli.terminal import Terminal
from trailscan.cli.writing import write_table
from trailscan.errors import ArchiveError, ExitCode, UsageError
from trailscan.query.table import Column, Table
from trailscan.render.sentences import answers, findings

if TYPE_CHECKING:  # DuckDB and the rule compilers are loaded once the archive is there
    from arro3.core import Table as ArrowTable

    from trailscan.detect.rule import Compiled, Uncompiled
    from trailscan.detect.rulebook import Rulebook
    from trailscan.detect.runner import Detection
    from trailscan.notify.notifier import Notifier
    from trailscan.store.database import Database

_RULE_COLUMNS = ("level", "title", "language", "rule_id", "author", "tags", "path", "place", "reason")
_RULE_PEOPLE_COLUMNS = ("level", "title", "language", "path", "reason")


class DetectOptions(msgspec.Struct, frozen=True):
    """Which rules are to run, over which time, and what of their findings counts."""

    paths: tuple[str, ...]
    level: str | None
    rules: tuple[str, ...]
    since: datetime | None
    until: datetime | None
    only_new: bool
    fail_on: str | None
    notify: tuple[str, ...] = ()


def detect_in(root: str, asked: DetectOptions, shape: OutputOptions, quiet: bool) -> int:
    """Run rules over an archive, write the findings, keep those that are new; gives the exit code."""
    from trailscan.detect.runner import Detection, DetectionScope
    from trailscan.store.archive_stats import archive_stats
    from trailscan.store.condition import inspecting
    from trailscan.store.database import Database

    archive, terminal = ArchiveFolder(root), Terminal(quiet)
    archive.must_exist()
    notifiers = _notifiers(asked, shape)
    book, rules = _rules(asked, terminal)
    database = Database(archive.database)
    with database.reading() as connection, inspecting(connection, archive) as inspection:
        scope = DetectionScope(asked.since, asked.until, asked.only_new)
        with terminal.clean():
            detection = Detection(connection, rules, scope, lambda number: _progress(terminal, number, rules))
        _say(terminal, findings.of_failures(detection.failed))
        asking = FindingAsking(detection, asked, len(rules), shape, terminal, archive.place)
        code = asking.answer(answers.search_scope(archive_stats(connection), inspection.condition()))
        sys.stdout.flush()  # what is kept must have been shown
        fresh = None if shape.count or shape.by else detection.to_store(shape.sort, shape.limit)
    is_kept = fresh is None or _keep(archive, database, fresh, notifiers, terminal)
    is_told = is_kept and _tell(archive, notifiers, terminal) if notifiers else True
    return _exit_code(code if is_told else ExitCode.FAILED, asked, detection, book)


def list_rules(asked: DetectOptions, shape: OutputOptions, quiet: bool) -> int:
    """Write the rules, those that cannot run last, with reasons; gives the exit code."""
    if shape.format == "record" or shape.by or shape.count or shape.limit is not None:
        hint = "with --list leave out --by, --count, --limit and --format record"
        raise UsageError("--list shows rules, all of them, and no findings", hint)
    from trailscan.detect.rulebook import chosen, read_rules

    terminal = Terminal(quiet)
    book = read_rules(asked.paths)
    rules = chosen(book.rules, asked.level, asked.rules)
    columns = shape.columns or (_RULE_PEOPLE_COLUMNS if shape.format == "table" else _RULE_COLUMNS)
    write_table(_listed(rules, book.uncompiled, columns), shape.format, shape.output)
    terminal.say(findings.of_rulebook(len(rules), len(book.rules), len(book.uncompiled), book.shelf))
    return ExitCode.DAMAGED if book.uncompiled else ExitCode.DONE


class FindingAsking(Inquiry):
    """A question about what rules found; `ran` is how many were run."""

    def __init__(
        self,
        detection: "Detection",
        asked: DetectOptions,
        ran: int,
        shape: OutputOptions,
        terminal: Terminal,
        place: Callable[[str], str],
    ) -> None:
        self._detection = detection
        self._asked = asked
        self._ran = ran
        super().__init__(detection, shape, terminal, place)

    @property
    def total(self) -> int:
        """How many findings there are."""
        return self._detection.basis.findings

    @property
    def conflicts(self) -> int:
        """None: versions of an event that differ are findings of their own, or of `query`."""
        return 0

    def columns(self) -> Sequence[str]:
        """All columns for machines; for people those that tell when, how grave, what, who and where."""
        from trailscan.detect.runner import COLUMNS, PEOPLE_COLUMNS

        return PEOPLE_COLUMNS if self._shape.format == "table" else COLUMNS

    def originals(self) -> Table:
        """Where the records lie that the findings rest on."""
        return self._detection.originals(self._shape.sort, self._shape.limit)

    def ending(self, resting: answers.SearchScope, lost: Sequence[str]) -> list[str]:
        """`12 findings of 5 rules (of 13 run) in 2 of 7,883 objects`, and what else must be known."""
        return findings.of_findings(self._detection.basis, self._ran, resting, self.shown(), self._asked.only_new, lost)

    def why_none(self, resting: answers.SearchScope) -> list[str]:
        """Why there is no finding."""
        bounds = (self._asked.since, self._asked.until)
        return findings.why_no_findings(self._detection.basis, resting, bounds)


def _rules(asked: DetectOptions, terminal: Terminal) -> "tuple[Rulebook, list[Compiled]]":
    """The rulebook, and those of its rules that are asked for; says which cannot run. Raises UsageError when none can."""
    from trailscan.detect.rulebook import chosen, read_rules

    book = read_rules(asked.paths)
    _say(terminal, findings.of_uncompiled(book.uncompiled))
    if not book.rules:
        raise UsageError("there is no rule that can run", "`trailscan detect --list` with the same --rules shows why")
    rules = chosen(book.rules, asked.level, asked.rules)
    if not rules:
        raise UsageError(f"no rule has at least the level {asked.level}", "`trailscan detect --list` shows the rules")
    return book, rules


def _progress(terminal: Terminal, number: int, rules: "Sequence[Compiled]") -> None:
    terminal.progress(f"rule {number + 1:,} of {len(rules):,}: {rules[number].rule.title}")


def _notifiers(asked: DetectOptions, shape: OutputOptions) -> "Sequence[Notifier]":
    """Who is to be told of what is shown."""
    if not asked.notify:
        return ()
    if shape.count or shape.by:
        raise UsageError("--notify tells of findings, which --count and --by only count", "leave out one or the other")
    from trailscan.notify.targets import parse

    return parse(asked.notify)


def _keep(
    archive: ArchiveFolder, database: "Database", fresh: "ArrowTable", notifiers: "Sequence[Notifier]", terminal: Terminal
) -> bool:
    """Store the findings and whom they are to be told; an archive may be read-only, or another's for the moment."""
    from trailscan.detect.finding_table import add

    if not fresh.num_rows:
        return True
    try:
        with archive.lock(), database.writing() as connection:
            number = len(add(connection, fresh, [notifier.name for notifier in notifiers]))
    except ArchiveError as error:
        terminal.say(findings.of_not_kept(error.message))
    except OSError as error:
        terminal.say(findings.of_not_kept(f"{archive.root} cannot be written: {error.strerror}"))
    else:
        terminal.say(findings.of_kept(number))
        return True
    return False


def _tell(archive: ArchiveFolder, notifiers: "Sequence[Notifier]", terminal: Terminal) -> bool:
    """Send what is owed, also what could not be sent before; says how that went."""
    from trailscan.notify.outbox import Outbox
    from trailscan.render.sentences.watching import of_delivery

    delivery = Outbox(archive, notifiers).send(lambda: False)
    _say(terminal, of_delivery(delivery, None))
    return not delivery.failed


def _exit_code(code: int, asked: DetectOptions, detection: "Detection", book: "Rulebook") -> int:
    if asked.fail_on is not None and detection.basis.reaches(asked.fail_on):
        return ExitCode.NOT_VERIFIED
    return code or (ExitCode.DAMAGED if detection.failed or book.uncompiled else ExitCode.DONE)


def _listed(rules: "Sequence[Compiled]", refused: "Sequence[Uncompiled]", columns: Sequence[str]) -> Table:
    """The rules as rows, and then what cannot run."""
    from trailscan.query.events import known_column

    names = [known_column(name, _RULE_COLUMNS) for name in columns]
    rows = [*map(_row_of_rule, rules), *(_row_of_refused(each) for each in refused)]
    return Table(tuple(Column(name, "text") for name in names), iter([[tuple(row[name] for name in names) for row in rows]]))


def _row_of_rule(each: "Compiled") -> dict[str, str | None]:
    rule = each.rule
    told = (rule.level, rule.title, rule.language, rule.id, rule.author, ", ".join(rule.tags) or None, rule.path)
    return dict(zip(_RULE_COLUMNS, (*told, None, None), strict=True))


def _row_of_refused(each: "Uncompiled") -> dict[str, str | None]:
    told = {"path": each.path, "place": each.place or None, "reason": each.reason}
    return dict.fromkeys(_RULE_COLUMNS) | told


def _say(terminal: Terminal, lines: Sequence[str]) -> None:
    if lines:
        terminal.say("\n".join(lines))
