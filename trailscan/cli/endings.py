"""The last words of a command: funnels that reconcile, and what an answer rests on. Pure text."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from trailscan.evidence.folder import Problem, Survey
from trailscan.search.filters import Filters
from trailscan.store.counts import NAMED, Loaded
from trailscan.views.amounts import count, duration, rate, size
from trailscan.views.escape import for_terminal

if TYPE_CHECKING:  # these load DuckDB, which mere words do not need
    from trailscan.cli.run import Tally
    from trailscan.evidence.custody import Entry
    from trailscan.evidence.listing import Scope
    from trailscan.evidence.listing import Survey as BucketSurvey
    from trailscan.evidence.sync import Counts, Sync
    from trailscan.findings.coverage import Coverage
    from trailscan.findings.coverage import Scope as Asked
    from trailscan.findings.detection import Basis as FindingBasis
    from trailscan.findings.detection import Failure
    from trailscan.findings.rule import Uncompiled
    from trailscan.findings.rulebook import Shelf
    from trailscan.findings.sessions import Basis as SessionBasis
    from trailscan.search.question import Basis
    from trailscan.store.holdings import Holdings


RULES_NAMED = 20  # of those that cannot run


def equation(total: int, noun: str, parts: Sequence[tuple[int, str]]) -> str:
    """`25 objects found = 24 loaded + 1 held already`: the parts that are not zero, which add up to the total."""
    told = " + ".join(f"{number:,} {name}" for number, name in parts if number)
    return f"{total:,} {noun} = {told or '0'}"


def plan_funnel(counts: "Counts") -> str:
    """What a sync would do."""
    parts = [(counts.held, "held already"), (counts.wanted, "to fetch"), (counts.beyond, "out of range")]
    return f"objects: {equation(counts.listed, 'listed', parts)}; {size(counts.wanted_bytes)} to fetch"


def sync_funnel(counts: "Counts", load: bool) -> list[str]:
    """What became of the objects that were listed, and why nothing was fetched where nothing was."""
    unreached = counts.wanted - counts.fetched - counts.missing
    parts = [
        (counts.held, "held already"),
        (counts.fetched, "fetched"),
        (counts.missing, "failed"),
        (counts.beyond, "out of range"),
        (unreached, "not reached"),
    ]
    lines = [f"objects: {equation(counts.listed, 'listed', parts)}" + (f" ({size(counts.bytes)})" if counts.bytes else "")]
    if counts.held and counts.listed == counts.held + counts.beyond:
        lines.append("nothing to fetch: the archive holds each of them with the ETag that the bucket shows")
    if counts.changed:
        changed = count(counts.changed, "object")
        lines.append(
            f"beware: {changed} changed in the bucket since first fetched; both are kept (CloudTrail never rewrites one)"
        )
    if counts.fetched and not load:
        lines.append("not loaded, as --no-load asked: the next `trailscan sync` loads them")
    return lines


def sync_progress(sync: "Sync", tally: "Tally") -> str:
    """One line while it goes on: objects, bytes, records, rate, time left once the listing is over."""
    counts, passed = sync.counts, tally.seconds
    line = f"{counts.fetched:,} of {counts.wanted:,}{'+' if sync.listing else ''} objects, {size(counts.bytes)}"
    line += f", {count(tally.loaded.read, 'record')} loaded, {rate(counts.fetched, passed)} objects"
    if counts.fetched and not sync.listing:
        line += f", {duration(passed / counts.fetched * (counts.wanted - counts.fetched))} left"
    return line


def of_listing(survey: "BucketSurvey", scope: "Scope") -> list[str]:
    """What was left alone while listing, and why."""
    lines = []
    if survey.others:
        names = ", ".join(f"{name} x{number}" if number > 1 else name for name, number in survey.others.most_common(NAMED))
        lines.append(f"left alone: {count(survey.others.total(), 'folder')} of other services ({for_terminal(names)})")
    if survey.pruned:
        lines.append(f"left out: {count(survey.pruned, 'folder')} of accounts or regions that were not asked for")
    if survey.unsearched:
        lines.append(f"not searched: {count(survey.unsearched, 'more folder')} above any AWSLogs/; give a longer prefix")
    first, last = scope.days
    if first or last:
        days = f"from {first or 'the first'} to {last or 'the last'}"
        lines.append(f"listed: days of delivery {days} (an hour before --since, a day after --until);")
        lines.append("  what CloudTrail delivered later still, as it does after an outage, is found by a sync without dates")
    return lines


def missing_lines(named: Sequence[tuple[str, str]]) -> list[str]:
    """Objects that could not be fetched, the first by name."""
    if not named:
        return []
    lines = [f"{count(len(named), 'object')} could not be fetched (the next sync tries again; `trailscan status` lists all):"]
    return lines + _told(named)


def found_funnel(found: int, loaded: Loaded, held: int, survey: Survey) -> str:
    """What became of the files that were found."""
    unnamed = found - loaded.objects - held
    parts = [(loaded.objects, "loaded"), (held, "held already"), (unnamed, "not reached or not usable")]
    line = f"objects: {equation(found, 'found', parts)}"
    if survey.passed_over:
        kinds = ", ".join(f"{number:,} {for_terminal(name)}" for name, number in survey.passed_over.most_common(NAMED))
        line += f"; passed over: {kinds}"
    return line


def of_loading(loaded: Loaded, seconds: float, problems: Sequence[Problem]) -> list[str]:
    """The records' funnel, the speed, and the damage by name."""
    parts = [
        (loaded.loaded, "loaded"),
        (loaded.copies, "copies of events held already"),
        (loaded.filtered, "filtered out"),
        (loaded.damaged, "damaged"),
    ]
    lines = [f"records: {equation(loaded.read, 'read', parts)}"]
    if loaded.spared_objects:
        lines.append(
            f"{count(loaded.spared_objects, 'object')} hold nothing of what was asked for: found by their bytes, not parsed"
        )
    lines.append(
        f"{size(loaded.bytes)} ({size(loaded.raw_bytes)} inflated) in {seconds:.1f} s: {rate(loaded.read, seconds)} records"
    )
    named = [*loaded.named, *((problem.path, problem.reason) for problem in problems)]
    return lines + damage_lines(loaded.damaged_objects + len(problems), named)


