"""The flood guard stays small whoever calls, and each caller has a limit of its own."""

from gateway.adapters.http.flood import MOST_ADDRESSES, FloodGuard
from gateway.core.addresses import flood_key, parse_address


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def guard(limit: str = "3/minute", most: int = 100) -> tuple[FloodGuard, Clock]:
    clock = Clock()
    return FloodGuard(limit, most, clock), clock


def test_lets_the_limit_through_and_says_when_to_come_again() -> None:
    flood, clock = guard()
    assert [flood.hit("192.0.2.1") for _ in range(3)] == [None] * 3
    assert flood.hit("192.0.2.1") == 60.0
    clock.now += 45
    assert flood.hit("192.0.2.1") == 15.0
    clock.now += 14.9
    assert flood.hit("192.0.2.1") == 1.0  # never a zero: senders would come at once


def test_opens_again_when_the_window_ends() -> None:
    flood, clock = guard()
    for _ in range(10):
        flood.hit("192.0.2.1")
    clock.now += 60
    assert flood.hit("192.0.2.1") is None


def test_one_address_does_not_use_up_anothers_limit() -> None:
    flood, _ = guard()
    for _ in range(10):
        flood.hit("192.0.2.1")
    assert flood.hit("192.0.2.2") is None


def test_counts_a_whole_ipv6_network_as_one_caller() -> None:
    flood, _ = guard()
    callers = [flood_key(parse_address(f"2001:db8::{number:x}")) for number in range(1, 5)]
    assert [flood.hit(each) is None for each in callers] == [True, True, True, False]
    assert flood.hit(flood_key(parse_address("2001:db8:0:1::1"))) is None


def test_a_hundred_thousand_addresses_do_not_grow_it_beyond_its_bound() -> None:
    flood = FloodGuard("6000/minute")
    for number in range(100_000):
        assert flood.hit(str(number)) is None
    assert len(flood) == MOST_ADDRESSES


def test_forgets_the_longest_unseen_address_first() -> None:
    flood, _ = guard("1/minute", most=2)
    flood.hit("old")
    flood.hit("busy")
    assert flood.hit("busy") is not None
    assert flood.hit("new") is None  # "old" is forgotten for it
    assert flood.hit("busy") is not None
    assert flood.hit("old") is None
