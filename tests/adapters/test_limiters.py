"""The flood guard stays small whoever calls; the quota lets exactly its number through."""

import asyncio
from dataclasses import replace
from itertools import cycle
from typing import Any

import pytest
from limits import parse
from redis import Redis

from gateway.adapters.http.limiters import (
    MOST_ADDRESSES,
    BoundedCounters,
    FloodGuard,
    Permits,
    RedisQuota,
)
from gateway.core.addresses import flood_key, parse_address
from gateway.core.source import Source
from tests.adapters.ledger_rig import a_source

LIMITED = a_source("shop", rate_limit="10/hour")


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
    assert flood._storage.reset() == MOST_ADDRESSES


def test_forgets_the_longest_unseen_address_first() -> None:
    flood, _ = guard("1/minute", most=2)
    flood.hit("old")
    flood.hit("busy")
    assert flood.hit("busy") is not None
    assert flood.hit("new") is None  # "old" is forgotten for it
    assert flood.hit("busy") is not None
    assert flood.hit("old") is None


def test_counters_answer_what_the_library_asks() -> None:
    clock = Clock()
    counters = BoundedCounters(10, clock)
    assert (counters.get("a"), counters.get_expiry("a"), counters.check()) == (0, 1000.0, True)
    assert (counters.incr("a", 60), counters.incr("a", 60, 4)) == (1, 5)
    assert (counters.get("a"), counters.get_expiry("a")) == (5, 1060.0)
    clock.now += 60
    assert (counters.get("a"), counters.incr("a", 60)) == (0, 1)
    counters.clear("a")
    assert counters.get("a") == 0


def charge(url: str, *sources: Source, gateways: int = 1) -> list[float | None]:
    """All at once, spread over so many gateways; the answers in order."""

    async def main() -> list[float | None]:
        quotas = [RedisQuota(url, "hookline", 20.0) for _ in range(gateways)]
        turns = zip(cycle(quotas), sources, strict=False)
        answers = await asyncio.gather(*(quota.charge(source) for quota, source in turns))
        for quota in quotas:
            await quota.aclose()
        return answers

    return asyncio.run(main())


def allowed(answers: list[float | None]) -> int:
    return sum(answer is None for answer in answers)


@pytest.mark.parametrize("many", [1, 9, 10, 11, 64, 300])
def test_lets_exactly_the_allowed_number_through(redis_url: str, many: int) -> None:
    answers = charge(redis_url, *[LIMITED] * many)
    assert allowed(answers) == min(many, 10)
    assert all(1.0 <= answer <= 3600.0 for answer in answers if answer is not None)


@pytest.mark.parametrize("used", range(11))
def test_fills_what_others_have_left_of_it(redis_url: str, used: int) -> None:
    assert allowed(charge(redis_url, *[LIMITED] * used)) == used
    assert allowed(charge(redis_url, *[LIMITED] * 30)) == 10 - used


def test_several_gateways_share_the_limit(redis_url: str) -> None:
    assert allowed(charge(redis_url, *[LIMITED] * 120, gateways=3)) == 10


def test_each_source_has_its_own_limit(redis_url: str) -> None:
    other = a_source("forge", rate_limit="2/hour")
    answers = charge(redis_url, *[LIMITED, other] * 20)
    assert (allowed(answers[::2]), allowed(answers[1::2])) == (10, 2)


def test_a_crowd_beyond_the_limit_costs_few_writes(redis_url: str, redis: "Redis") -> None:
    redis.config_resetstat()
    assert allowed(charge(redis_url, *[replace(LIMITED, rate_limit="77/hour")] * 100)) == 77
    stats: Any = redis.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] < 20


LARGE = replace(LIMITED, rate_limit="1000/hour")


def test_permits_taken_in_advance_still_add_up_to_the_limit(redis_url: str) -> None:
    assert allowed(charge(redis_url, *[LARGE] * 1300)) == 1000


def test_gateways_with_permits_never_exceed_the_limit_together(redis_url: str) -> None:
    """What one holds and does not use is missing to the others: a hundredth each, at most."""
    assert 970 <= allowed(charge(redis_url, *[LARGE] * 1300, gateways=3)) <= 1000


def test_permits_save_the_way_to_redis(redis_url: str, redis: "Redis") -> None:
    async def one_by_one() -> None:
        quota = RedisQuota(redis_url, "hookline", 20.0)
        for _ in range(220):
            assert await quota.charge(LARGE) is None
        await quota.aclose()

    redis.config_resetstat()
    asyncio.run(one_by_one())
    stats: Any = redis.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 20  # one for eleven


def test_permits_end_with_their_window_and_are_no_one_elses() -> None:
    clock = Clock()
    permits = Permits(clock)
    permits.put("shop", 3, parse("1000/minute"))
    assert [permits.take("forge"), permits.take("shop")] == [0, 1]
    assert [permits.take("shop", 5), permits.take("shop")] == [2, 0]
    permits.put("shop", 3, parse("1000/minute"))
    clock.now += 60
    assert permits.take("shop") == 0


@pytest.mark.parametrize(("limit", "spare"), [("99/day", 0), ("100/day", 1), ("999999/day", 256)])
def test_small_limits_are_counted_one_by_one(limit: str, spare: int) -> None:
    assert Permits.spare(parse(limit)) == spare


def test_fails_open_when_redis_is_away() -> None:
    assert charge("redis://127.0.0.1:1/0", *[LIMITED] * 20) == [None] * 20


def test_fails_open_when_redis_refuses_to_write(redis_url: str, redis: "Redis") -> None:
    redis.config_set("maxmemory", "1")
    try:
        assert charge(redis_url, LIMITED) == [None]
    finally:
        redis.config_set("maxmemory", "0")


def test_its_keys_carry_the_deployments_prefix(redis_url: str, redis: "Redis") -> None:
    charge(redis_url, LIMITED)
    keys = [key.decode() for key in redis.scan_iter("*")]
    assert keys
    assert all(key.startswith("hookline:quota") for key in keys), keys
