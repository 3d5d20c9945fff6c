"""IP addresses and networks as EventBridge compares them: ranges of hexadecimal digits, whatever the family.

So an address of four bytes is compared with the first four of one that has sixteen: `10.0.0.0/8` also takes `a00::1`.
Source: the open-source library of EventBridge's rules, aws/event-ruler 2.0.1, as it was seen to behave.
"""

import ipaddress
import re

_LOOKS_LIKE_V4 = re.compile(r"\d+\.\d+\.\d+\.\d+", re.ASCII)
_LOOKS_LIKE_V6 = re.compile(r"[\da-fA-F:]*:[\da-fA-F:]*", re.ASCII)
_MASK = re.compile(r"\+?\d{1,9}", re.ASCII)
_LONGEST_V4 = 15  # characters: longer ones are taken for names
_LONGEST_V6 = 1024
_V4_BITS = 32


def digits_of(text: str) -> str | None:
    """The address as 8 or 32 hexadecimal digits; None for what is no address. Leading zeros do not count (`10.0.0.01`)."""
    if _LOOKS_LIKE_V4.fullmatch(text):
        return _v4_digits(text)
    if len(text) <= _LONGEST_V6 and _LOOKS_LIKE_V6.fullmatch(text):
        return _v6_digits(text)
    return None


def network_digits(text: str) -> tuple[str, str]:
    """The lowest and the highest digits of a network such as `10.0.0.5/24`. Raises ValueError, which says what is wrong."""
    address, slash, mask = text.partition("/")
    if not slash or not _MASK.fullmatch(mask):
        raise ValueError("a network is an address, a slash and a number of bits: 10.0.0.0/24")
    digits = digits_of(address)
    if digits is None:
        raise ValueError(f"{address[:64]!r} is not an IP address")
    bits = len(digits) * 4
    if int(mask) >= bits:
        most = "31 for IPv4" if bits == _V4_BITS else "127 for IPv6"
        raise ValueError(f"the mask is at most {most}: write a single address as a plain text")
    free = (1 << (bits - int(mask))) - 1
    number = int(digits, 16)
    return f"{number & ~free:0{len(digits)}x}", f"{number | free:0{len(digits)}x}"


def within(digits: str, low: str, high: str) -> bool:
    """Whether an address lies between two others of one family; a shorter one, strictly between what they begin with."""
    if len(digits) >= len(low):
        return low <= digits[: len(low)] <= high
    return low[: len(digits)] < digits < high[: len(digits)]


def _v4_digits(text: str) -> str | None:
    octets = [int(part) for part in text.split(".")] if len(text) <= _LONGEST_V4 else []
    return bytes(octets).hex() if octets and max(octets) < 256 else None  # noqa: PLR2004 - an octet


def _v6_digits(text: str) -> str | None:
    groups = [group.lstrip("0") or "0" if group else "" for group in text.split(":")]
    try:
        address = ipaddress.IPv6Address(":".join(groups))
    except ValueError:
        return None
    return (address.ipv4_mapped or address).packed.hex()
