"""What an answer rests on, and why there is none. Pure text."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from trailscan.query.filters import Filters
from trailscan.render.amounts import count
from trailscan.render.escape import for_terminal
from trailscan.render.sentences.condition import of_condition, of_files
from trailscan.render.sentences.funnels import of_summaries, told
from trailscan.store.counts import NAMED

if TYPE_CHECKING:  # these load DuckDB, which mere words do not need
    from trailscan.query.events import EventBasis
    from trailscan.query.sessions import SessionBasis
    from trailscan.store.archive_stats import ArchiveStats
    from trailscan.store.condition import Condition


class SearchScope(msgspec.Struct, frozen=True):
    """What an answer was drawn from: objects searched, how many of them are damaged or missing, and what else limits it."""

    objects: int
    damaged: int
    first_event: datetime | None = None
    last_event: datetime | None = None
    limits: Sequence[str] = ()
    named: Sequence[tuple[str, str]] = ()
    foreign: int = 0  # objects with something that is not CloudTrail
    archive: bool = False
    condition: Sequence[str] = ()  # for the end of the answer's line
    files: Sequence[str] = ()  # lines before it: which files are gone or altered
    is_sound: bool = True  # nothing of the archive is known to be altered, gone, invalid or not loaded


def search_scope(held: "ArchiveStats", condition: "Condition") -> SearchScope:
    """What an answer from an archive rests on."""
    limits = []
    if held.failed:
        limits.append(f"{count(held.failed, 'object')} could not be fetched (`trailscan status`)")
    limits += of_summaries(held.summaries)
    if held.dismissed:
        number = count(held.dismissed, "thing")
        limits.append(f"{number} damaged or not CloudTrail dismissed by a person (`trailscan status --damage`)")
    limits += [
        f"some objects were loaded with --only {for_terminal(names)}: their other events are not here" for names in held.only
    ]
    return SearchScope(
        held.objects,
        held.damaged,
        held.first_event,
        held.last_event,
        limits,
        foreign=held.foreign,
        archive=True,
        condition=of_condition(condition, held.objects, held.unloaded),
        files=of_files(condition.files),
        is_sound=condition.is_sound and not held.unloaded,
    )


def ended(line: str, resting: SearchScope) -> list[str]:
    """An answer's line with the condition of its archive, after the names of files that are gone or altered."""
    return [*resting.files, "; ".join([line, *resting.condition])]


def of_answer(basis: "EventBasis", resting: SearchScope, shown: str, lost: Sequence[str]) -> list[str]:
    """`31 events in 2 of 7,883 objects; 1 object damaged (trailscan status)`, and what else must be known."""
    line = f"{shown}{count(basis.events, 'event')} in {basis.objects:,} of {count(resting.objects, 'object')}"
    if resting.damaged:
        line += f"; {count(resting.damaged, 'object')} damaged"
        line += "" if resting.named else " (trailscan status)"
    line += of_foreign(resting)
    if basis.copies:
        line += f"; {count(basis.copies, 'copy', 'copies')} hidden (--all-copies)"
    lines = ended(line, resting)
    if basis.conflicts:
        lines.append(f"beware: {count(basis.conflicts, 'event')} in versions that differ under one event id; all are shown")
    lines += _addressed(basis.addressed)
    lines += told(resting.named)
    lines += resting.limits
    lines += [f"missing: {for_terminal(reason)}" for reason in lost[:NAMED]]
    return lines


def of_sessions(basis: "SessionBasis", resting: SearchScope, noun: str, shown: str, lost: Sequence[str]) -> list[str]:
    """`3 sessions from 6 events in 2 of 7,883 objects; 1 of them denied`, and what else must be known."""
    line = f"{shown}{count(basis.sessions, noun)} from {count(basis.events, 'event')}"
    line += f" in {basis.objects:,} of {count(resting.objects, 'object')}"
    unopened = [f"{number:,} {outcome}" for number, outcome in ((basis.denied, "denied"), (basis.failed, "failed")) if number]
    if unopened:
        line += f"; not opened: {', '.join(unopened)}"
    if resting.damaged:
        line += f"; {count(resting.damaged, 'object')} damaged (trailscan status)"
    line += of_foreign(resting)
    lines = ended(line, resting)
    if basis.conflicts:
        lines.append(f"beware: {count(basis.conflicts, noun)} with records that contradict each other (see flags)")
    lines += _addressed(basis.addressed)
    lines += resting.limits
    lines += [f"missing: {for_terminal(reason)}" for reason in lost[:NAMED]]
    return lines


def of_foreign(resting: SearchScope) -> str:
    """`; 2 objects not CloudTrail`, to be put behind what was found."""
    if not resting.foreign:
        return ""
    return f"; {count(resting.foreign, 'object')} not CloudTrail" + (" (trailscan status)" if resting.archive else "")


def _addressed(commands: int) -> list[str]:
    """Commands that named no machine, where a machine was asked for."""
    if not commands:
        return []
    return [f"{count(commands, 'command')} addressed by tag may have reached it (by tag, by resource group, or sent to `*`)"]


def why_none(resting: SearchScope, alone: Sequence[tuple[str, int]], similar: Sequence[str], filters: Filters) -> list[str]:
    """Why nothing was found, as far as it can be told: an empty archive, a name misspelt, a time outside, a filter too many."""
    if not resting.objects:
        return ["nothing was searched: there is no object here"]
    lines = []
    if similar and not set(similar) & set(filters.event):
        lines.append(f"did you mean {for_terminal(' or '.join(similar))}?")
    if resting.first_event and resting.last_event and (filters.since or filters.until):
        lines.append(f"the events held lie between {resting.first_event}Z and {resting.last_event}Z")
    if len(alone) > 1 or (alone and resting.first_event):
        told = ", ".join(f"--{name.replace('_', '-')} {number:,}" for name, number in alone)
        lines.append(f"each filter alone lets through: {told}")
    if resting.archive:
        lines.append("what is held and what is missing: `trailscan coverage`")
    return lines
