"""How full the ledger is, on a real server: what is found, what is said, and what an outage changes."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest
from redis import Redis
from redis.exceptions import RedisError
from structlog.testing import capture_logs

from gateway.adapters.ledger.pressure import LedgerPressure, memory_share
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.core.outcomes import Overload
from gateway.core.source import Source
from tests.adapters.edge_rig import SHOP
from tests.adapters.ledger_rig import Rig

BOUNDED = replace(SHOP, name="bounded", max_pending=3)


def found(url: str, sources: Iterable[Source], looks: int = 1) -> list[Overload | None]:
    async def main() -> list[Overload | None]:
        async with async_client(url, 20.0) as client:
            pressure = LedgerPressure(client, Keys())
            pressure.configured(sources)
            for _ in range(looks):
                await pressure.look()
            return [pressure.of(source) for source in sources]

    return asyncio.run(main())


def pending(redis: "Redis", source: str, many: int) -> None:
    redis.zadd(Rig(redis).keys.pending(source), {f"dlv_{number}": 1.0 for number in range(many)})


def test_a_source_is_refused_from_its_bound_on_and_the_log_says_so_once(
    redis: "Redis", redis_url: str
) -> None:
    pending(redis, "bounded", 2)
    assert found(redis_url, [BOUNDED, SHOP]) == [None, None]
    pending(redis, "bounded", 3)
    with capture_logs() as lines:
        assert found(redis_url, [BOUNDED, SHOP], looks=3) == [Overload.BACKLOG_FULL, None]
    (line,) = lines
    assert (line["event"], line["source"], line["reason"], line["open"]) == (
        "source.shed",
        "bounded",
        "backlog_full",
        3,
    )


def test_a_source_is_taken_again_once_there_is_room(redis: "Redis", redis_url: str) -> None:
    async def main() -> list[Overload | None]:
        async with async_client(redis_url, 20.0) as client:
            pressure = LedgerPressure(client, Keys())
            pressure.configured([BOUNDED])
            answers = []
            for many in (3, 0):
                redis.delete(Keys().pending("bounded"))
                pending(redis, "bounded", many) if many else None
                await pressure.look()
                answers.append(pressure.of(BOUNDED))
            return answers

    with capture_logs() as lines:
        assert asyncio.run(main()) == [Overload.BACKLOG_FULL, None]
    assert [line["event"] for line in lines] == ["source.shed", "source.taken_again"]


def test_a_server_whose_memory_is_nearly_full_takes_no_more_from_who_comes_again(
    redis: "Redis", redis_url: str
) -> None:
    used = int(redis.info("memory")["used_memory"])
    redis.config_set("maxmemory", int(used * 1.05))
    try:
        once = replace(SHOP, name="once", spool=True)
        assert found(redis_url, [SHOP, once]) == [Overload.MEMORY_SHORT, None]
    finally:
        redis.config_set("maxmemory", 0)


def test_in_an_outage_what_was_found_holds_on() -> None:
    with pytest.raises((RedisError, OSError)):
        found("redis://127.0.0.1:1", [BOUNDED])


def test_without_a_limit_of_its_own_a_server_has_the_memory_of_its_machine() -> None:
    assert memory_share({"used_memory": 25, "maxmemory": 100, "total_system_memory": 50}) == 0.25
    assert memory_share({"used_memory": 25, "maxmemory": 0, "total_system_memory": 50}) == 0.5
    assert memory_share({}) == 0.0
