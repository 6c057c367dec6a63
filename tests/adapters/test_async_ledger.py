"""The gateway's side of the ledger: the events of one request go in together, or not at all."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing

import pytest
from redis import Redis

from gateway.adapters.ledger.async_ledger import AsyncLedger
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.script_line import ScriptLine
from gateway.core.event import Arrival
from gateway.core.outcomes import Acceptance
from gateway.ports import Unavailable
from tests.adapters.ledger_rig import GITHUB, LOOK, Rig, a_delivery, an_event

ACCEPTED, PENDING = Acceptance.ACCEPTED, Acceptance.PENDING


@pytest.fixture
def rig(redis: "Redis") -> Iterator[Rig]:
    yield Rig(redis)
    redis.config_set("maxmemory", 0)


def arrivals(*values: object, size: int = 2) -> list[Arrival]:
    return [Arrival(an_event(str(each), body=bytes(size)), ("archive",)) for each in values]


def send(url: str, *requests: Sequence[Arrival]) -> list[list[Acceptance]]:
    """What each request was answered; all of them were there at once."""

    async def main() -> list[list[Acceptance]]:
        async with async_client(url, 5.0) as client, aclosing(ScriptLine(client, Keys())) as line:
            ledger = AsyncLedger(line, look_ms=LOOK)
            return await asyncio.gather(*(ledger.accept(each, GITHUB) for each in requests))

    return asyncio.run(main())


def calls(rig: Rig, url: str, *requests: Sequence[Arrival]) -> int:
    """How many calls of the script carried the requests."""
    send(url, arrivals("the script is known"))
    rig.redis.config_resetstat()
    send(url, *requests)
    return int(rig.redis.info("commandstats")["cmdstat_evalsha"]["calls"])


def test_every_request_hears_the_answers_to_its_own_events_in_order(rig: Rig, redis_url: str) -> None:
    send(redis_url, arrivals("known"))
    answers = send(redis_url, arrivals(1, "known", 2), arrivals(3), arrivals("known", 1))
    assert answers == [[ACCEPTED, PENDING, ACCEPTED], [ACCEPTED], [PENDING, PENDING]]
    assert rig.queued() == [f"{a_delivery(each)}-1" for each in ("known", "1", "2", "3")]


def test_an_event_that_comes_twice_in_one_request_is_stored_once(rig: Rig, redis_url: str) -> None:
    assert send(redis_url, arrivals(1, 1)) == [[ACCEPTED, PENDING]]
    assert rig.queued() == [f"{a_delivery()}-1"]


@pytest.mark.parametrize(("many", "size"), [(2000, 2), (6, 1 << 20)])
def test_the_events_of_one_request_are_never_split(
    rig: Rig, redis_url: str, many: int, size: int
) -> None:
    assert calls(rig, redis_url, arrivals(*range(many), size=size)) == 1
    assert len(rig.queued()) == many + 1


@pytest.mark.parametrize(("many", "size"), [(600, 2), (3, 1 << 20)])
def test_requests_share_a_call_only_as_far_as_their_events_are_few_and_small(
    rig: Rig, redis_url: str, many: int, size: int
) -> None:
    """Or one call would block the server for everybody: all events count, and all bodies."""
    first, second = (arrivals(*(f"{r}-{n}" for n in range(many)), size=size) for r in "ab")
    assert calls(rig, redis_url, first, second) == 2
    assert calls(rig, redis_url, arrivals("small"), arrivals("smaller")) == 1


def test_a_script_that_the_server_forgot_stores_the_events_once(rig: Rig, redis_url: str) -> None:
    rig.redis.script_flush()
    assert send(redis_url, arrivals(1, 2, 3)) == [[ACCEPTED] * 3]
    assert len(rig.queued()) == 3


def test_without_memory_none_of_the_events_is_stored(rig: Rig, redis_url: str) -> None:
    send(redis_url, arrivals("known"))
    before = rig.snapshot()
    rig.redis.config_set("maxmemory", 1)
    with pytest.raises(Unavailable):
        send(redis_url, arrivals("known", 1, 2))
    assert rig.snapshot() == before
    assert send(redis_url, arrivals("known", "known")) == [[PENDING, PENDING]]


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        send("redis://127.0.0.1:1/0", arrivals(1, 2))
