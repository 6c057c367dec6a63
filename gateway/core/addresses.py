"""The client's address behind proxies, and whether a source allows it.

X-Forwarded-For is written by whoever calls; only the entries that our own proxies appended, at
the right end, can be believed. So: count hops from the right, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

from gateway.core.outcomes import Refusal

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
FLOOD_PREFIX_V6: Final = 64  # one customer's network: counting single addresses would be no limit


@lru_cache(maxsize=4096)  # the same few call again and again; bounded, because anybody may call
def parse_address(text: str) -> Address | None:
    """An address, IPv4-mapped IPv6 unmapped; None for anything else, scoped addresses included."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id:
            return None
        return address.ipv4_mapped or address
    return address


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called: the address, its text, and what the flood guard counts by. None: it is not known."""

    address: Address | None
    text: str | None
    flood_key: str


def caller_of(peer: str | None, forwarded: Sequence[bytes], trusted_proxies: int) -> Caller:
    """Who called: the peer, or with N trusted proxies the Nth X-Forwarded-For entry from the right.

    Nobody when there is no such entry or it is no address: then nothing can be said about the caller.
    However much stands to the left of that entry, it changes nothing.
    """
    if trusted_proxies == 0:
        return _caller(peer)
    entries = b",".join(forwarded).rsplit(b",", trusted_proxies)
    if len(entries) < trusted_proxies:
        return _caller(None)
    return _caller(entries[-trusted_proxies].decode("latin-1"))


@lru_cache(maxsize=4096)  # as above: writing an address takes longer than reading it did
def _caller(text: str | None) -> Caller:
    address = parse_address(text) if text else None
    return Caller(address, str(address) if address else None, flood_key(address))


def parse_network(text: str) -> Network:
    """A CIDR or a single address. Raises ValueError saying what is wrong with it."""
    network = ip_network(text.strip())
    if isinstance(network, IPv6Network) and (mapped := network.network_address.ipv4_mapped):
        return ip_network(f"{mapped}/{max(0, network.prefixlen - 96)}")
    return network


@dataclass(frozen=True, slots=True)
class AllowedAddresses:
    """`networks` None: every address. Empty: none at all."""

    networks: tuple[Network, ...] | None = None
    _ranges: tuple[tuple[int, int, int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # As numbers: asking a network costs a microsecond, and every request asks all of them.
        ranges = [
            (each.version, int(each.network_address), int(each.netmask)) for each in self.networks or ()
        ]
        object.__setattr__(self, "_ranges", tuple(ranges))

    def refuse(self, address: Address | None) -> Refusal | None:
        if self.networks is None:
            return None
        if address is None:
            return Refusal.ADDRESS_UNKNOWN
        version, number = address.version, int(address)
        for family, network, mask in self._ranges:
            if family == version and number & mask == network:
                return None
        return Refusal.ADDRESS_FORBIDDEN


def flood_key(address: Address | None) -> str:
    """What the flood guard counts by: an IPv4 address, an IPv6 /64, or all unknown callers as one."""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, FLOOD_PREFIX_V6), strict=False).network_address)
    return str(address)
