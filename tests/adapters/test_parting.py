"""A server that stops breaks off nobody: real sockets, a real uvicorn."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.adapters.http import parting
from gateway.adapters.http import server as module
from gateway.adapters.http.exchange import Exchange
from gateway.adapters.http.listening import bind
from gateway.adapters.http.parting import Server
from gateway.adapters.http.responses import Response
from gateway.adapters.http.server import end, uvicorn_server
from gateway.settings import ServerSettings

REQUEST = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n"


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


class Edge:
    """Answers the same, below ASGI."""

    def answer(self, exchange: Exchange) -> None:
        exchange.answer(Response(200, ((b"content-length", b"2"),), b"ok"))

    def break_off(self) -> None:
        """Nobody waits."""


OPTIONS: dict[str, Any] = {}


@pytest.fixture(params=[None, Edge()], ids=["by ASGI", "below ASGI"], autouse=True)
def edge(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is held by both kinds of server."""
    monkeypatch.setitem(OPTIONS, "edge", request.param)


@asynccontextmanager
async def serving(grace: str = "5s") -> AsyncIterator[tuple[Server, tuple[str, int]]]:
    """Takes connections; its own loop never stops it."""
    server = uvicorn_server(answer, ServerSettings.model_validate({"grace": grace}), **OPTIONS)
    sock = bind("127.0.0.1", 0)
    address = sock.getsockname()
    task = asyncio.create_task(server.serve([sock]))
    await server.serving.wait()
    try:
        yield server, address
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def caller(address: tuple[str, int], data: bytes = b"") -> socket.socket:
    """At once and blocking, so that the server's loop does not turn: it knows nothing yet."""
    sock = socket.create_connection(address, timeout=60)
    sock.sendall(data)
    return sock


async def said(sock: socket.socket) -> bytes:
    """All up to the end of the connection. Raises ConnectionError when it was reset."""
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        async with asyncio.timeout(60):
            return await reader.read()
    finally:
        writer.close()


async def one_answer(sock: socket.socket) -> None:
    """On a connection that stays open."""
    loop = asyncio.get_running_loop()
    sock.setblocking(False)
    heard = b""
    async with asyncio.timeout(60):
        while not heard.endswith(b"ok"):
            heard += await loop.sock_recv(sock, 1000)


def is_last(heard: bytes) -> bool:
    return heard.startswith(b"HTTP/1.1 200") and b"connection: close" in heard


def test_who_waits_in_the_backlog_is_answered() -> None:
    async def main() -> None:
        async with serving() as (server, address):
            callers = [caller(address, REQUEST) for _ in range(20)]
            await server.shutdown()
            assert all([is_last(await said(each)) for each in callers])

    asyncio.run(main())


def test_a_connection_that_has_sent_nothing_yet_is_waited_for() -> None:
    async def main() -> None:
        async with serving() as (server, address):
            late = caller(address)
            ending = asyncio.create_task(server.shutdown())
            await asyncio.sleep(parting.TICK_SECONDS * 3)
            late.sendall(REQUEST[:10])
            await asyncio.sleep(parting.TICK_SECONDS * 3)
            late.sendall(REQUEST[10:])
            assert is_last(await said(late))
            await ending

    asyncio.run(main())


def test_an_idle_connection_is_closed_at_once_and_not_reset() -> None:
    async def main() -> None:
        async with serving("1h") as (server, address):
            idle = caller(address, REQUEST)
            await one_answer(idle)
            async with asyncio.timeout(60):
                await server.shutdown()
            assert await said(idle) == b""

    asyncio.run(main())


def test_a_request_that_nobody_has_read_yet_keeps_its_connection_open() -> None:
    async def main() -> None:
        async with serving() as (server, address):
            idle = caller(address, REQUEST)
            await one_answer(idle)
            idle.send(REQUEST)
            await server.shutdown()
            assert is_last(await said(idle))

    asyncio.run(main())


def test_where_a_successor_serves_idle_connections_end_by_an_answer() -> None:
    async def main() -> None:
        async with serving() as (server, address):
            idle = caller(address, REQUEST)
            await one_answer(idle)
            server.handed_on = True
            ending = asyncio.create_task(server.shutdown())
            await asyncio.sleep(parting.TICK_SECONDS * 3)
            idle.send(REQUEST)
            assert is_last(await said(idle))
            await ending

    asyncio.run(main())


def test_nobody_is_waited_for_longer_than_the_grace() -> None:
    async def main() -> None:
        async with serving("100ms") as (server, address):
            stuck = caller(address, REQUEST[:-2])
            async with asyncio.timeout(2):
                await server.shutdown()
            with contextlib.suppress(ConnectionError):
                assert await said(stuck) == b""

    asyncio.run(main())


def test_a_task_that_loses_a_cancellation_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CANCEL_SECONDS", 0.05)
    lost: list[bool] = []

    async def deaf_once() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            lost.append(True)
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(deaf_once())
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await end([task])
        assert task.cancelled()

    asyncio.run(main())
    assert lost == [True]
