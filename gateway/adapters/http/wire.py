"""Webhooks below ASGI: the protocol of the port that providers call.

uvicorn listens, httptools parses, and the health checks are answered by their ASGI app. All other
requests go to the edge from here: a scope, a task that waits for the body, an event, messages and a
write for each part of the answer would cost a request as much as everything that it is for.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final, Protocol

import httptools
from uvicorn import Config

from gateway.adapters.http.checks import answer_by
from gateway.adapters.http.crowd import Crowd
from gateway.adapters.http.exchange import Exchange
from gateway.adapters.http.heads import REFUSAL, Head, awaits_caller, is_open, refuse
from gateway.adapters.http.parsing import Requests
from gateway.adapters.http.parting import State

HEALTH_PATHS: Final = ("/livez", "/readyz")
MOST_WAITING: Final = 65536
"""Bytes of a body that nobody has asked for yet; beyond them nothing is read."""
MALFORMED: Final = "Invalid HTTP request received."
BAD_REQUEST: Final = (
    "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
    f"content-length: {len(MALFORMED)}\r\nconnection: close\r\n\r\n{MALFORMED}"
).encode()


class Answers(Protocol):
    """The edge, as far as it is needed here."""

    def answer(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        """Answers now, or by itself later; else gives what a task has to await."""


class Wire:
    """A connection, as uvicorn makes it: an `asyncio.Protocol` by its shape, for what is compiled has
    no base that is not. Its heads have the rules of `asgi.BoundedHeads`.

    A request is begun once its bytes of one read are parsed: the usual one is whole then, and often
    answered before `data_received` returns. Those that come together wait.

    Who does not read its answers is not served either: while some wait to be sent, none is begun.
    """

    transport: asyncio.Transport

    def __init__(
        self,
        *,
        config: Config,
        server_state: State,
        edge: Answers,
        most: int,
        seconds: float,
        crowd: Crowd,
        **_: Any,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.head = Head(most, seconds, config.timeout_keep_alive, self.loop.time)
        self.requests = Requests(self, self.head, server_state)
        self.peer: str | None = None
        self._current: Exchange | None = None
        """Whose answer is the next one."""
        self._edge = edge
        self._checks = config.loaded_app
        self._connections: set[Any] = server_state.connections
        self._tasks = server_state.tasks
        self._crowd = crowd
        self._goes_on = False
        self._reads = True
        self._may_write = True

    @property
    def cycle(self) -> Exchange | None:
        """uvicorn's word for the request that came last."""
        return self.requests.last

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if isinstance(peer, tuple) else None
        self._connections.add(self)
        self._crowd.join(self)
        self._crowd.keep_watch(self.loop)

    def connection_lost(self, _: Exception | None) -> None:
        self._crowd.leave(self)
        self._connections.discard(self)
        self.requests.end()
        self._current = None
        self.transport.close()

    def eof_received(self) -> None:
        """The connection ends."""

    def data_received(self, data: bytes) -> None:
        self.head.next_read()
        try:
            self.requests.feed(data)
        except httptools.HttpParserError:
            warn(MALFORMED)
            refuse(self.transport, BAD_REQUEST)
        except httptools.HttpParserUpgrade:  # answered as any other, and what came behind it is dropped
            warn("Unsupported upgrade request.")
        if self.head.too_large(len(data)):
            refuse(self.transport, REFUSAL)
        self._go_on()

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        self._go_on()

    # What is begun, and what is read.

    def _go_on(self) -> None:
        """Begins what has come, one after the other; while any waits, nothing is read."""
        if self._goes_on:  # an answer that was given at once
            return
        self._goes_on = True
        try:
            while self.requests.queue and self._free():
                self._begin(self.requests.queue.popleft())
        finally:
            self._goes_on = False
        if self.requests.queue or self._swamped():
            self._pause_reading()

    def _free(self) -> bool:
        return not is_open(self._current) and self._may_write and not self.transport.is_closing()

    def _swamped(self) -> bool:
        """Whether the body that comes is not taken as fast."""
        last = self.requests.last
        return last is not None and not last.response_complete and last.waiting > MOST_WAITING

    def _begin(self, exchange: Exchange) -> None:
        self._current = exchange
        rest = (
            answer_by(self._checks, exchange)
            if exchange.path in HEALTH_PATHS
            else self._edge.answer(exchange)
        )
        if rest is not None:
            self.see_through(exchange, rest)

    def see_through(self, exchange: Exchange, rest: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(self.loop.create_task(self._see_through(exchange, rest)))

    async def _see_through(self, exchange: Exchange, rest: Coroutine[Any, Any, None]) -> None:
        task: Any = asyncio.current_task()
        try:
            await rest
        finally:
            self._tasks.discard(task)
            if not exchange.response_complete:  # gone, or a bug of ours: nothing may follow
                self.transport.close()

    def answered(self) -> None:
        """It may stay for another one."""
        if self.transport.is_closing():
            return
        self.head.wait()
        self._crowd.answered(self)
        self.resume_reading()
        self._go_on()

    def _pause_reading(self) -> None:
        if self._reads and not self.transport.is_closing():
            self._reads = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reads:
            self._reads = True
            self.transport.resume_reading()

    # For the crowd.

    @property
    def waits(self) -> bool:
        return awaits_caller(self.cycle)

    def late(self, now: float) -> bool:
        return not is_open(self.cycle) and self.head.late(now)


def warn(what: str) -> None:
    """As a line of uvicorn's: `gateway.logs` bounds those, for anybody can cause them."""
    logging.getLogger("uvicorn.error").warning(what)
