"""Which secret is in use: counts of all gateways add up, and none is lost when Redis is away."""

import asyncio

import pytest
from redis import Redis
from redis.exceptions import RedisError

from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.secret_use import SecretUse, Use, secret_use

KEYS = Keys()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def flush(url: str, *uses: SecretUse) -> None:
    async def work() -> None:
        async with async_client(url, 5.0) as client:
            for each in uses:
                await each.flush(client, KEYS)

    asyncio.run(work())


def test_counts_of_several_gateways_add_up(redis: "Redis", redis_url: str) -> None:
    clock = Clock()
    one, other = SecretUse(clock), SecretUse(clock)
    for use in (one, other, other):
        use.count("shop", "env:NEW")
        clock.now += 1
    flush(redis_url, one, other)
    assert secret_use(redis, KEYS, "shop") == {"env:NEW": Use(3, 1002.0, None)}
    assert secret_use(redis, KEYS, "github") == {}


def test_a_secret_that_is_never_used_is_known_by_when_it_was_first_configured(
    redis: "Redis", redis_url: str
) -> None:
    clock = Clock()
    use = SecretUse(clock)
    use.configured({"shop": ["env:NEW", "file:/run/a|b"]})
    flush(redis_url, use)
    clock.now += 60
    use.configured({"shop": ["env:NEW"]})
    flush(redis_url, use)
    assert secret_use(redis, KEYS, "shop") == {
        "env:NEW": Use(0, None, 1000.0),
        "file:/run/a|b": Use(0, None, 1000.0),
    }


def test_what_could_not_be_flushed_is_flushed_the_next_time(redis: "Redis", redis_url: str) -> None:
    clock = Clock()
    use = SecretUse(clock)
    use.configured({"shop": ["env:NEW"]})
    use.count("shop", "env:NEW")
    with pytest.raises(RedisError):
        flush("redis://127.0.0.1:1", use)
    clock.now += 5
    use.count("shop", "env:NEW")
    flush(redis_url, use, use)
    assert secret_use(redis, KEYS, "shop") == {"env:NEW": Use(2, 1005.0, 1000.0)}


def test_with_nothing_to_say_redis_is_not_asked() -> None:
    flush("redis://127.0.0.1:1", SecretUse())
