"""One look at a bucket after another: sync and load what is new there, then detect and tell."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Event

import msgspec

from trailscan.archive.folder import ArchiveFolder
from trailscan.aws.s3 import Bucket
from trailscan.cli.syncing import Synced, SyncOptions, bucket_and_prefix, sync_round
from trailscan.cli.telling import Alerter, Say, retry_while_busy
from trailscan.cli.terminal import Terminal
from trailscan.records.worker_pool import Workers
from trailscan.render.sentences import watching as words

FULL = 3600.0  # seconds between two listings of everything; between them only the last days' folders are listed
RECENT = timedelta(days=1)  # CloudTrail lays an object into the folder of the day on which it delivers it
_BY_QUEUE = "queue"  # in the custody log, in place of a file of keys


class Rounds:
    """Rounds with the same client and workers, for as long as none fails; `damaged` counts what was not whole."""

    def __init__(
        self,
        wish: SyncOptions,
        archive: ArchiveFolder,
        workers: Workers,
        telling: Alerter,
        terminal: Terminal,
        say: Say,
        stop: Event,
    ) -> None:
        name, self.prefix = bucket_and_prefix(wish.source)
        self.bucket = Bucket(name, wish.access)
        self.scope = wish.scope
        self.damaged = 0
        self._wish = wish
        self._archive = archive
        self._workers = workers
        self._telling = telling
        self._terminal = terminal.progress_only()
        self._say = say
        self._stop = stop
        self._full_at: float | None = None

    def look_through(self) -> None:
        """One round over the bucket: at first and once an hour over all of it, else over what was delivered lately."""
        now = time.monotonic()
        if self._full_at is None or now - self._full_at >= FULL:
            self._sync(msgspec.structs.replace(self._wish, often=False), [])
            self._full_at = now
        else:
            self._sync(_recent(self._wish), [])
        self.tell()

    def look_at(self, keys: Sequence[str]) -> Synced:
        """One round over some keys, whether or not they are there."""
        synced = self._sync(msgspec.structs.replace(self._wish, keys=_BY_QUEUE), list(keys))
        self.tell()
        return synced

    def tell(self) -> None:
        """Run the rules where there is something new, and send what is owed."""
        if not self._stop.is_set():
            self._telling.detect()
            self._telling.send()

    def _sync(self, wish: SyncOptions, keys: list[str]) -> Synced:
        with self._terminal.clean():
            synced = retry_while_busy(
                lambda: sync_round(wish, self.bucket, keys, self._archive, self._workers, self._terminal, self._stop.is_set),
                self._stop,
            )
        self.damaged += synced.loaded.flawed_objects + len(synced.missing)
        self._say(words.of_sync(synced))
        return synced


def _recent(wish: SyncOptions) -> SyncOptions:
    """The same wish of what was delivered lately."""
    lately = datetime.now(UTC).replace(tzinfo=None) - RECENT
    since = lately if wish.scope.since is None else max(lately, wish.scope.since)
    return msgspec.structs.replace(wish, scope=msgspec.structs.replace(wish.scope, since=since))
