"""What rules found, could not find, and why some could not run. Pure text."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from trailscan.render.amounts import count
from trailscan.render.escape import for_terminal
from trailscan.render.sentences.answers import SearchScope, ended
from trailscan.store.counts import NAMED

if TYPE_CHECKING:  # these load DuckDB, which mere words do not need
    from trailscan.detect.rule import Uncompiled
    from trailscan.detect.rulebook import Shelf
    from trailscan.detect.runner import Failure, FindingBasis

RULES_NAMED = 20  # of those that cannot run


def of_findings(
    basis: "FindingBasis", ran: int, resting: SearchScope, shown: str, only_new: bool, lost: Sequence[str]
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
    return [*ended(line, resting), *resting.limits, *(f"missing: {for_terminal(reason)}" for reason in lost[:NAMED])]


def why_no_findings(basis: "FindingBasis", resting: SearchScope, bounds: tuple[datetime | None, datetime | None]) -> list[str]:
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
