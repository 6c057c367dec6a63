"""The fault proxy does to a command what it says, and to no other."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import unquote

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger import scripts
from gateway.adapters.ledger.redis_keys import Keys
from tests.chaos.proxy import Fault, Harm, Proxy, Spot, name_of

Talk = Callable[["AsyncRedis"], Awaitable[None]]


def through(redis_url: str, harm: Harm | None, talk: Talk, *, forgetful: bool = False) -> Proxy:
    """Talks to the server through a proxy, with a client that repeats nothing and waits a second."""

    async def run() -> Proxy:
        socket = unquote(redis_url.removeprefix("unix://").partition("?")[0])
        async with Proxy(socket, harm, forgetful=forgetful) as proxy:
            client = AsyncRedis(port=proxy.port, socket_timeout=1.0, retry=Retry(NoBackoff(), 0))
            async with client:
                await talk(client)
        return proxy

    return asyncio.run(run())


def harm(fault: Fault, ports: list[int], nth: int = 2) -> Harm:
    return Harm(Spot("INCRBY", nth), fault, ports.append, delay=1.5)


async def incr_thrice(client: "AsyncRedis") -> None:
    for _ in range(3):
        try:
            await client.incr("n")
        except RedisError:
            await client.incr("errors")


def test_without_a_fault_all_passes_and_is_counted(redis_url: str, redis: "Redis") -> None:
    proxy = through(redis_url, None, incr_thrice)
    assert (redis.get("n"), proxy.seen["INCRBY"], proxy.struck_at) == (b"3", 3, 0)


@pytest.mark.parametrize(
    ("fault", "count"),
    [(Fault.BEFORE, b"2"), (Fault.AFTER, b"3"), (Fault.HALF_OPEN, b"2")],
)
def test_one_command_is_harmed_and_its_sender_hears_of_it(
    redis_url: str, redis: "Redis", fault: Fault, count: bytes
) -> None:
    ports: list[int] = []
    proxy = through(redis_url, harm(fault, ports), incr_thrice)
    assert (redis.get("n"), redis.get("errors")) == (count, b"1")
    assert len(ports) == 1
    assert proxy.struck_at > proxy.seen["HELLO"]


def test_a_late_command_arrives_after_its_sender_gave_up(redis_url: str, redis: "Redis") -> None:
    async def talk(client: "AsyncRedis") -> None:
        await incr_thrice(client)
        assert await client.get("n") == b"2"
        async with asyncio.timeout(60):
            while await client.get("n") != b"3":
                await asyncio.sleep(0.02)

    through(redis_url, harm(Fault.DELAY, []), talk)
    assert redis.get("errors") == b"1"


def test_in_a_pipeline_the_commands_before_the_cut_have_happened(
    redis_url: str, redis: "Redis"
) -> None:
    async def talk(client: "AsyncRedis") -> None:
        async with client.pipeline(transaction=False) as pipeline:
            pipeline.set("first", "1")
            pipeline.incr("n")
            pipeline.set("last", "1")
            with pytest.raises(RedisError):
                await pipeline.execute()

    through(redis_url, harm(Fault.AFTER, [], nth=1), talk)
    assert redis.mget("first", "n", "last") == [b"1", b"1", None]


def test_a_forgetful_one_has_each_script_sent_again_once(redis_url: str, redis: "Redis") -> None:
    async def talk(client: "AsyncRedis") -> None:
        for _ in range(2):
            await scripts.run_async(client, Keys(), ledger.sweep(["shop"]))

    proxy = through(redis_url, None, talk, forgetful=True)
    assert (proxy.seen["sweep"], proxy.seen["load-sweep"]) == (2, 1)


def test_the_calls_of_the_ledger_have_its_names() -> None:
    assert name_of([b"EVALSHA", scripts.FINISH.sha.encode(), b"2"]) == "finish"
    assert name_of([b"EVAL", scripts.CLAIM.text.encode(), b"2"]) == "load-claim"
    assert name_of([b"client", b"setinfo", b"LIB-NAME", b"redis-py"]) == "CLIENT-SETINFO"
    assert str(Spot.parse("CLIENT-SETINFO#2")) == "CLIENT-SETINFO#2"


def test_who_comes_while_the_server_is_away_is_let_go(tmp_path: Path) -> None:
    async def run() -> bytes:
        async with Proxy(str(tmp_path / "nobody.sock")) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(b"*1\r\n$4\r\nPING\r\n")
            try:
                return await asyncio.wait_for(reader.read(), 5)
            except ConnectionError:
                return b""
            finally:
                writer.transport.abort()

    assert asyncio.run(run()) == b""
    gc.collect()  # what was left open says so
