"""What `sync` does, once its arguments are read: list, fetch, load and report, all at the same time."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from trailscan.archive.folder import ArchiveFolder
from trailscan.archive.origin import name_of
from trailscan.archive.writer_process import WriterProcess
from trailscan.aws.s3 import Bucket
from trailscan.aws.s3_pages import Listed
from trailscan.aws.session import Access
from trailscan.cli.run import Tally, counts_of, exit_code, interruptible, merge_event_names, note
from trailscan.cli.terminal import Terminal
from trailscan.cli.writing import write_table
from trailscan.cloudtrail.object_keys import parse_name
from trailscan.errors import SourceError, UsageError
from trailscan.fetch.download import LISTERS, Download, DownloadCounts, MissingObject
from trailscan.fetch.listing import ListingScope, ListingSurvey, Part, parts_of
from trailscan.fingerprints import FingerprintIndex
from trailscan.query.table import Column, Row, Table
from trailscan.records.inflate import sha256_raw
from trailscan.records.prefilter import Needles
from trailscan.records.worker_pool import Workers
from trailscan.render.amounts import count
from trailscan.render.sentences import funnels
from trailscan.store.counts import NAMED, Loaded
from trailscan.verify.key_ledger import ASKED

if TYPE_CHECKING:  # DuckDB is loaded after the workers were started
    from trailscan.store.backlog import Backlog
    from trailscan.store.database import Database
    from trailscan.store.ingest import Incoming, Ingest


class SyncOptions(msgspec.Struct, frozen=True):
    """What the command line asks for."""

    source: str
    scope: ListingScope
    access: Access
    keys: str | None
    only: tuple[str, ...]
    load: bool
    dry_run: bool
    jobs: int | None
    deleted: bool = False  # also older versions, and what stands behind delete markers
    often: bool = False  # one of many rounds: it leaves a line of custody only when it brought something


class Synced(msgspec.Struct, frozen=True):
    """What one round came to: the funnel, what was loaded, and what could not be had."""

    counts: DownloadCounts
    loaded: Loaded
    missing: tuple[MissingObject, ...]


def sync_bucket(wish: SyncOptions, root: str, quiet: bool) -> int:
    """Sync, report, and give the exit code."""
    terminal = Terminal(quiet)
    name, prefix = bucket_and_prefix(wish.source)
    named = named_objects(name, prefix, wish.keys)
    with contextlib.ExitStack() as stack:
        archive = ArchiveFolder(root, sha256_raw)
        workers = laying = None
        if not wish.dry_run:
            laying = stack.enter_context(WriterProcess(archive))
        if wish.load and not wish.dry_run:
            wish = msgspec.structs.replace(wish, only=merge_event_names(archive, wish.only))
            workers = stack.enter_context(Workers(wish.jobs, Needles.of([wish.only]) if wish.only else None))
        stop = stack.enter_context(interruptible())
        stack.enter_context(terminal.clean())
        bucket = Bucket(name, wish.access, wish.deleted)
        place = _Place(bucket, prefix, named, wish.scope)
        if wish.dry_run:
            return _plan(place, archive, terminal, stop.is_set)
        archive.create()
        stack.enter_context(archive.lock())
        return _Run(wish, place, archive, terminal, stop.is_set).run(workers, laying)


def sync_round(
    wish: SyncOptions,
    bucket: Bucket,
    named: list[str],
    archive: ArchiveFolder,
    workers: Workers,
    terminal: Terminal,
    stop: Callable[[], bool],
) -> Synced:
    """One round of somebody who syncs again and again: of the named keys, else of all that the wish asks for.

    Takes the archive's lock, and raises what a sync raises; what came before an error is kept.
    """
    place = _Place(bucket, bucket_and_prefix(wish.source)[1], named, wish.scope)
    archive.create()
    with archive.lock():
        run = _Run(wish, place, archive, terminal, stop)
        run.run(workers)
    return run.synced()


def bucket_and_prefix(source: str) -> tuple[str, str]:
    """The parts of an s3:// URL. Raises UsageError for anything else."""
    scheme, _, rest = source.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise UsageError(
            f"{source!r} is not a bucket",
            "write s3://bucket/prefix or event-history:; for local files there is `trailscan load`",
        )
    return bucket, prefix


def named_objects(bucket: str, prefix: str, keys: str | None) -> list[str]:
    """The keys to fetch without listing: of a file of keys or URLs, or the one that the source itself names."""
    if keys is None:
        return [prefix] if parse_name(prefix.rpartition("/")[2]) else []
    try:
        with contextlib.nullcontext(sys.stdin) if keys == "-" else open(keys, encoding="utf-8") as lines:
            named = dict.fromkeys(_key_in(bucket, line.strip()) for line in lines if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"cannot read keys from {keys}: {error}", "give a text file with one key or s3:// URL a line"
        ) from error
    if not named:
        raise UsageError(f"{keys} names no key", "write one key or s3:// URL a line")
    return list(named)


