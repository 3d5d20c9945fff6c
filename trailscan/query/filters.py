"""The filters of a question as parameterised SQL over `evidence`. OR within one, AND between them."""

import ipaddress
import re
from collections.abc import Iterator, Sequence

import msgspec

from trailscan.errors import UsageError
from trailscan.glob import like
from trailscan.query.filter_registry import FILTERS, Filters
from trailscan.query.networks import Network, may_lie_in, v4_of, v6_of
from trailscan.records.prefilter import Needles

__all__ = ["Filters", "Where", "needles_of", "networks_of", "reaching", "where_of"]

# A machine is a part of a text as well: of an ARN in a message, of a container's name. What people see of a call that names
# several, or tags, is put together; each piece stands in the record.
_PIECES = re.compile(r"[^,=|*]+")
# Commands addressed by tag, by resource group or to every machine may have reached a target without naming it.
_ADDRESSING = ("tag:", "tag-key", "resource-groups")
_EVERYWHERE = b'"*"'


class Where(msgspec.Struct, frozen=True):
    """A condition of SQL and its parameters, in order."""

    sql: str
    parameters: tuple[object, ...] = ()


def where_of(filters: Filters, addresses: Sequence[str] = ()) -> Where:
    """The condition; `addresses` are the IPv6 source addresses, as they are spelled, that lie in the networks asked for."""
    parts = list(_conditions(filters, addresses))
    return Where(" AND ".join(f"({part.sql})" for part in parts) or "true", tuple(p for part in parts for p in part.parameters))


def needles_of(filters: Filters) -> Needles:
    """What the bytes of a matching record must hold."""
    found = Needles.of(_with_needle(filters, "whole"), parts=_with_needle(filters, "part"))
    machines = Needles.of((), parts=[_machine_parts(filters)])
    addressing = Needles.of((), parts=[_ADDRESSING])
    return Needles((*found.groups, *((*group, *addressing.groups[0], _EVERYWHERE) for group in machines.groups)))


def _with_needle(filters: Filters, needle: str) -> list[tuple[str, ...]]:
    return [getattr(filters, name) for name, entry in FILTERS.items() if entry.needle == needle]


def reaching(filters: Filters) -> Filters | None:
    """The filters of commands that named nobody and may have reached the targets asked for; None where none was asked for."""
    return filters._replace(target=()) if filters.target else None


def networks_of(filters: Filters) -> list[Network]:
    """The networks among `source_ip`; an address is a network of one. Raises UsageError for what is neither."""
    networks = []
    for text in filters.source_ip:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError as error:
            raise UsageError(f"{text!r} is neither an address nor a network", "write 198.51.100.7 or 2001:db8::/32") from error
    return networks


def _conditions(filters: Filters, addresses: Sequence[str]) -> Iterator[Where]:
    for name, entry in FILTERS.items():
        if entry.events and (values := getattr(filters, name)):
            yield _any_target(values) if name == "target" else _any_of(entry.events, values)
    if networks := networks_of(filters):
        yield _from(networks, addresses)
    if filters.failed is not None:
        told = " OR ".join(f"{column} IS NOT NULL" for column in ("error_code", "error_message", "failure"))
        yield Where(told if filters.failed else f"NOT ({told})")
    if filters.since is not None:
        yield Where("event_time >= ?", (filters.since,))
    if filters.until is not None:
        yield Where("event_time < ?", (filters.until,))
    if filters.where is not None:
        yield Where(f"\n{filters.where}\n")


def _from(networks: Sequence[Network], addresses: Sequence[str]) -> Where:
    test = may_lie_in("source_ip_address", v4_of(networks))
    if not v6_of(networks):
        return Where(test)
    return Where(f"{test} OR source_ip_address IN (SELECT unnest(?::VARCHAR[]))", (list(addresses),))


def _machine_parts(filters: Filters) -> list[str]:
    """The longest piece of each target, which every record that names it holds."""
    return [max(_PIECES.findall(value), key=len, default="") for value in filters.target]


def _any_target(values: Sequence[str]) -> Where:
    """Whether a call names one of these machines, alone or among others; most calls name none, and are passed over fast."""
    whole = _any_of(("target",), values)
    one = _any_of(("name",), values)
    each = f"len(list_filter(targets::VARCHAR[], lambda name: {one.sql})) > 0"
    return Where(f"target IS NOT NULL AND ({whole.sql} OR {each})", (*whole.parameters, *one.parameters))


def _any_of(expressions: Sequence[str], values: Sequence[str]) -> Where:
    exact = [value for value in values if "*" not in value]
    globs = [like(value) for value in values if "*" in value]
    tests: list[str] = []
    parameters: list[object] = []
    for expression in expressions:
        tests += [f"{expression} = ?" for _ in exact] + [f"{expression} LIKE ? ESCAPE '\\'" for _ in globs]
        parameters += exact + globs
    return Where(" OR ".join(tests), tuple(parameters))
