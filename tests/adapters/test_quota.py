"""The quota lets exactly its number through, whoever asks and however many at once."""

import asyncio
from dataclasses import replace
from itertools import cycle
from typing import Any

import pytest
from limits import parse
from redis import Redis

from gateway.adapters.http.quota import Permits, RedisQuota
from gateway.core.source import Source
from tests.adapters.ledger_rig import a_source

LIMITED = a_source("shop", rate_limit="10/hour")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


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
BUSY = replace(LIMITED, rate_limit="1000000/hour")


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
    assert stats["cmdstat_evalsha"]["calls"] <= 45  # one for five


def test_a_busy_source_has_its_permits_before_it_needs_them(redis_url: str) -> None:
    """Only the first one waits: others are charged while the last permits are being used."""

    async def main() -> None:
        quota = RedisQuota(redis_url, "hookline", 20.0)
        assert (quota.spare(BUSY), await quota.charge(BUSY)) == (False, None)
        for _ in range(10):
            for _ in range(128):
                assert quota.spare(BUSY)
            await asyncio.gather(*quota._ahead.values())
        await quota.aclose()

    asyncio.run(main())


def test_who_is_refused_more_is_asked_no_more_for_it_until_the_last_are_used(
    redis_url: str, redis: "Redis"
) -> None:
    async def main() -> None:
        quota = RedisQuota(redis_url, "hookline", 20.0)
        assert [await quota.charge(LARGE) for _ in range(989)] == [None] * 989
        await asyncio.gather(*quota._ahead.values())
        redis.config_resetstat()
        while quota.spare(LARGE):
            await asyncio.gather(*quota._ahead.values())
        await quota.aclose()

    asyncio.run(main())
    stats: Any = redis.info("commandstats")
    assert stats.get("cmdstat_evalsha", {"calls": 0})["calls"] <= 3


def test_what_is_charged_ahead_is_a_hundredth_of_the_limit_at_most(redis_url: str) -> None:
    async def main() -> int:
        quota = RedisQuota(redis_url, "hookline", 20.0)
        await quota.charge(LARGE)
        used = 1
        for _ in range(50):
            used += quota.spare(LARGE)
            await asyncio.gather(*quota._ahead.values())
        window = await quota._limiter.get_window_stats(parse("1000/hour"), LARGE.name)
        await quota.aclose()
        return 1000 - window.remaining - used

    assert 0 <= asyncio.run(main()) <= 10


def test_nobody_waits_for_what_is_charged_ahead_when_redis_is_away(redis_url: str) -> None:
    async def main() -> None:
        quota = RedisQuota("redis://127.0.0.1:1/0", "hookline", 20.0)
        quota._permits.put(BUSY.name, 200, parse(BUSY.rate_limit or ""))
        assert [quota.spare(BUSY) for _ in range(201)] == [True] * 200 + [False]
        await asyncio.gather(*quota._ahead.values())
        assert await quota.charge(BUSY) is None
        await quota.aclose()

    asyncio.run(main())


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
