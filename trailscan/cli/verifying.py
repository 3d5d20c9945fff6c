"""What `verify` does, once its arguments are read: read every object once, judge, report, keep the verdicts."""

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from trailscan.archive.custody_log import CustodyLog
from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.manifest import mark_of
from trailscan.archive.origin import Origin, bytes_of, name_of, state_of
from trailscan.cli.run import note
from trailscan.cli.terminal import Terminal
from trailscan.cli.writing import write_lines, write_table
from trailscan.errors import ArchiveError
from trailscan.files.local_objects import Problem
from trailscan.fingerprints import FingerprintIndex
from trailscan.records.worker_pool import Workers
from trailscan.render.amounts import count
from trailscan.render.sentences import verdicts as words
from trailscan.store.verdict import Status, Verdict
from trailscan.verify.object_check import CheckedObject, StoredObject, check_digests, check_logs
from trailscan.verify.sync_scopes import covered_by

if TYPE_CHECKING:  # DuckDB is loaded after the workers were started
    from trailscan.store.database import Connection, Database
    from trailscan.verify.logs import Recorded
    from trailscan.verify.verdict_queries import Tally


UNREADABLE = "it names no object: altered, or not written by trailscan"


class VerifyOptions(msgspec.Struct, frozen=True):
    """Which digests are to be judged, and how the answer is wanted."""

    since: datetime | None
    until: datetime | None
    verbose: bool
    format: str
    output: str | None
    public_keys: tuple[str, ...] = ()  # files or folders of keys to verify with, beside those that are kept
    region: str | None = None  # of these keys


def verify_archive(root: str, asked: VerifyOptions, jobs: int | None, quiet: bool) -> int:
    """Verify, report, note the verdicts, and give the exit code."""
    archive, terminal = ArchiveFolder(root), Terminal(quiet)
    archive.must_exist()
    with Workers(jobs) as workers, terminal.clean():
        from trailscan.store.database import Database, scratch
        from trailscan.verify.verdict_queries import tallies, verdicts_table
        from trailscan.verify.verdict_table import Gathering

        database, connection = Database(archive.database), scratch(with_views=False)
        gathering = Gathering(connection)
        for verdict in Verification(archive, database, workers, asked, terminal).verdicts():
            gathering.add(verdict)
        gathering.flush()
    counted = tallies(connection)
    if asked.format == "table":
        write_lines(_report(connection, counted, asked), asked.output)
    else:
        write_table(verdicts_table(connection), asked.format, asked.output)
    terminal.say("\n".join([*words.basis(counted), _keep(connection, archive, database, asked, counted)]))
    return words.exit_code(counted)


class Verification:
    """One pass over an archive; `verdicts` gives them as they fall."""

    def __init__(
        self, archive: ArchiveFolder, database: "Database", workers: Workers, asked: VerifyOptions, terminal: Terminal
    ) -> None:
        from trailscan.verify.digest_chain import Window

        self._archive = archive
        self._database = database
        self._workers = workers
        self._terminal = terminal
        self._window = Window(asked.since, asked.until)
        self._asked = asked
        self._read = 0

    def verdicts(self) -> Iterator[Verdict]:
        """Digests first, since they say what to look for in the logs."""
        from trailscan.cli.verifying_keys import gather_keys
        from trailscan.verify.digest_chain import earliest_starts, judge_digests, judge_spans
        from trailscan.verify.held_objects import archive_snapshot, kept_digests, kept_logs
        from trailscan.verify.logs import Logs, judge_archived, judge_stranger
        from trailscan.verify.signatures import KeyRing

        database = archive_snapshot(self._database)
        recorded, strangers = _recorded(self._archive, database.known)
        gathered = gather_keys(self._archive, self._asked.public_keys, self._asked.region)
        yield from gathered.verdicts
        held = list(self._counted(check_digests(self._workers, kept_digests(self._database), self._archive.place)))
        for kept, checked in held:
            yield judge_archived(kept, checked, recorded)
        judged = judge_digests(held, KeyRing(gathered.keys, gathered.ledger.was_asked))
        yield from (each.verdict() for each, since in earliest_starts(judged) if self._window.takes(since, each.ends_at))
        covered = covered_by(CustodyLog(self._archive).entries(), database.spans)
        yield from judge_spans(judged, covered, database.failed, self._window)
        logs = Logs(judged, self._window)
        for kept, checked in self._counted(check_logs(self._workers, kept_logs(self._database), self._archive.place)):
            yield judge_archived(kept, checked, recorded)
            yield from logs.judge(kept, checked)
        yield from logs.missing(covered, database.failed)
        yield from (judge_stranger(each, os.path.exists(self._archive.place(bytes_of(each)))) for each in strangers)
        yield from self._strays()
        for line in self._archive.unreadable_lines():
            yield Verdict("archive", f"manifest.jsonl line {line}", Status.INVALID_FORMAT, UNREADABLE)
        yield from _custody(self._archive, self._database)

    def _strays(self) -> Iterator[Verdict]:
        """What lies among the objects and no line of the manifest knows."""
        from trailscan.verify.logs import judge_stray

        problems: list[Problem] = []
        yield from (judge_stray(stray.path) for stray in self._archive.strays(problems))
        yield from (judge_stray(problem.path, problem.reason) for problem in problems)

    def _counted(self, checked: Iterable[tuple[StoredObject, CheckedObject]]) -> Iterator[tuple[StoredObject, CheckedObject]]:
        for each in checked:
            self._read += 1
            self._terminal.progress(f"{count(self._read, 'object')} checked")
            yield each


