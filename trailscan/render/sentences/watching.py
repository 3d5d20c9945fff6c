"""What `watch` says on stderr: a line for each round in which something happened. Pure text."""

from datetime import datetime
from typing import TYPE_CHECKING

from trailscan.errors import TrailscanError
from trailscan.render.amounts import count, duration, size
from trailscan.store.counts import NAMED

if TYPE_CHECKING:  # these load DuckDB, which mere words do not need
    from collections.abc import Sequence

    from trailscan.cli.syncing import Synced
    from trailscan.detect.runner import Detected
    from trailscan.notify.outbox import Delivery


def of_start(source: str, rules: int, told: "Sequence[str]", pause: float, queue: str | None) -> str:
    """`watching s3://bucket/ with 13 rules, every 1 min, for sns:shells`."""
    woken = f"woken by {queue}, looking through the bucket" if queue else "looking"
    return f"watching {source} with {count(rules, 'rule')}, {woken} every {duration(pause)}; telling {', '.join(told)}"


def waiting(source: str, now: datetime, left: float) -> str:
    """What a terminal shows between two looks."""
    return f"{now:%H:%M:%S}Z watching {source}; the next look is in {duration(left)}"


def of_sync(synced: "Synced") -> list[str]:
    """What came, and what of it is damaged or could not be had; nothing where nothing came."""
    counts, loaded = synced.counts, synced.loaded
    lines = []
    if counts.fetched or loaded.objects:
        line = f"{count(counts.fetched, 'object')} fetched ({size(counts.bytes)}), {count(loaded.loaded, 'record')} loaded"
        damaged = f"; {count(loaded.damaged_objects, 'object')} damaged (trailscan status)" if loaded.damaged_objects else ""
        lines.append(line + damaged)
    if counts.changed:
        lines.append(f"beware: {count(counts.changed, 'object')} changed in the bucket since first fetched; both are kept")
    if synced.missing:
        lines.append(f"{count(len(synced.missing), 'object')} could not be fetched (trailscan status):")
        lines += [f"  {missing.origin.key}: {missing.reason}" for missing in synced.missing[:NAMED]]
    return lines


def of_detection(detected: "Detected") -> list[str]:
    """How much was found that is new."""
    return [count(len(detected.new), "new finding")] if detected.new else []


def of_untold(number: int, since: datetime) -> list[str]:
    """What was found and is told to nobody, and why."""
    if not number:
        return []
    before = f"{since.isoformat(' ', 'minutes')} UTC"
    return [f"{count(number, 'finding')} of events before {before}: kept, not told (--backfill tells of them)"]


def of_delivery(delivery: "Delivery", rest: float | None) -> list[str]:
    """Who was told, and who could not be."""
    lines = [f"told {shown}: {count(number, 'finding')}" for shown, number in delivery.sent.items() if number]
    for shown, reason in delivery.failed.items():
        again = f"; again in {duration(rest)}" if rest else ""
        lines.append(f"could not tell {shown} ({delivery.waiting.get(shown, 0):,} waiting{again}): {reason}")
    return lines


def of_unmarked(error: TrailscanError) -> list[str]:
    """That something was sent and the archive does not know."""
    return [f"what was told last could not be noted, so the next watch tells it again: {error.message}"]


def of_stranger(reason: str) -> str:
    """A message of the queue that is left there."""
    return f"a message in the queue was left there: {reason}"


def of_failure(error: TrailscanError, rest: float) -> list[str]:
    """What stopped a round, and when the next begins."""
    hint = [f"  {error.hint}"] if error.hint else []
    return [f"{error.message}; again in {duration(rest)}", *hint]


def stamped(now: datetime, lines: "Sequence[str]") -> str:
    """The lines of one moment, each with its time."""
    return "\n".join(f"{now.isoformat(' ', 'seconds')}Z {line}" for line in lines)
