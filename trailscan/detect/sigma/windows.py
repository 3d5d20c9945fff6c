"""Correlations: stretches of time in which enough matching events lie. Pure, over events of one group in order of time.

A window begins with an event and ends a time span later, both ends included. Windows for "at least" slide: from each event
on it is looked for, and once one is found, the next begins after it, so that no event is in two. Windows for all other
comparisons follow each other, beginning with the group's first event: every stretch is judged once, and a stretch without
any event is never seen.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

import msgspec


class Occurrence(msgspec.Struct, frozen=True):
    """A match of one of the rules that are correlated: when, by which rule, and what it adds to the count."""

    time: datetime
    identity: str
    row_ids: tuple[int, ...]
    rule: str
    counted: tuple[Hashable, ...]


Window = Sequence[Occurrence]


def windows(
    found: Sequence[Occurrence], span: timedelta, enough: Callable[[Counter[Hashable]], bool], slides: bool
) -> Iterator[tuple[Window, int]]:
    """The windows whose counted things are `enough`, each with their number."""
    counts: Counter[Hashable] = Counter()
    first = end = 0
    while first < len(found):
        while end < len(found) and found[end].time - found[first].time <= span:
            counts.update(found[end].counted)
            end += 1
        satisfied = enough(counts)
        if satisfied:
            yield found[first:end], len(counts)
        if satisfied or not slides:
            counts.clear()
            first = end
        else:
            _take_away(counts, found[first].counted)
            first += 1


def in_order(found: Sequence[Occurrence], span: timedelta, rules: Sequence[str]) -> Iterator[Window]:
    """Events of each of the rules, one after the other in their order within the span, as early as can be.

    CloudTrail's times are whole seconds, so events of the same second may stand in either order.
    """
    queues = [[one for one in found if one.rule == rule] for rule in rules]
    heads = [0] * len(rules)  # what lies before is taken, or too early for this chain and all later ones
    used: set[str] = set()
    for first in queues[0]:
        chain: list[Occurrence] = [] if first.identity in used else [first]
        for position in range(1, len(rules) if chain else 0):
            following = _following(queues[position], heads, position, chain, used)
            if following is None or following.time - first.time > span:
                break
            chain.append(following)
        if len(chain) == len(rules):
            used.update(one.identity for one in chain)
            yield chain


def _following(
    queue: Sequence[Occurrence], heads: list[int], position: int, chain: Window, used: set[str]
) -> Occurrence | None:
    """The earliest of a queue that is not before the chain's end, and in no chain."""
    while heads[position] < len(queue) and (
        queue[heads[position]].time < chain[-1].time or queue[heads[position]].identity in used
    ):
        heads[position] += 1
    taken = {one.identity for one in chain}
    later = islice(queue, heads[position], None)
    return next((one for one in later if one.identity not in used and one.identity not in taken), None)


def _take_away(counts: Counter[Hashable], counted: Sequence[Hashable]) -> None:
    for one in counted:
        counts[one] -= 1
        if not counts[one]:
            del counts[one]