def _key_in(bucket: str, line: str) -> str:
    if not line.startswith("s3://"):
        return line
    other, key = bucket_and_prefix(line)
    if other != bucket:
        raise UsageError(f"{line} lies in another bucket than s3://{bucket}", "sync each bucket with keys of its own")
    return key


class _Place:
    """What is to be listed: everything below a prefix, or named objects."""

    def __init__(self, bucket: Bucket, prefix: str, named: list[str], scope: ListingScope) -> None:
        self.bucket = bucket
        self.oddities = bucket.start_listing()
        self.url = f"s3://{bucket.name}/{prefix}"
        self.scope = scope
        self.named = named
        self.survey = ListingSurvey(loose=[Listed(key, None, None, None) for key in named])
        self.parts: Iterable[Part] = () if named else parts_of(bucket, prefix, scope, self.survey, LISTERS)

    def listed_url(self) -> str | None:
        """What was listed as a whole; None where a part was left out by days, accounts, regions or names."""
        return None if self.named or self.scope != ListingScope() else self.url

    def report(self) -> list[str]:
        """What was left alone, and why."""
        return funnels.of_listing(self.survey, self.scope)

    def must_hold_something(self, counts: DownloadCounts) -> None:
        """Raise SourceError when there is nothing of CloudTrail's at all: a typing error, most likely."""
        if (
            not counts.listed
            and not self.oddities.number
            and not self.survey.pruned
            and not self.scope.since
            and not self.scope.until
        ):
            raise SourceError(
                f"no CloudTrail object was found below {self.url}",
                f"{count(self.survey.searched, 'folder')} searched for AWSLogs/; check the bucket and the prefix, "
                "or name the objects yourself, as a delivery stream's have other names: --keys FILE",
            )


def _plan(place: _Place, archive: ArchiveFolder, terminal: Terminal, stop: Callable[[], bool]) -> int:
    """Say what a sync would fetch: a table on stdout, the funnel on stderr."""
    held, suspects = _held_so_far(archive)
    sync = Download(place.bucket, archive, held, stop, suspects=suspects)
    sync.plan(place.parts, place.survey.loose, place.scope)
    place.must_hold_something(sync.counts)
    columns = (Column("account_id", "text"), Column("region", "text"), Column("objects", "integer"), Column("bytes", "integer"))
    rows: list[Row] = [(*where, number, sync.bytes_by_place[where]) for where, number in sorted(sync.by_place.items())]
    write_table(Table(columns, iter([rows] if rows else [])), "table", None)
    terminal.say("\n".join([funnels.plan_funnel(sync.counts), *place.report(), *funnels.of_oddities(place.oddities)]))
    return exit_code(place.oddities.number, stop())


def _held_so_far(archive: ArchiveFolder) -> tuple[FingerprintIndex, FingerprintIndex]:
    """What is held, and of it what has other bytes than were recorded."""
    from trailscan.store.backlog import Backlog
    from trailscan.store.database import Database

    database = Database(archive.database)
    if not database.exists():
        return FingerprintIndex(()), FingerprintIndex(())
    backlog = Backlog(archive, database, None)
    return backlog.held, backlog.suspects


