"""The SQL that finds source addresses in a network lets through what Python's `ipaddress` does: any spelling, any text."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trailscan.query.networks import lies_in, may_lie_in

octets = st.sampled_from([0, 1, 9, 10, 99, 100, 199, 200, 203, 249, 250, 255]) | st.integers(0, 300)
dotted = st.lists(octets.map(str) | st.sampled_from(["007", "", "+1", " 1", "1\n", "\u0661"]), min_size=3, max_size=5).map(
    ".".join
)
groups = st.sampled_from(["0", "0000", "2001", "0db8", "DB8", "db8", "", "1", "ffff", "12345", "::", "g"])
coloned = st.lists(groups | dotted, min_size=1, max_size=9).map(":".join)
sixes = st.builds(IPv6Address, st.integers(0, 2**128 - 1) | st.integers(0x20010DB8 << 96, 0x20010DB9 << 96))
spelled = sixes.flatmap(
    lambda six: st.sampled_from(
        [str(six), six.exploded, str(six).upper(), f"{six}%eth0", f"::ffff:{IPv4Address(int(six) % 2**32)}"]
    )
)
texts = (
    dotted | coloned | spelled | st.sampled_from(["", "AWS Internal", "ssm.amazonaws.com", "198.51.100.7\n", "::", "::1", ":"])
)
fours = st.builds(lambda number, bits: IPv4Network((number, bits), strict=False), st.integers(0, 2**32 - 1), st.integers(0, 32))
networks = fours | st.builds(lambda six, bits: IPv6Network((six, bits), strict=False), sixes, st.integers(0, 128))


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as opened:
        yield opened


def let_through(connection, text, network):
    (found,) = connection.execute(f"SELECT {may_lie_in('text', [network])} FROM (SELECT ?::VARCHAR AS text)", [text]).fetchone()
    return found


@settings(max_examples=400)
@given(text=texts, network=networks)
def test_any_text_and_any_network(connection, text, network):
    if lies_in(text, [network]):
        assert let_through(connection, text, network)
    elif network.version == 4:
        assert not let_through(connection, text, network)


@settings(max_examples=200)
@given(number=st.integers(0, 2**32 - 1), bits=st.integers(0, 32), flip=st.integers(0, 31))
def test_an_address_near_the_edge_of_its_network(connection, number, bits, flip):
    network, near = IPv4Network((number, bits), strict=False), str(IPv4Address(number ^ (1 << flip)))
    assert let_through(connection, str(IPv4Address(number)), network)
    assert let_through(connection, near, network) == lies_in(near, [network])


@settings(max_examples=200)
@given(six=sixes, bits=st.integers(0, 128))
def test_an_ipv6_address_in_each_spelling(connection, six, bits):
    network = IPv6Network((six, bits), strict=False)
    for text in (str(six), six.exploded, six.exploded.upper(), f"{six}%en0"):
        assert lies_in(text, [network])
        assert let_through(connection, text, network)


def test_null_and_no_networks(connection):
    assert not let_through(connection, None, IPv4Network("0.0.0.0/0"))
    assert may_lie_in("text", []) == "false"
