"""The ingest's own connection: as good as a client's, whatever the server does."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.script_line import ScriptLine
from gateway.adapters.ledger.scripts import Call
from tests.adapters.ledger_rig import GITHUB, an_event

Accept = Callable[[str], Awaitable[Any]]


def run(url: str, main: Callable[[ScriptLine], Awaitable[None]], timeout: float = 60.0) -> None:
    async def with_line() -> None:
        async with (
            async_client(url, timeout) as client,
            aclosing(ScriptLine(client, Keys())) as line,
        ):
            await main(line)

    asyncio.run(with_line())


def accept(value: str, size: int = 10) -> Call[Any]:
    return ledger.accept([(an_event(value, body=bytes(size)), GITHUB, ("archive",))])


def words(answers: list[Any]) -> list[str]:
    return [str(answer) for answer in answers]


def test_calls_made_at_once_get_their_own_answers(redis: "Redis", redis_url: str) -> None:
    async def main(line: ScriptLine) -> None:
        assert words(await line.call(accept("known"))) == ["accepted"]
        answers = await asyncio.gather(*(line.call(accept(each)) for each in ("a", "known", "b")))
        assert [words(each) for each in answers] == [["accepted"], ["pending"], ["accepted"]]

    run(redis_url, main)


def test_a_connection_that_was_closed_is_made_anew_before_it_is_used(
    redis: "Redis", redis_url: str
) -> None:
    async def main(line: ScriptLine) -> None:
        await line.call(accept("a"))
        redis.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(0.05)  # until the loop has heard of it
        assert words(await line.call(accept("b"))) == ["accepted"]

    run(redis_url, main)


def test_a_forgotten_script_is_sent_again(redis: "Redis", redis_url: str) -> None:
    async def main(line: ScriptLine) -> None:
        redis.script_flush()
        assert words(await line.call(accept("a"))) == ["accepted"]

    run(redis_url, main)


def test_an_answer_that_came_too_late_is_nobody_elses(redis: "Redis", redis_url: str) -> None:
    async def main(line: ScriptLine) -> None:
        await line.call(accept("known"))
        redis.client_pause(1500)
        with pytest.raises(TimeoutError):
            await line.call(accept("late"))
        await asyncio.to_thread(redis.ping)  # answered when the pause is over
        assert words(await line.call(accept("known"))) == ["pending"]
        # Whether it happened nobody knows: whoever asks again is told.
        assert words(await line.call(accept("late"))) in (["accepted"], ["pending"])

    run(redis_url, main, timeout=0.5)


def test_an_error_of_the_script_leaves_the_connection_as_it_is(redis: "Redis", redis_url: str) -> None:
    async def main(line: ScriptLine) -> None:
        broken: Call[Any] = replace(accept("a"), args=(1000, "evt_a"))
        for _ in range(2):
            with pytest.raises(ResponseError):
                await line.call(broken)
        assert words(await line.call(accept("a"))) == ["accepted"]
        (mine,) = [each for each in redis.client_list() if each["cmd"].startswith("evalsha")]
        assert int(mine["tot-cmds"]) >= 3

    run(redis_url, main)


def test_a_server_that_is_not_there_is_an_error_at_once_and_no_hanging() -> None:
    async def main(line: ScriptLine) -> None:
        with pytest.raises(RedisConnectionError):
            await line.call(accept("a"))

    run("redis://127.0.0.1:1", main)


def test_what_is_begun_reaches_the_server_before_anything_is_awaited(
    redis: "Redis", redis_url: str
) -> None:
    async def main(line: ScriptLine) -> None:
        await line.call(accept("known"))
        call = accept("a")
        begun = line.begin(call)
        while not redis.exists(f"hookline:event:{an_event('a').id}"):  # the loop stands still here
            assert begun
        assert words(await line.finish(call, begun=begun)) == ["accepted"]
        assert words(await line.call(accept("known"))) == ["pending"]

    run(redis_url, main)


def test_nothing_is_begun_on_a_line_that_is_not_connected(redis: "Redis", redis_url: str) -> None:
    async def main(line: ScriptLine) -> None:
        call = accept("a")
        assert line.begin(call) is False
        assert words(await line.finish(call, begun=False)) == ["accepted"]
        redis.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(0.05)  # until the loop has heard of it
        assert line.begin(call) is False
        assert words(await line.finish(call, begun=False)) == ["pending"]

    run(redis_url, main)


def test_what_was_begun_with_a_forgotten_script_is_sent_again(redis: "Redis", redis_url: str) -> None:
    async def main(line: ScriptLine) -> None:
        await line.call(accept("known"))
        redis.script_flush()
        call = accept("a")
        assert line.begin(call)
        assert words(await line.finish(call, begun=True)) == ["accepted"]
        assert words(await line.call(accept("a"))) == ["pending"]

    run(redis_url, main)


def test_what_was_begun_and_lost_its_connection_is_an_error(redis: "Redis", redis_url: str) -> None:
    async def main(line: ScriptLine) -> None:
        await line.call(accept("known"))
        redis.client_pause(60_000, all=False)
        call = accept("a")
        assert line.begin(call)
        redis.client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(RedisConnectionError):
            await line.finish(call, begun=True)
        redis.client_unpause()
        assert words(await line.call(accept("known"))) == ["pending"]

    run(redis_url, main)


def test_what_two_have_begun_on_one_line_each_hears_of_its_own(redis: "Redis", redis_url: str) -> None:
    """A reload leaves the calls of the deployment before under way."""

    async def main(line: ScriptLine) -> None:
        await line.call(accept("known"))
        calls = [accept("a"), accept("known"), accept("b")]
        begun = [line.begin(each) for each in calls]
        assert begun[:2] == [True, True]
        answers = await asyncio.gather(
            *(line.finish(each, begun=sent) for each, sent in zip(calls, begun, strict=True))
        )
        assert [words(each) for each in answers] == [["accepted"], ["pending"], ["accepted"]]

    run(redis_url, main)
