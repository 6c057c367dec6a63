"""The admin port's protocol: uvicorn's, with the bounds of the providers' port."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.adapters.http.server import uvicorn_server
from gateway.settings import ServerSettings
from tests.adapters.test_wire import Transport, request


class Rig:
    """One connection, to an app that notes the names of the headers it was given."""

    def __init__(self) -> None:
        self.asked: list[list[bytes]] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            while (await receive()).get("more_body"):
                pass
            self.asked.append([name for name, _ in scope["headers"]])
            length = (b"content-length", b"0")
            await send({"type": "http.response.start", "status": 200, "headers": [length]})
            await send({"type": "http.response.body", "body": b""})

        server = uvicorn_server(app, ServerSettings())
        server.config.load()
        make: Any = server.config.http_protocol_class
        self.wire: Any = make(config=server.config, server_state=server.server_state, app_state={})
        self.transport: Any = Transport()
        self.wire.connection_made(self.transport)


def run(main: Callable[[Rig], Awaitable[None]]) -> None:
    async def within_time() -> None:
        async with asyncio.timeout(60):
            rig = Rig()
            await main(rig)
            rig.transport.closing = True
            rig.wire.connection_lost(None)

    asyncio.run(within_time())


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_head_without_end_is_refused() -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(b"GET /metrics HTTP/1.1\r\nx-large: ")
        for _ in range(3):
            rig.wire.data_received(b"x" * 40_000)
        assert rig.transport.written.startswith(b"HTTP/1.1 431 ")
        assert (rig.transport.closing, rig.asked) == (True, [])

    run(main)


def test_what_comes_behind_a_chunked_body_is_no_header() -> None:
    async def main(rig: Rig) -> None:
        head = b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        rig.wire.data_received(head + b"2\r\n{}\r\n0\r\nauthorization: Bearer late\r\n\r\n")
        await settled()
        assert rig.asked == [[b"host", b"transfer-encoding"]]

    run(main)


def test_who_was_answered_may_stay_for_five_seconds_from_then() -> None:
    async def main(rig: Rig) -> None:
        now = [rig.wire.loop.time()]
        rig.wire.head._clock = lambda: now[0]
        now[0] += 100.0
        rig.wire.data_received(request("/a", method="GET"))
        await settled()
        assert len(rig.asked) == 1
        assert [rig.wire.late(now[0] + each) for each in (4.9, 5.0)] == [False, True]

    run(main)
