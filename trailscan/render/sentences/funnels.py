"""Funnels that reconcile: what was listed or read, and what became of all of it. Pure text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trailscan.files.local_objects import Problem, Survey
from trailscan.render.amounts import count, duration, rate, size
from trailscan.render.escape import for_terminal
from trailscan.store.counts import NAMED, Loaded

if TYPE_CHECKING:  # these load DuckDB, which mere words do not need
    from trailscan.aws.s3_paging import Oddities
    from trailscan.cli.run import Tally
    from trailscan.fetch.download import Download, DownloadCounts
    from trailscan.fetch.listing import ListingScope
    from trailscan.fetch.listing import ListingSurvey as BucketSurvey

KINDS_SHOWN = 30  # of what is passed over


def equation(total: int, noun: str, parts: Sequence[tuple[int, str]]) -> str:
    """`25 objects found = 24 loaded + 1 held already`: the parts that are not zero, which add up to the total."""
    told = " + ".join(f"{number:,} {name}" for number, name in parts if number)
    return f"{total:,} {noun} = {told or '0'}"


def plan_funnel(counts: "DownloadCounts") -> str:
    """What a sync would do."""
    parts = [(counts.held, "held already"), (counts.wanted, "to fetch"), (counts.beyond, "out of range")]
    return f"objects: {equation(counts.listed, 'listed', parts)}; {size(counts.wanted_bytes)} to fetch"


def sync_funnel(counts: "DownloadCounts", load: bool) -> list[str]:
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


def sync_progress(sync: "Download", tally: "Tally") -> str:
    """One line while it goes on: objects, bytes, records, rate, time left once the listing is over."""
    counts, passed = sync.counts, tally.seconds
    line = f"{counts.fetched:,} of {counts.wanted:,}{'+' if sync.listing else ''} objects, {size(counts.bytes)}"
    line += f", {count(tally.loaded.read, 'record')} loaded, {rate(counts.fetched, passed)} objects"
    if counts.fetched and not sync.listing:
        line += f", {duration(passed / counts.fetched * (counts.wanted - counts.fetched))} left"
    return line


def of_listing(survey: "BucketSurvey", scope: "ListingScope") -> list[str]:
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


def of_repairs(repaired: Sequence[tuple[str, str]]) -> list[str]:
    """Objects held that were fetched again, the first few by name."""
    if not repaired:
        return []
    return [f"{count(len(repaired), 'object')} held, gone or altered in the archive, fetched again:", *told(repaired)]


def of_unlisted(number: int, keys: Sequence[str]) -> list[str]:
    """Objects held that the bucket does not show any more, the first few by name."""
    if not number:
        return []
    return [
        f"{count(number, 'object')} held {'is' if number == 1 else 'are'} no longer in the bucket:",
        *(f"  {for_terminal(key)}" for key in keys),
    ]


def of_oddities(oddities: "Oddities") -> list[str]:
    """What a server listed as S3 never would, the first few by name."""
    if not oddities.number:
        return []
    lines = [
        f"the bucket's listing is not as S3 makes it, in {count(oddities.number, 'thing')} (`trailscan status` lists all):"
    ]
    if not oddities.is_whole:
        lines.insert(0, "the listing is incomplete: there may be more objects than were found")
    return lines + told([(oddity.where, oddity.reason) for oddity in oddities])


def missing_lines(named: Sequence[tuple[str, str]]) -> list[str]:
    """Objects that could not be fetched, the first by name."""
    if not named:
        return []
    lines = [f"{count(len(named), 'object')} could not be fetched (the next sync tries again; `trailscan status` lists all):"]
    return lines + told(named)


def of_leftovers(number: int) -> list[str]:
    """What was fetched by an earlier run, and is loaded only now."""
    return [f"left over from an earlier run: {count(number, 'object')} fetched or recorded, and loaded now"] if number else []


def of_copies(number: int) -> list[str]:
    """What was held already and has a copy in the archive now."""
    return [f"copied into the archive: {count(number, 'object')} that had been loaded before"] if number else []


def of_relocation(found: int, moved: int, refused: Sequence[tuple[str, str]], tally: "Tally") -> list[str]:
    """What was found in its new place, and what was not."""
    lines = [f"objects: {equation(found, 'recorded there', [(moved, 'relocated'), (len(refused), 'left as they were')])}"]
    lines += told(refused)
    if tally.loaded.objects:
        lines += of_loading(tally.loaded, tally.seconds, [])
    return lines


def found_funnel(found: int, loaded: Loaded, held: int, survey: Survey) -> str:
    """What became of the files that were found."""
    unnamed = found - loaded.objects - held
    parts = [
        (loaded.objects - loaded.foreign_only, "loaded"),
        (held, "held already"),
        (loaded.foreign_only, "not CloudTrail"),
        (unnamed, "not reached or not usable"),
    ]
    return f"objects: {equation(found, 'found', parts)}{passed_over(survey)}"


def scan_funnel(found: int, loaded: Loaded, survey: Survey) -> str:
    """What became of the files that a question was asked of."""
    parts = [(found - loaded.foreign_only, "searched"), (loaded.foreign_only, "not CloudTrail")]
    return f"objects: {equation(found, 'found', parts)}{passed_over(survey)}"


def passed_over(survey: Survey) -> str:
    """`; passed over: 3 files = 2 *.png + 1 *.txt`: every kind of it, the rest of very many as one."""
    kinds = survey.passed_over.most_common()
    if not kinds:
        return ""
    shown = [(number, for_terminal(name)) for name, number in kinds[:KINDS_SHOWN]]
    rest = kinds[KINDS_SHOWN:]
    parts = [*shown, (sum(number for _, number in rest), f"of {len(rest):,} other kinds")]
    return f"; passed over: {equation(survey.passed_over.total(), 'that hold no records', parts)}"


def of_backlog(number: int) -> str:
    """What a load of nothing new found to do."""
    if not number:
        return "nothing to load: the database knows every object of the archive"
    return f"{count(number, 'object')} held and not loaded so far"


def of_loading(loaded: Loaded, seconds: float, problems: Sequence[Problem]) -> list[str]:
    """The records' funnel, the speed, and the damage by name."""
    parts = [
        (loaded.loaded, "loaded"),
        (loaded.copies, "copies of events held already"),
        (loaded.filtered, "filtered out"),
        (loaded.damaged, "damaged"),
        (loaded.foreign, "not CloudTrail"),
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
    lines += damage_lines(loaded.damaged_objects + len(problems), named)
    return lines + foreign_lines(loaded.foreign_objects, loaded.named_foreign) + of_summaries(loaded.summaries)


def of_summaries(number: int) -> list[str]:
    """That events came from the console's table, which says less than a record."""
    if not number:
        return []
    return [f"{count(number, 'event')} of the console's CSV, without request and response: the JSON download has more"]


def foreign_lines(total: int, named: Sequence[tuple[str, str]]) -> list[str]:
    """`2 objects hold what is not CloudTrail:` and a line for each of the first few."""
    if not total:
        return []
    lines = [f"{count(total, 'object')} with what is not CloudTrail (`trailscan status` lists all):"]
    return lines + told(named)


def damage_lines(total: int, named: Sequence[tuple[str, str]]) -> list[str]:
    """`2 objects damaged:` and a line for each of the first few."""
    if not total:
        return []
    lines = [f"{count(total, 'object')} damaged (`trailscan status` lists all):"]
    return lines + told(named)


def of_lines(unreadable: Sequence[str]) -> list[str]:
    """The manifest's lines that cannot be read, the first by number."""
    if not unreadable:
        return []
    lines = [f"{count(len(unreadable), 'line')} of the manifest cannot be read (`trailscan status` lists all):"]
    return lines + [f"  {for_terminal(reason)}" for reason in unreadable[:NAMED]]


def of_rebuild(tally: "Tally") -> list[str]:
    """What the new database was made of."""
    lines = [f"database made anew from {count(tally.loaded.objects, 'object')}"]
    return lines + of_loading(tally.loaded, tally.seconds, [])


def of_carried(findings: int, lost: Sequence[str], moved: str | None) -> list[str]:
    """What the new database took over from the old one, and what it could not."""
    lines = [f"taken over from the old database: {count(findings, 'finding')}"] if findings else []
    if lost:
        what = "some findings" if findings else "findings"
        lines.append(f"{what} of the old database were not taken over, so `detect --new` shows them again:")
        lines += [f"  {for_terminal(reason)}" for reason in lost]
    if moved is not None:
        lines.append(f"a folder stood in the database's place, and is kept as {for_terminal(moved)}")
    return lines


def told(named: Sequence[tuple[str, str]]) -> list[str]:
    """A line for each of the first few; names and reasons may hold line breaks of an attacker's, so each is escaped."""
    return [f"  {for_terminal(key)}: {for_terminal(reason)}" for key, reason in named[:NAMED]]
