"""Who called: counted from the right, and never what the caller wrote himself."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.addresses import (
    AllowedAddresses,
    caller_of,
    flood_key,
    parse_address,
    parse_network,
)
from gateway.core.outcomes import Refusal

PEER = "203.0.113.9"
LONG = b", ".join([b"1.1.1.1"] * 500)

# (trusted proxies, X-Forwarded-For header lines, who called)
CHAINS: list[tuple[int, list[bytes], str | None]] = [
    (0, [], PEER),
    (0, [b"1.2.3.4"], PEER),  # nobody of ours wrote that
    (0, [b"1.2.3.4, 5.6.7.8"], PEER),
    (1, [b"1.2.3.4"], "1.2.3.4"),
    (1, [b"6.6.6.6, 1.2.3.4"], "1.2.3.4"),  # the left one is the caller's own claim
    (1, [b"6.6.6.6,1.2.3.4"], "1.2.3.4"),
    (1, [b"  1.2.3.4\t"], "1.2.3.4"),
    (1, [b"127.0.0.1, 10.0.0.1, 1.2.3.4"], "1.2.3.4"),
    (1, [b"<script>, 1.2.3.4"], "1.2.3.4"),
    (1, [b",,,1.2.3.4"], "1.2.3.4"),
    (2, [b"1.2.3.4, 10.0.0.1"], "1.2.3.4"),
    (2, [b"6.6.6.6, 1.2.3.4, 10.0.0.1"], "1.2.3.4"),
    (2, [b"6.6.6.6", b"1.2.3.4", b"10.0.0.1"], "1.2.3.4"),  # a proxy may add a line of its own
    (2, [b"6.6.6.6, 1.2.3.4", b"10.0.0.1"], "1.2.3.4"),
    (3, [b"1.2.3.4, 10.0.0.1, 10.0.0.2"], "1.2.3.4"),
    (1, [b"2001:db8::1"], "2001:db8::1"),
    (1, [b"2001:DB8:0:0::1"], "2001:db8::1"),
    (1, [b"::ffff:1.2.3.4"], "1.2.3.4"),
    (1, [b"::ffff:102:304"], "1.2.3.4"),
    (16, [b", ".join(b"1.2.3.%d" % number for number in range(16))], "1.2.3.0"),
    # nothing can be said
    (1, [], None),
    (1, [b""], None),
    (1, [b"1.2.3.4,"], None),
    (1, [b"1.2.3.4, "], None),
    (1, [b"unknown"], None),
    (1, [b"1.2.3.4, unknown"], None),
    (1, [b"1.2.3.4, _hidden"], None),
    (1, [b"1.2.3.4:443"], None),
    (1, [b"[2001:db8::1]"], None),
    (1, [b"[2001:db8::1]:443"], None),
    (1, [b"fe80::1%eth0"], None),
    (1, [b"::ffff:1.2.3.4%1"], None),
    (1, [b"1.2.3"], None),
    (1, [b"01.2.3.4"], None),  # octal or decimal: readers disagree
    (1, [b"1.2.3.256"], None),
    (1, [b"16909060"], None),
    (1, [b"1.2.3.4/32"], None),
    (1, [b"\xff\xfe"], None),
    (1, [b"1.2.3.4\x00"], None),
    (2, [b"1.2.3.4"], None),  # it did not come through both proxies
    (3, [b"1.2.3.4", b"10.0.0.1"], None),
    (1, [LONG + b", 1.2.3.4"], "1.2.3.4"),
    (2, [LONG, b"1.2.3.4, 10.0.0.1"], "1.2.3.4"),
    (1, [b"1" * 30_000], None),
]


@pytest.mark.parametrize(("proxies", "lines", "expected"), CHAINS)
def test_counts_trusted_proxies_from_the_right(
    proxies: int, lines: list[bytes], expected: str | None
) -> None:
    assert caller_of(PEER, lines, proxies).address == (ip_address(expected) if expected else None)


@given(
    st.lists(st.ip_addresses().map(lambda address: str(address).encode()), min_size=1, max_size=4),
    st.lists(st.binary(max_size=20), max_size=4),
)
def test_nothing_that_the_caller_prepends_changes_who_called(
    appended: list[bytes], claimed: list[bytes]
) -> None:
    honest = caller_of(PEER, [b", ".join(appended)], len(appended))
    lied = caller_of(PEER, [*claimed, b", ".join(appended)], len(appended))
    assert lied == honest


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("::ffff:10.1.2.3", IPv4Address("10.1.2.3")),  # a dual-stack socket says it like this
        ("::1", IPv6Address("::1")),
        ("fe80::1%eth0", None),
        ("", None),
        (None, None),
        ("/run/socket", None),
        ("testclient", None),
    ],
)
def test_the_peer_itself_may_be_unknown(
    peer: str | None, expected: IPv4Address | IPv6Address | None
) -> None:
    assert caller_of(peer, [], 0).address == expected


def allowed(*networks: str) -> AllowedAddresses:
    return AllowedAddresses(tuple(parse_network(text) for text in networks))


def test_no_list_allows_everybody_even_the_unknown() -> None:
    assert AllowedAddresses(None).refuse(None) is None
    assert AllowedAddresses(None).refuse(ip_address("1.2.3.4")) is None


def test_an_empty_list_allows_nobody() -> None:
    assert allowed().refuse(ip_address("127.0.0.1")) is Refusal.ADDRESS_FORBIDDEN
    assert allowed().refuse(None) is Refusal.ADDRESS_UNKNOWN


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
        ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
        ("::ffff:192.0.2.0/120", "192.0.2.9", "192.0.3.9"),
        ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("0.0.0.0/0", "255.255.255.255", "2001:db8::1"),
        ("::/0", "2001:db8::1", "192.0.2.1"),
    ],
)
def test_allows_what_is_in_the_list_only(network: str, inside: str, outside: str) -> None:
    rule = allowed("198.51.100.0/24", network)
    assert rule.refuse(parse_address(inside)) is None
    assert rule.refuse(parse_address(f"::ffff:{inside}" if "." in inside else inside)) is None
    assert rule.refuse(parse_address(outside)) is Refusal.ADDRESS_FORBIDDEN
    assert rule.refuse(None) is Refusal.ADDRESS_UNKNOWN


@pytest.mark.parametrize(
    "text", ["", "nowhere", "10.0.0.1/8", "10.0.0.0/33", "::1/64", "10.0.0.0/-1", "1.2.3.4-1.2.3.9"]
)
def test_refuses_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_network(text)


def test_counts_an_ipv6_customer_as_one_caller_and_an_ipv4_address_as_one() -> None:
    assert flood_key(parse_address("2001:db8:1:2:3::4")) == flood_key(parse_address("2001:db8:1:2::9"))
    assert flood_key(parse_address("2001:db8:1:2::")) != flood_key(parse_address("2001:db8:1:3::"))
    assert flood_key(parse_address("192.0.2.1")) != flood_key(parse_address("192.0.2.2"))
    assert flood_key(parse_address("::ffff:192.0.2.1")) == flood_key(parse_address("192.0.2.1"))
    assert flood_key(None) == flood_key(None)