def damage_lines(total: int, named: Sequence[tuple[str, str]]) -> list[str]:
    """`2 objects damaged:` and a line for each of the first few."""
    if not total:
        return []
    lines = [f"{count(total, 'object')} damaged (`trailscan status` lists all):"]
    return lines + _told(named)


def of_status(held: "Holdings") -> list[str]:
    """What the archive amounts to."""
    span = f" between {held.first_event}Z and {held.last_event}Z" if held.first_event else ""
    lines = [f"{count(held.objects, 'object')} held, {count(held.events, 'event')}{span}"]
    if held.damage:
        lines.append(f"{count(held.damage, 'thing')} damaged or missing, in {count(held.damaged, 'object')}")
    return lines + list(resting_on(held).limits)


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
    resting: "Resting",
    similar: Sequence[str],
) -> list[str]:
    """What the cells add up to, what digests say and who vouches for them, and what no cell can show."""
    total = sum(states.values())
    cells = f"{'cell' if total == 1 else 'cells'} (account x region x {asked.unit} of delivery, UTC)"
    lines = [equation(total, cells, [(number, state) for state, number in states.items()])]
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
        lines.append(f"{count(sums['missing'], 'object')} missing: delivered, as digests or listings say, and not held")
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
    if not hearing.read + hearing.invalid + len(hearing.unreadable):
        return ["no digests are held: what was delivered and is missing cannot be told from what never was"]
    lines = [f"{count(hearing.read, 'digest')} read"]
    if hearing.unverified:
        some = f"{hearing.unverified:,} of them " if hearing.unverified < hearing.read else ""
        lines[0] += f", {some}not verified: `trailscan verify`"
    if hearing.invalid:
        lines.append(f"{count(hearing.invalid, 'digest')} not believed: `trailscan verify` found them invalid")
    if hearing.unreadable:
        lines.append(f"{count(len(hearing.unreadable), 'digest')} unreadable:")
    return lines + _told(hearing.unreadable)


