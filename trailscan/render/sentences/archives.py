"""What an archive holds and lacks, in words: status and coverage. Pure text."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trailscan.render.amounts import count, size
from trailscan.render.escape import for_terminal
from trailscan.render.sentences.answers import SearchScope, ended
from trailscan.render.sentences.funnels import equation, told
from trailscan.store.counts import NAMED

if TYPE_CHECKING:  # these load DuckDB, which mere words do not need
    from trailscan.archive.custody_log import Entry
    from trailscan.store.archive_stats import ArchiveStats
    from trailscan.verify.coverage import Coverage
    from trailscan.verify.coverage import CoverageScope as Asked


def of_status(held: "ArchiveStats", resting: "SearchScope") -> list[str]:
    """What the archive amounts to."""
    span = f" between {held.first_event}Z and {held.last_event}Z" if held.first_event else ""
    lines = ended(f"{count(held.objects, 'object')} held, {count(held.events, 'event')}{span}", resting)
    if held.damage:
        lines.append(f"{count(held.damage, 'thing')} damaged or missing, in {count(held.damaged, 'object')}")
    if held.foreign:
        lines.append(f"{count(held.foreign, 'object')} with what is not CloudTrail")
    return lines + list(resting.limits)


def of_entry(entry: "Entry") -> str:
    """A line of the custody log: when, and what came of it."""
    told = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in entry.counts.items())
    return f"{entry.at}: {told}" if told else entry.at


def of_verdicts(verified_at: str | None, counts: Sequence[tuple[str, str, int]]) -> str:
    """When the archive was verified last, and what was found."""
    if verified_at is None:
        return "never: `trailscan verify`"
    told = ", ".join(f"{number:,} {kind} {status}" for kind, status, number in counts)
    return f"{verified_at}: {told or 'nothing to verify'}"


def of_keys(regions: Mapping[str, int | None]) -> str:
    """The public keys that are held: `eu-west-1 2, us-east-1 unreadable`."""
    told = [f"{region} {'unreadable' if number is None else number}" for region, number in regions.items()]
    return ", ".join(told) or "none: signatures of digests cannot be verified"


def of_size(stored: int, database: int) -> str:
    """What all of it takes on disk."""
    return f"{size(stored)} of objects, {size(database)} of database"


def of_coverage(
    states: Mapping[str, int],
    sums: Mapping[str, int],
    found: "Coverage",
    asked: "Asked",
    resting: "SearchScope",
    similar: Sequence[str],
) -> list[str]:
    """What the cells add up to, what digests say and who vouches for them, and what no cell can show."""
    total = sum(states.values())
    cells = f"{'cell' if total == 1 else 'cells'} (account x region x {asked.unit} of delivery, UTC)"
    lines = ended(equation(total, cells, [(number, state) for state, number in states.items()]), resting)
    if not any(states.values()):
        lines.append("nothing is held of these accounts, regions and times (`trailscan status` shows what is)")
    lines += _of_losses(sums, found)
    if asked.events:
        lines += _of_hits(sums["hits"], found.hits_outside, asked.events, similar)
    lines += _of_hearing(found) + _of_silence(found) + list(resting.limits)
    if found.unplaced:
        lines.append(
            f"{count(found.unplaced, 'object')} in no cell: the name does not tell account, region and time of delivery"
        )
    lines.append("accounts and regions of which nothing is held cannot be seen from here")
    return lines


def _of_losses(sums: Mapping[str, int], found: "Coverage") -> list[str]:
    lines = []
    if sums["missing"]:
        number = sums["missing"] - found.digest_reaches + found.missing_digests
        lines.append(f"{count(number, 'object')} missing: delivered, as digests or listings say, and not held")
    if found.missing_digests:
        lines.append(f"{count(found.missing_digests, 'digest')} of them: what else was delivered in their time is not known")
    if found.unasked_digests:
        lines.append(f"{count(found.unasked_digests, 'digest')} more named by the digest after, and never asked for")
    if found.missing_outside:
        lines.append(f"{count(found.missing_outside, 'more object')} missing, of times that are not shown")
    if sums["damaged"]:
        lines.append(f"{count(sums['damaged'], 'object')} damaged (`trailscan status`)")
    return lines


def _of_hits(hits: int, outside: int, names: Sequence[str], similar: Sequence[str]) -> list[str]:
    lines = [f"{count(hits, 'event')} of {for_terminal(' or '.join(names))}, by the time of the event"]
    if outside:
        lines.append(f"{count(outside, 'more event')} of these names, at times that are not shown")
    if similar and not hits + outside and not set(similar) & set(names):
        lines.append(f"did you mean {for_terminal(' or '.join(similar))}?")
    return lines


def _of_hearing(found: "Coverage") -> list[str]:
    """How far the digests can be believed."""
    hearing = found.hearing
    if not hearing.read + hearing.invalid + hearing.unchecked + len(hearing.unreadable):
        return ["no digests are held: what was delivered and is missing cannot be told from what never was"]
    lines = [f"{count(hearing.read, 'digest')} read"]
    if hearing.unverified:
        some = f"{hearing.unverified:,} of them " if hearing.unverified < hearing.read else ""
        lines[0] += f", {some}not verified: `trailscan verify`"
    if hearing.invalid:
        lines.append(f"{count(hearing.invalid, 'digest')} not believed: `trailscan verify` found them invalid")
    if hearing.unchecked:
        lines.append(f"{count(hearing.unchecked, 'digest')} not believed: `trailscan verify` lacks what it takes to check them")
    if hearing.unreadable:
        lines.append(f"{count(len(hearing.unreadable), 'digest')} unreadable:")
    return lines + told(hearing.unreadable)


def _of_silence(found: "Coverage") -> list[str]:
    """Where the archive goes on and one account and region does not: it is quiet, or was silenced."""
    if not found.silent:
        return []
    named = ", ".join(f"{account} {region} {last:%Y-%m-%d %H:%M}Z" for account, region, last in found.silent[:NAMED])
    more = ", ..." if len(found.silent) > NAMED else ""
    return [f"last delivery more than a day before the latest: {for_terminal(named)}{more}"]
