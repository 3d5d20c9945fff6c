"""What `custody` does, once its arguments are read."""

from collections.abc import Iterator, Mapping
from itertools import islice

import msgspec

from trailscan.archive.custody_log import Argument, CustodyLog, Entry, Flaw
from trailscan.archive.folder import ArchiveFolder
from trailscan.cli.resting import resting_of
from trailscan.cli.terminal import Terminal
from trailscan.cli.writing import write_table
from trailscan.errors import ArchiveError, ExitCode
from trailscan.query.table import Column, Row, Table
from trailscan.render.amounts import count, size
from trailscan.render.escape import for_terminal
from trailscan.render.sentences.answers import SearchScope, ended
from trailscan.store.counts import NAMED

SHORT = 12  # characters of a hash that people compare by eye
ROWS = 1000
PLAIN_COLUMNS = (
    Column("number", "integer"),
    Column("at", "text"),
    Column("command", "text"),
    Column("arguments", "text"),
    Column("counts", "text"),
    Column("previous", "text"),
)
COLUMNS = (
    Column("number", "integer"),
    Column("at", "text"),
    Column("version", "text"),
    Column("command", "text"),
    Column("arguments", "json"),
    Column("counts", "json"),
    Column("sums", "json"),
    Column("manifest_from", "integer"),
    Column("manifest_to", "integer"),
    Column("manifest_sha256", "text"),
    Column("previous", "text"),
)


def recount(root: str, wanted: str, output: str | None, quiet: bool) -> int:
    """Write the log, say whether its chain holds, and give the exit code."""
    archive = ArchiveFolder(root)
    archive.must_exist()
    log = CustodyLog(archive)
    plain = wanted == "table"
    entries = list(log.entries())
    rows = map(_short_row if plain else _row, entries)
    write_table(Table(PLAIN_COLUMNS if plain else COLUMNS, _chunks(rows)), wanted, output)
    from trailscan.store.custody_mark import remembered_by
    from trailscan.store.database import Database

    flaws = log.check(remembered_by(Database(archive.database)))
    try:
        resting = resting_of(archive)
    except ArchiveError as error:
        resting = SearchScope(0, 0, limits=[error.message], is_sound=False)
    lines = _last_words(len(entries), flaws, log.uncovered(), log.head())
    Terminal(quiet).say("\n".join([*lines[:-1], *ended(lines[-1], resting), *map(for_terminal, resting.limits)]))
    return ExitCode.NOT_VERIFIED if flaws else ExitCode.DONE if resting.is_sound else ExitCode.DAMAGED


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while chunk := list(islice(rows, ROWS)):
        yield chunk


def _row(entry: Entry) -> Row:
    return (
        entry.number,
        entry.at,
        entry.version,
        entry.command,
        *(msgspec.json.encode(each).decode() for each in (entry.arguments, entry.counts, entry.sums)),
        entry.manifest.start,
        entry.manifest.end,
        entry.manifest.sha256,
        entry.previous,
    )


def _short_row(entry: Entry) -> Row:
    counts = ", ".join(f"{number:,} {name}" for name, number in entry.counts.items() if number)
    return entry.number, entry.at, entry.command, _short(entry.arguments), counts, entry.previous[:SHORT]


def _short(arguments: Mapping[str, Argument]) -> str:
    """The arguments that say something, as a person would read them."""
    told = []
    for name, value in arguments.items():
        if value is True:
            told.append(name)
        elif isinstance(value, list):
            told += [f"{name}={', '.join(value[:NAMED])}" + (" ..." if len(value) > NAMED else "")] if value else []
        elif isinstance(value, dict):
            told.append(f"{name}: {_short(value)}")
        elif value or (value == 0 and value is not False):
            told.append(f"{name}={value}")
    return " ".join(told)


def _last_words(entries: int, flaws: list[Flaw], uncovered: int, head: str) -> list[str]:
    lines = [f"  line {flaw.line}: {for_terminal(flaw.reason)}" for flaw in flaws[:NAMED]]
    if len(flaws) > NAMED:
        lines.append(f"  and {len(flaws) - NAMED:,} more")
    if lines:
        lines.insert(0, f"{count(len(flaws), 'flaw')} in the log:")
    if uncovered > 0:
        lines.append(f"the manifest gained {size(uncovered)} after the last entry: the next command that writes covers it")
    chain = "the chain does not hold" if flaws else "the chain holds"
    return [*lines, f"{count(entries, 'entry', 'entries')}; {chain}; head {head}"]