def _recorded(archive: ArchiveFolder, known: FingerprintIndex) -> "tuple[Recorded, list[Origin]]":
    """What the manifest holds of each version of each object, and the objects of which the database knows nothing."""
    from trailscan.verify.logs import Recorded

    strangers: list[Origin] = []
    late: dict[int, Origin] = {}

    def hashes() -> Iterator[tuple[str, str]]:
        for origin in archive.versions():
            name, state = name_of(origin), state_of(origin)
            if not known.has(name, state):
                strangers.append(origin)
            if origin.hashed_at is not None or origin.stray:
                late[mark_of(origin)] = origin
            if origin.sha256 is not None:
                yield f"{name}\0{state}", origin.sha256

    return Recorded(FingerprintIndex(hashes()), late), strangers


def _custody(archive: ArchiveFolder, database: "Database") -> Iterator[Verdict]:
    from trailscan.store.custody_mark import remembered_by

    custody = CustodyLog(archive)
    flaws = custody.check(remembered_by(database))
    for flaw in flaws:
        yield Verdict("custody", f"custody.jsonl line {flaw.line}", Status.INVALID_HASH, flaw.reason)
    lines = sum(1 for _ in custody.entries())
    if lines and not flaws:
        yield Verdict("custody", "custody.jsonl", Status.VALID, f"{count(lines, 'line')}, the last is {custody.head()}")


def _report(connection: "Connection", counted: "list[Tally]", asked: VerifyOptions) -> Iterator[str]:
    from trailscan.verify.verdict_queries import keys_of, notable_table, noted, some, span_found, told_table

    table = told_table(connection) if asked.verbose else notable_table(connection)
    rows = (row for chunk in table.chunks for row in chunk)
    yield from (words.line(*map(str, row)) for row in rows)
    requested = (asked.since, asked.until)
    found = span_found(connection)
    yield from words.summary(
        counted, requested, found, lambda *of: some(connection, *of), lambda *of: noted(connection, *of), keys_of(connection)
    )


def _keep(
    connection: "Connection", archive: ArchiveFolder, database: "Database", asked: VerifyOptions, counted: "list[Tally]"
) -> str:
    """Lay the verdicts down in the archive, and the verification in its custody log; an archive may be read-only."""
    from trailscan.verify.verdict_table import lay_down

    arguments: dict[str, object] = {
        "since": asked.since and asked.since.isoformat(),
        "until": asked.until and asked.until.isoformat(),
    }
    if asked.public_keys:
        arguments["public_keys"] = list(asked.public_keys)
    try:
        with archive.lock():
            lay_down(connection, database, asked.since, asked.until)
            note(archive, "verify", arguments, words.counts(counted))
    except ArchiveError as error:
        return f"the verdicts were not kept: {error.message}"
    except OSError as error:
        return f"the verdicts were not kept: {archive.root} cannot be written: {error.strerror}"
    return f"{count(sum(each.number for each in counted), 'verdict')} kept in the table `verdicts`"
