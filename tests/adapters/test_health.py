"""Liveness touches nothing; readiness asks Redis, seldom, and knows when it became unsafe."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from structlog.testing import capture_logs

from gateway.adapters.http import health
from gateway.adapters.http.health import (
    ASK_SECONDS,
    DATA_LOST,
    LOST,
    RECHECK_SECONDS,
    Readiness,
    health_app,
)
from gateway.adapters.ledger.marker import Marker
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys

NOWHERE = "redis://127.0.0.1:1/0"


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def with_readiness(
    url: str, test: Callable[[Readiness, Clock], Awaitable[None]], durability: str = "always"
) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), async_client(url, 20.0) as client:
            clock = Clock()
            await test(Readiness(client, durability, clock), clock)

    asyncio.run(main())


def ask(readiness: Readiness, path: str) -> Awaitable[httpx2.Response]:
    transport = httpx2.ASGITransport(app=health_app(readiness))
    return httpx2.AsyncClient(transport=transport, base_url="http://gateway").get(path)


def test_is_ready_while_redis_answers_and_is_safe(redis_url: str) -> None:
    async def test(readiness: Readiness, _: Clock) -> None:
        answer = await ask(readiness, "/readyz")
        assert (answer.status_code, answer.json()) == (200, {"ready": True, "problems": []})

    with_readiness(redis_url, test)


def test_is_not_ready_while_redis_is_away_but_alive() -> None:
    async def test(readiness: Readiness, _: Clock) -> None:
        answer = await ask(readiness, "/readyz")
        assert answer.status_code == 503
        assert answer.json() == {"ready": False, "problems": ["redis: unreachable"]}
        assert (await ask(readiness, "/livez")).status_code == 200

    with_readiness(NOWHERE, test)


def test_is_ready_without_redis_while_a_spool_takes_events_and_says_what_is_wrong() -> None:
    async def test(readiness: Readiness, _: Clock) -> None:
        takes = True
        readiness._spool = lambda: takes
        answer = await ask(readiness, "/readyz")
        told = {"ready": True, "problems": ["redis: unreachable"]}
        assert (answer.status_code, answer.json()) == (200, told)
        takes = False
        assert (await ask(readiness, "/readyz")).status_code == 503
        takes = readiness.draining = True
        assert (await ask(readiness, "/readyz")).status_code == 503

    with_readiness(NOWHERE, test)


def test_a_spool_does_not_make_up_for_a_redis_that_is_not_safe(redis_url: str, redis: "Redis") -> None:
    async def test(readiness: Readiness, _: Clock) -> None:
        readiness._spool = lambda: True
        assert (await ask(readiness, "/readyz")).status_code == 503

    redis.config_set("appendfsync", "everysec")
    try:
        with_readiness(redis_url, test)
    finally:
        redis.config_set("appendfsync", "always")


def test_is_not_ready_while_it_drains(redis_url: str) -> None:
    async def test(readiness: Readiness, _: Clock) -> None:
        assert await readiness.problems() == []
        readiness.draining = True
        assert (await ask(readiness, "/readyz")).status_code == 503

    with_readiness(redis_url, test)


@pytest.mark.parametrize(
    ("name", "weak", "strong"),
    [("appendfsync", "everysec", "always"), ("maxmemory-policy", "allkeys-lru", "noeviction")],
)
def test_notices_settings_that_became_unsafe_and_that_they_were_mended(
    redis_url: str, redis: "Redis", name: str, weak: str, strong: str
) -> None:
    async def test(readiness: Readiness, clock: Clock) -> None:
        assert await readiness.problems() == []
        redis.config_set(name, weak)
        clock.now += RECHECK_SECONDS
        (problem,) = await readiness.problems()
        assert problem.startswith(f"{name}: is '{weak}'")
        redis.config_set(name, strong)
        clock.now += RECHECK_SECONDS
        assert await readiness.problems() == []

    try:
        with_readiness(redis_url, test)
    finally:
        redis.config_set(name, strong)


def test_a_weaker_promise_needs_less_of_the_server(redis_url: str, redis: "Redis") -> None:
    async def test(readiness: Readiness, _: Clock) -> None:
        assert await readiness.problems() == []

    redis.config_set("appendfsync", "everysec")
    try:
        with_readiness(redis_url, test, durability="everysec")
    finally:
        redis.config_set("appendfsync", "always")


class Counted:
    """Stands for a client; how often it was asked."""

    def __init__(self, client: "AsyncRedis") -> None:
        self._client = client
        self.pings = 0

    async def ping(self) -> None:
        self.pings += 1
        await asyncio.sleep(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_a_crowd_of_callers_is_one_question_to_redis(redis_url: str) -> None:
    async def test() -> None:
        async with async_client(redis_url, 20.0) as client:
            counted: Any = Counted(client)
            clock = Clock()
            readiness = Readiness(counted, "always", clock)
            await asyncio.gather(*(readiness.problems() for _ in range(100)))
            assert counted.pings == 1
            clock.now += ASK_SECONDS
            await readiness.problems()
            assert counted.pings == 2

    asyncio.run(test())


def test_recovers_as_soon_as_redis_is_back(redis_url: str) -> None:
    async def test(readiness: Readiness, clock: Clock) -> None:
        async with async_client(NOWHERE, 20.0) as away:
            there, readiness._client = readiness._client, away
            assert await readiness.problems() != []
            readiness._client = there
            clock.now += ASK_SECONDS
            assert await readiness.problems() == []

    with_readiness(redis_url, test)


def test_data_that_are_others_than_before_are_said_so_for_good(redis_url: str, redis: "Redis") -> None:
    async def main() -> None:
        async with async_client(redis_url, 20.0) as client:
            clock = Clock()
            readiness = Readiness(client, "always", clock, marker=Marker(client, Keys()))
            assert await readiness.problems() == []
            clock.now += RECHECK_SECONDS
            assert await readiness.problems() == []
            redis.flushall()
            clock.now += RECHECK_SECONDS
            for _ in range(2):
                assert await readiness.problems() == [LOST]
                assert (await readiness.ready(), readiness.kinds) == (True, [DATA_LOST])
                clock.now += RECHECK_SECONDS

    asyncio.run(main())


def test_several_gateways_leave_one_mark(redis_url: str) -> None:
    async def main() -> None:
        async with async_client(redis_url, 20.0) as client:
            markers = [Marker(client, Keys()) for _ in range(3)]
            for _ in range(2):
                assert not any(await asyncio.gather(*(each.replaced() for each in markers)))

    asyncio.run(main())


def test_what_changes_is_told_to_the_log_though_nobody_asks(
    redis_url: str, redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "WATCH_SECONDS", 0.01)

    async def test(readiness: Readiness, clock: Clock) -> None:
        watching = asyncio.create_task(readiness.watch())
        await _told(lines, "redis.problem", None)
        for policy, event in (("allkeys-lru", "redis.problem"), ("noeviction", "redis.mended")):
            redis.config_set("maxmemory-policy", policy)
            clock.now += RECHECK_SECONDS
            (line,) = await _told(lines, event, 1)
            assert line["problem"].startswith("maxmemory-policy: is 'allkeys-lru'")
        watching.cancel()

    with capture_logs() as lines:
        with_readiness(redis_url, test)


async def _told(lines: list[Any], event: str, many: int | None) -> list[Any]:
    """Those of this event, once there are so many; None: after a while, in which none comes."""
    for _ in range(20 if many is None else 500):
        found = [line for line in lines if line["event"] == event]
        assert not (many is None and found)
        if found and len(found) == many:
            return found
        await asyncio.sleep(0.005)
    assert many is None, f"{event} was not told"
    return []


def test_a_trouble_that_may_pass_is_made_up_for_by_a_spool(redis_url: str, redis: "Redis") -> None:
    async def test(readiness: Readiness, clock: Clock) -> None:
        redis.config_set("maxmemory", 1)
        assert (await ask(readiness, "/readyz")).status_code == 503
        assert readiness.kinds == ["maxmemory"]
        readiness._spool = lambda: True
        assert (await ask(readiness, "/readyz")).status_code == 200

    try:
        with_readiness(redis_url, test)
    finally:
        redis.config_set("maxmemory", 0)
