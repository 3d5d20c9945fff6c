"""Source addresses and networks: which lie in which, by the rules of Python's `ipaddress`, and as SQL over their texts.

CloudTrail writes addresses as text. An IPv4 address has one spelling, so a network of them is a regular expression; an IPv6
address has many, so SQL only narrows down which texts may lie in a network, and Python decides.
"""

import ipaddress
from collections.abc import Iterator, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_OCTET_BITS, _GROUP_BITS = 8, 16
_ALWAYS_GROUPS = 6  # the last 32 bits of an IPv6 address may be written as an IPv4 one


def lies_in(address: str, networks: Sequence[Network]) -> bool:
    """Whether a source address, as CloudTrail wrote it, lies in one of the networks; service names lie in none."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks if network.version == found.version)


def may_lie_in(expression: str, networks: Sequence[Network]) -> str:
    """A condition of SQL that holds for every text that `lies_in` one of the networks; for IPv4 ones, for no other."""
    tests = [f"({_is_in_v4(expression, network)})" for network in v4_of(networks)]
    tests += [f"({_may_be_in_v6(expression, network)})" for network in v6_of(networks)]
    return " OR ".join(tests) or "false"


def v4_of(networks: Sequence[Network]) -> list[ipaddress.IPv4Network]:
    """The networks of IPv4."""
    return [network for network in networks if isinstance(network, ipaddress.IPv4Network)]


def v6_of(networks: Sequence[Network]) -> list[ipaddress.IPv6Network]:
    """The networks of IPv6."""
    return [network for network in networks if isinstance(network, ipaddress.IPv6Network)]


def _is_in_v4(expression: str, network: ipaddress.IPv4Network) -> str:
    octets, (whole, bits) = network.network_address.packed, divmod(network.prefixlen, _OCTET_BITS)
    if whole == len(octets):
        return f"{expression} = '{network.network_address}'"
    begin = "".join(f"{octet}." for octet in octets[:whole])
    choices = range(octets[whole], octets[whole] + (1 << (_OCTET_BITS - bits)))
    octet = f"(?:{'|'.join(map(str, choices))})" if bits else _OCTET
    pattern = begin.replace(".", r"\.") + r"\.".join([octet, *[_OCTET] * (len(octets) - whole - 1)])
    return f"starts_with({expression}, '{begin}') AND regexp_full_match({expression}, '{pattern}')"


def _may_be_in_v6(expression: str, network: ipaddress.IPv6Network) -> str:
    begin = "".join(f"0{{0,3}}{group:x}:" for group in _spelled_groups(network))
    return f"contains({expression}, ':')" + (f" AND regexp_matches({expression}, '^(?i){begin}')" if begin else "")


def _spelled_groups(network: ipaddress.IPv6Network) -> Iterator[int]:
    """The groups that all addresses of the network begin with, up to the first that `::` may stand for."""
    packed = network.network_address.packed
    for at in range(min(network.prefixlen // _GROUP_BITS, _ALWAYS_GROUPS)):
        group = int.from_bytes(packed[2 * at : 2 * at + 2])
        if not group:
            return
        yield group
