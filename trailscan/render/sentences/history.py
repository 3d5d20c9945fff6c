"""The last words of `sync event-history:`: what was asked, what was not and why, and what came of it. Pure text."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from trailscan.cloudtrail.history_windows import UNKNOWN
from trailscan.render.amounts import count, duration, size
from trailscan.render.sentences.funnels import equation
from trailscan.store.counts import Loaded

if TYPE_CHECKING:
    from trailscan.cli.history import Task
    from trailscan.fetch.history_download import HistoryCounts, Wanted
    from trailscan.fetch.lookup_events import History


def said(moment: datetime) -> str:
    """A time as CloudTrail writes it."""
    return f"{moment.isoformat(timespec='seconds')}Z"


def of_task(task: "Task", since: datetime | None, asked: "Sequence[tuple[History, Sequence[Wanted]]]") -> list[str]:
    """Whose history, which time, and how much of it is held; `since` is what the command line asked for."""
    regions = ", ".join(history.region for history in task.histories)
    names = ", ".join(name for name in task.names if name)
    first, last = task.span
    whose = "an account that no event names" if task.account_id == UNKNOWN else task.account_id
    lines = [f"event history of {whose} in {regions}, from {said(first)} to {said(last)}"]
    lines[0] += f", only {names}" if names else ""
    if since is not None and since < first - timedelta(seconds=1):
        lines.append(f"not before {said(first)}: Event history reaches back 90 days, whatever --since says")
    questions = [wanted for _, some in asked for wanted in some]
    held = sum((wanted.held for wanted in questions), timedelta())
    if held:
        whole = (last - first) * len(questions)
        lines.append(f"not asked for again: {_long(held)} of {_long(whole)}, which are held ({_lookups(task)});")
        lines.append("  the last two to three hours always are, since events arrive late")
    return lines


def funnel(task: "Task", counts: "HistoryCounts", load: bool) -> list[str]:
    """What the answers held, and what became of it."""
    requests = sum(history.requests for history in task.histories)
    throttled = sum(history.throttled for history in task.histories)
    cut_off = counts.answered - counts.kept - counts.unchanged
    parts = [(counts.kept, "kept"), (counts.unchanged, "unchanged"), (cut_off, "of windows cut off, not kept")]
    line = f"events: {equation(counts.answered, 'answered', parts)}, in {count(requests, 'request')}"
    lines = [line + (f" ({throttled:,} more throttled by CloudTrail)" if throttled else "")]
    windows = [(counts.windows, "kept"), (counts.windows_unchanged, "unchanged")]
    total = counts.windows + counts.windows_unchanged
    noun = "window of time" if total == 1 else "windows of time"
    lines.append(f"objects: {equation(total, noun, windows)}" + (f" ({size(counts.bytes)})" if counts.bytes else ""))
    if counts.windows and not load:
        lines.append("not loaded, as --no-load asked: the next `trailscan sync` loads them")
    return lines


def progress(task: "Task", counts: "HistoryCounts", loaded: Loaded) -> str:
    """One line while it goes on."""
    requests = sum(history.requests for history in task.histories)
    return (
        f"{count(requests, 'request')}, {count(counts.answered, 'event')}, {count(counts.windows, 'window')} kept, "
        f"{count(loaded.read, 'record')} loaded"
    )


def _lookups(task: "Task") -> str:
    """`2 regions x 2 names`."""
    regions = count(len(task.histories), "region")
    return regions if task.names == (None,) else f"{regions} x {count(len(task.names), 'name')}"


def _long(span: timedelta) -> str:
    return duration(span.total_seconds())
