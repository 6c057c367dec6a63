"""`python -m tests.chaos.overload.trouble KIND PORT RATE`: makes one kind of trouble until SIGTERM.

It yields to everybody (nice 10), for it shares the machine with what it troubles: what is measured is
how the gateway copes, not how a scheduler divides two cores. It prints a word when it begins, and at
its end what it was told.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

import uvloop

from tests.chaos.overload.wire import (
    Streams,
    addresses,
    answer,
    connect,
    forged,
    head,
    signed,
    when_over,
)

AT_ONCE: Final = 32
OPEN: Final = 1000
TRICKLE_SECONDS: Final = (0.5, 1.5)  # by chance, or all of them would send at the same moment
LARGE: Final = 4 * 1024 * 1024
HALF_HEAD: Final = b"POST /hooks/good HTTP/1.1\r\nHost: gateway.test\r\nX-Half: "


class Trouble:
    """`told` counts statuses; "closed": the connection ended without one."""

    def __init__(self, port: int, rate: float) -> None:
        self._port = port
        self._rate = rate
        self._from: Iterator[str] = addresses()
        self._numbers = itertools.count(int(time.time() * 1000) * 1000)
        self.told: Counter[str] = Counter()

    async def forged_most(self) -> None:
        """Requests for the good source whose signature is wrong, as fast as they are answered."""

        async def loop() -> None:
            while True:
                await self._ask(forged("good", next(self._numbers)))

        await asyncio.gather(*(loop() for _ in range(AT_ONCE)))

    # A thousand that stay

    async def idle(self) -> None:
        await self._hold(b"", b"")

    async def slow_heads(self) -> None:
        await self._hold(HALF_HEAD, b"x")

    async def slow_bodies(self) -> None:
        await self._hold(head("good", 100_000, "1", "0" * 64), b"x")

    # At a rate, answered or not

    async def forged(self) -> None:
        await self._at_rate(lambda: self._ask(forged("good", next(self._numbers))))

    async def oversized(self) -> None:
        """Bodies beyond the limit: every other one says so, the rest come in pieces."""
        whole = head("good", LARGE, "1", "0" * 64) + bytes(LARGE)
        chunked = head("good", 0, "1", "0" * 64).replace(
            b"Content-Length: 0", b"Transfer-Encoding: chunked"
        )
        pieces = chunked + (b"10000\r\n" + bytes(65536) + b"\r\n") * (LARGE // 65536)
        both = itertools.cycle((whole, pieces))
        await self._at_rate(lambda: self._ask(next(both)))

    async def churn(self) -> None:
        """Connections that are closed as soon as they are open."""

        async def once() -> None:
            _, writer = await connect(self._port, next(self._from))
            writer.close()
            self.told["opened and closed"] += 1

        await self._at_rate(once)

    async def source(self, name: str) -> None:
        """Genuine requests of another source."""
        await self._at_rate(lambda: self._ask(signed(name, next(self._numbers), close=True)))

    async def _at_rate(self, one: Callable[[], Coroutine[Any, Any, None]]) -> None:
        began = time.time()
        tasks: set[asyncio.Task[None]] = set()
        for count in itertools.count():
            await asyncio.sleep(max(0.0, began + count / self._rate - time.time()))
            task = asyncio.create_task(one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _ask(self, request: bytes) -> None:
        await self._counted(self._one(request))

    async def _one(self, request: bytes) -> int:
        reader, writer = await connect(self._port, next(self._from))
        try:
            writer.write(request)
            with contextlib.suppress(ConnectionError):  # refused before it was all sent
                await writer.drain()
            return await answer(reader)
        finally:
            writer.close()

    async def _hold(self, begun: bytes, trickle: bytes) -> None:
        """A thousand connections for as long as they are let, and others in their place."""

        async def loop() -> None:
            while True:
                await self._counted(self._held(begun, trickle))

        await asyncio.gather(*(loop() for _ in range(OPEN)))

    async def _held(self, begun: bytes, trickle: bytes) -> int:
        streams = await connect(self._port, next(self._from))
        streams[1].write(begun)
        try:
            return await _until_answered(streams, trickle)
        finally:
            streams[1].close()

    async def _counted(self, asking: Coroutine[Any, Any, int]) -> None:
        try:
            self.told[str(await asking)] += 1
        except (OSError, EOFError):
            self.told["closed"] += 1


async def _until_answered(streams: Streams, trickle: bytes) -> int:
    waiting = asyncio.ensure_future(answer(streams[0]))
    try:
        while not waiting.done():
            await asyncio.wait([waiting], timeout=random.uniform(*TRICKLE_SECONDS))
            if trickle and not waiting.done():
                streams[1].write(trickle)
        return waiting.result()
    finally:
        waiting.cancel()


async def main(kind: str, port: int, rate: float) -> None:
    trouble = Trouble(port, rate)
    made = getattr(trouble, kind.replace("-", "_"), None)
    work = asyncio.ensure_future(made() if made else trouble.source(kind))
    when_over(work.cancel)
    print("begun", flush=True)
    with contextlib.suppress(asyncio.CancelledError):
        await work
    print(json.dumps(trouble.told))


if __name__ == "__main__":
    os.nice(10)
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