def _of_silence(found: "Coverage") -> list[str]:
    """Where the archive goes on and one account and region does not: it is quiet, or was silenced."""
    if not found.silent:
        return []
    named = ", ".join(f"{account} {region} {last:%Y-%m-%d %H:%M}Z" for account, region, last in found.silent[:NAMED])
    more = ", ..." if len(found.silent) > NAMED else ""
    return [f"last delivery more than a day before the latest: {for_terminal(named)}{more}"]


def of_rebuild(tally: "Tally") -> list[str]:
    """What the new database was made of."""
    lines = [f"database made anew from {count(tally.loaded.objects, 'object')}"]
    return lines + of_loading(tally.loaded, tally.seconds, [])


def of_carried(findings: int) -> list[str]:
    """What the new database took over from the old one."""
    return [f"taken over from the old database: {count(findings, 'finding')}"] if findings else []


def of_not_carried(reason: str) -> list[str]:
    """That it could not."""
    return [f"findings of the old database were not taken over, so `detect --new` shows them again: {for_terminal(reason)}"]


class Resting(msgspec.Struct, frozen=True):
    """What an answer was drawn from: objects searched, how many of them are damaged or missing, and what else limits it."""

    objects: int
    damaged: int
    first_event: datetime | None = None
    last_event: datetime | None = None
    limits: Sequence[str] = ()
    named: Sequence[tuple[str, str]] = ()
    archive: bool = False


def resting_on(held: "Holdings") -> Resting:
    """What an answer from an archive rests on."""
    limits = []
    if held.failed:
        limits.append(f"{count(held.failed, 'object')} could not be fetched (`trailscan status`)")
    if held.unloaded:
        limits.append(f"{count(held.unloaded, 'object')} fetched but not loaded yet: the next `trailscan sync` loads them")
    limits += [
        f"some objects were loaded with --only {for_terminal(names)}: their other events are not here" for names in held.only
    ]
    return Resting(held.objects, held.damaged, held.first_event, held.last_event, limits, archive=True)


def of_answer(basis: "Basis", resting: Resting, shown: str, lost: Sequence[str]) -> list[str]:
    """`31 events in 2 of 7,883 objects; 1 object damaged (trailscan status)`, and what else must be known."""
    line = f"{shown}{count(basis.events, 'event')} in {basis.objects:,} of {count(resting.objects, 'object')}"
    if resting.damaged:
        line += f"; {count(resting.damaged, 'object')} damaged"
        line += "" if resting.named else " (trailscan status)"
    if basis.copies:
        line += f"; {count(basis.copies, 'copy', 'copies')} hidden (--all-copies)"
    lines = [line]
    if basis.conflicts:
        lines.append(f"beware: {count(basis.conflicts, 'event')} in versions that differ under one event id; all are shown")
    lines += _told(resting.named)
    lines += resting.limits
    lines += [f"missing: {for_terminal(reason)}" for reason in lost[:NAMED]]
    return lines


def of_sessions(basis: "SessionBasis", resting: Resting, noun: str, shown: str, lost: Sequence[str]) -> list[str]:
    """`3 sessions from 6 events in 2 of 7,883 objects; 1 of them denied`, and what else must be known."""
    line = f"{shown}{count(basis.sessions, noun)} from {count(basis.events, 'event')}"
    line += f" in {basis.objects:,} of {count(resting.objects, 'object')}"
    unopened = [f"{number:,} {outcome}" for number, outcome in ((basis.denied, "denied"), (basis.failed, "failed")) if number]
    if unopened:
        line += f"; not opened: {', '.join(unopened)}"
    if resting.damaged:
        line += f"; {count(resting.damaged, 'object')} damaged (trailscan status)"
    lines = [line]
    if basis.conflicts:
        lines.append(f"beware: {count(basis.conflicts, noun)} with records that contradict each other (see flags)")
    lines += resting.limits
    lines += [f"missing: {for_terminal(reason)}" for reason in lost[:NAMED]]
    return lines


