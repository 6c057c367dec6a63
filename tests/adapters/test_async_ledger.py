"""The gateway's side of the ledger: the events of one request go in together, or not at all."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import Any

import pytest
from redis import Redis

from gateway import deadlines
from gateway.adapters.ledger.async_ledger import AsyncLedger
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.script_line import ScriptLine
from gateway.core.event import Arrival
from gateway.core.outcomes import Absence, Acceptance
from gateway.deadlines import within
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


def ask(url: str, lines: int, *requests: Sequence[Arrival], seconds: float = 60.0) -> list[Any]:
    """What each request was told, or the type of what it was told instead; put within one turn."""

    async def main() -> list[Any]:
        told: dict[int, Any] = {}
        over = asyncio.Event()

        def hear(number: int, answers: Sequence[Acceptance] | Exception) -> None:
            assert number not in told, "told twice"
            told[number] = answers
            if len(told) == len(requests):
                over.set()

        async with async_client(url, 5.0) as client, AsyncExitStack() as stack:
            free = [
                await stack.enter_async_context(aclosing(ScriptLine(client, Keys())))
                for _ in range(lines)
            ]
            ledger = AsyncLedger(*free, look_ms=LOOK)
            for number, each in enumerate(requests):
                ledger.ask(each, GITHUB, seconds, partial(hear, number))
            await over.wait()
            held = [each for each in deadlines._watch().open if not isinstance(each, within)]
            assert not held, "who has been told is waited for no longer"
        return [told[number] for number in range(len(requests))]

    return asyncio.run(main())


@pytest.mark.parametrize("lines", [1, 2, 4])
def test_who_asks_without_waiting_is_told_once_however_many_calls_are_under_way(
    rig: Rig, redis_url: str, lines: int
) -> None:
    send(redis_url, arrivals("the script is known"))
    rig.redis.config_resetstat()
    requests = [arrivals(number, f"{number}b") for number in range(100)]
    answers = ask(redis_url, lines, *requests, requests[99])
    assert answers[:99] == [[ACCEPTED, ACCEPTED]] * 99
    # Calls that are under way together may be carried out in any order.
    assert sorted(answers[99:]) == [[ACCEPTED, ACCEPTED], [PENDING, PENDING]]
    assert len(rig.queued()) == 201
    assert rig.redis.info("commandstats")["cmdstat_evalsha"]["calls"] >= min(lines, 2)


def test_who_asks_a_server_that_is_not_there_is_told_so() -> None:
    (told,) = ask("redis://127.0.0.1:1/0", 2, arrivals(1))
    assert isinstance(told, Unavailable)
    assert told.absence is Absence.UNREACHABLE


def test_who_asks_is_told_in_time_and_its_event_is_stored_once_if_at_all(
    rig: Rig, redis_url: str
) -> None:
    send(redis_url, arrivals("the script is known"))
    rig.redis.client_pause(500)
    (told,) = ask(redis_url, 1, arrivals(1), seconds=0.05)
    assert isinstance(told, Unavailable)
    assert told.absence is Absence.NO_ANSWER
    rig.redis.client_unpause()
    assert ask(redis_url, 1, arrivals(1)) in ([[ACCEPTED]], [[PENDING]])
    assert len(rig.queued()) == 2