class _Run:
    """One sync into an archive whose lock is held."""

    def __init__(
        self, wish: SyncOptions, place: _Place, archive: ArchiveFolder, terminal: Terminal, stop: Callable[[], bool]
    ) -> None:
        self._wish = wish
        self._place = place
        self._archive = archive
        self._terminal = terminal
        self._stop = stop
        self._tally = Tally(terminal)
        self._counts = DownloadCounts()
        self._missing: list[MissingObject] = []
        self._unlisted = 0  # objects held that the bucket does not show any more
        self._unlisted_named: list[str] = []
        self._keys_asked: dict[str, list[str]] = {}
        self._key_sums: dict[str, str] = {}

    def run(self, workers: Workers | None, laying: WriterProcess | None = None) -> int:
        """Fetch and load, then say what happened."""
        from trailscan.store.backlog import Backlog
        from trailscan.store.database import Database

        database = Database(self._archive.database)
        database.create()
        only = self._wish.only if self._wish.load else None
        backlog = Backlog(self._archive, database, only, self._place.named or None)
        sync = Download(self._place.bucket, self._archive, backlog.held, self._stop, laying, backlog.suspects)
        self._counts = sync.counts
        sync.start(self._place.parts, self._place.survey.loose, self._place.scope)
        from trailscan.store.ingest import Ingest  # brings DuckDB, while the first objects are on their way

        intake = Ingest(self._archive, workers, self._wish.only, self._stop)
        incoming = chain(backlog.incoming, self._incoming(sync, backlog.failed))
        if self._wish.load:
            for loaded in intake.load(incoming, lambda: sync.error is None):
                self._tally.add(loaded)
        else:
            intake.keep(incoming)
        self._find_unlisted(sync, database)
        self._close(sync, intake, backlog)
        self._note(sync)
        if sync.error is not None:
            raise sync.error
        self._place.must_hold_something(sync.counts)
        damaged = self._tally.loaded.flawed_objects + len(self._missing) + len(intake.unreadable)
        damaged += self._place.oddities.number + sync.counts.repaired
        return exit_code(damaged, self._stop())

    def _find_unlisted(self, sync: Download, database: "Database") -> None:
        """Compare the other way, too: what is held and was not listed, where all of it was."""
        place = self._place
        is_whole = sync.error is None and not self._stop() and place.oddities.is_whole and not place.survey.unsearched
        if place.named or self._wish.often or not is_whole:
            return
        from trailscan.store.unlisted import unlisted

        prefix = bucket_and_prefix(place.url)[1]
        with database.reading() as connection:
            for key in unlisted(connection, place.bucket.name, prefix, place.scope, sync.shown):
                self._unlisted += 1
                if len(self._unlisted_named) < NAMED:
                    self._unlisted_named.append(key)

    def synced(self) -> Synced:
        """What it came to."""
        return Synced(self._counts, self._tally.loaded, tuple(self._missing))

    def _incoming(self, sync: Download, failed: dict[str, int]) -> "Iterator[Incoming | None]":
        """What arrives, as the intake wants it; what does not is noted for the end."""
        for arrived in sync.arrivals():
            self._terminal.progress(funnels.sync_progress(sync, self._tally))
            if arrived is None:
                yield None
                continue
            for found in arrived:
                if isinstance(found, MissingObject):
                    self._missing.append(found)
                    continue
                yield found, failed.pop(name_of(found), None)

    def _close(self, sync: Download, intake: "Ingest", backlog: "Backlog") -> None:
        """Note what is missing, fetch the digests' keys, and say what happened; errors of the run are raised after this."""
        if self._missing:
            before = [
                number for missing in self._missing if (number := backlog.failed.get(name_of(missing.origin))) is not None
            ]
            intake.note_missing(self._missing, before)
        if not self._stop() and sync.error is None:
            intake.settle()
            self._save_keys()
        intake.note_listing(self._place.listed_url(), self._place.oddities, backlog.was_odd)
        self._say(funnels.sync_funnel(sync.counts, self._wish.load))
        if self._tally.loaded.objects:
            self._say(funnels.of_loading(self._tally.loaded, self._tally.seconds, []))
        self._say(funnels.missing_lines([(missing.origin.key, missing.reason) for missing in self._missing]))
        self._say(funnels.of_lines(intake.unreadable))
        self._say(funnels.of_repairs(sync.repaired))
        self._say(funnels.of_unlisted(self._unlisted, self._unlisted_named))
        self._say(self._place.report())
        self._say(funnels.of_oddities(self._place.oddities))
        if self._stop() or sync.error is not None:
            self._say(["stopped: what was fetched is kept; run the same command again to go on"])

    def _note(self, sync: Download) -> None:
        """A line of the custody log: what was asked for, and what came of it."""
        wish, scope, counts = self._wish, self._wish.scope, sync.counts
        if wish.often and not (counts.fetched or counts.missing or self._tally.loaded.objects or self._key_sums):
            return
        arguments = {
            "source": wish.source,
            "since": scope.since and f"{scope.since.isoformat()}Z",
            "until": scope.until and f"{scope.until.isoformat()}Z",
            "account": scope.accounts,
            "region": scope.regions,
            "keys": wish.keys,
            "only": wish.only,
            "no_load": not wish.load,
            "deleted": wish.deleted,
            "endpoint_url": wish.access.endpoint_url,
            ASKED: self._keys_asked,
            "stopped": self._stop() or sync.error is not None or not self._place.oddities.is_whole,
        }
        listed = {
            name: getattr(counts, name)
            for name in ("listed", "held", "fetched", "missing", "beyond", "bytes", "changed", "repaired")
        }
        more = {"odd_listings": self._place.oddities.number, "no_longer_listed": self._unlisted}
        note(self._archive, "sync", arguments, listed | more | counts_of(self._tally.loaded), self._key_sums)

    def _say(self, lines: list[str]) -> None:
        if lines:
            self._terminal.say("\n".join(lines))

    def _save_keys(self) -> None:
        """CloudTrail's public keys for the digests that are held, so that they can be verified with no network."""
        if self._wish.often and not self._counts.fetched:
            return
        from trailscan.cli.fetching_keys import fetch_keys
        from trailscan.store.database import Database

        database = Database(self._archive.database)
        fetched = fetch_keys(self._place.bucket, self._archive, database, self._terminal.say)
        self._keys_asked, self._key_sums = fetched.asked, fetched.sums