def of_findings(
    basis: "FindingBasis", ran: int, resting: Resting, shown: str, only_new: bool, lost: Sequence[str]
) -> list[str]:
    """`12 findings of 5 rules (of 13 run) in 2 of 7,883 objects; 3 of them new`, and what else must be known."""
    line = f"{shown}{count(basis.findings, 'new finding' if only_new else 'finding')}"
    line += f" of {count(basis.rules, 'rule')} (of {ran:,} run) in {basis.objects:,} of {count(resting.objects, 'object')}"
    if only_new and basis.known:
        line += f"; {basis.known:,} reported before"
    elif basis.new and not only_new:
        line += f"; {basis.new:,} of them new" if basis.new < basis.findings else "; all of them new"
    if resting.damaged:
        line += f"; {count(resting.damaged, 'object')} damaged (trailscan status)"
    return [line, *resting.limits, *(f"missing: {for_terminal(reason)}" for reason in lost[:NAMED])]


def why_no_findings(basis: "FindingBasis", resting: Resting, bounds: tuple[datetime | None, datetime | None]) -> list[str]:
    """Why rules found nothing, as far as it can be told."""
    if not resting.objects:
        return ["nothing was searched: there is no object here"]
    lines = []
    if basis.known:
        lines.append("all that was found was reported before: without --new it is shown again")
    elif resting.first_event and resting.last_event:
        lines.append(f"the events held lie between {resting.first_event}Z and {resting.last_event}Z")
        if not any(bounds):
            lines[0] = f"no event matches any of these rules; {lines[0]}"
    else:
        lines.append("no event is held")
    return [*lines, "what is held and what is missing: `trailscan coverage`"]


def of_uncompiled(refused: "Sequence[Uncompiled]") -> list[str]:
    """The rules that cannot run, the first by name; the names are an attacker's to choose."""
    named = [(f"{each.path} {each.place}".rstrip(), each.reason) for each in refused]
    return _of_rules(f"{count(len(refused), 'rule or rule file', 'rules or rule files')} cannot run:", named)


def of_failures(failed: "Sequence[Failure]") -> list[str]:
    """The rules that were stopped by the database, the first by name."""
    named = [(f"{each.rule.path} {each.rule.title}", each.reason) for each in failed]
    return _of_rules(f"{count(len(failed), 'rule')} failed while running; what they found until then is left out:", named)


def of_rulebook(shown: int, rules: int, refused: int, shelf: "Shelf") -> str:
    """`12 of 13 rules; 2 cannot run; files passed over: 1 hidden`."""
    line = count(rules, "rule") if shown == rules else f"{shown:,} of {count(rules, 'rule')}"
    if refused:
        line += f"; {refused:,} cannot run"
    passed = [(shelf.hidden, "hidden"), (shelf.others, "of other names")]
    told = [f"{number:,} {kind}" for number, kind in passed if number]
    return f"{line}; files passed over: {', '.join(told)}" if told else line


def of_kept(number: int) -> str:
    """That findings were stored."""
    return f"{count(number, 'finding')} kept in the table `findings`: --new passes over them"


def of_not_kept(reason: str) -> str:
    """That findings could not be stored."""
    return f"the findings were not kept, so --new will show them again: {for_terminal(reason)}"


def _of_rules(title: str, named: Sequence[tuple[str, str]]) -> list[str]:
    if not named:
        return []
    lines = [f"  {for_terminal(name)}: {for_terminal(reason)}" for name, reason in named[:RULES_NAMED]]
    if len(named) > RULES_NAMED:
        lines.append(f"  and {len(named) - RULES_NAMED:,} more (`trailscan detect --list` shows all)")
    return [title, *lines]


def why_none(resting: Resting, alone: Sequence[tuple[str, int]], similar: Sequence[str], filters: Filters) -> list[str]:
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


def _told(named: Sequence[tuple[str, str]]) -> list[str]:
    """A line for each of the first few; names and reasons may hold line breaks of an attacker's, so each is escaped."""
    return [f"  {for_terminal(key)}: {for_terminal(reason)}" for key, reason in named[:NAMED]]
