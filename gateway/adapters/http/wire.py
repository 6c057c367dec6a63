"""Webhooks below ASGI: the protocol of the port that providers call.

uvicorn listens, parses and refuses what is no HTTP, and gives the health checks to their ASGI app. All
other requests go to the edge from here: a scope, a task that waits for the body, an event, messages
and a write for each part of the answer would cost a request as much as everything that it is for.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from gateway.adapters.http.edge import Edge
from gateway.adapters.http.exchange import Exchange
from gateway.adapters.http.heads import BoundedHeads
from gateway.core.request import Headers

HEALTH_PATHS: Final = ("/livez", "/readyz")


class Wire(BoundedHeads):
    """A request is begun once its bytes of one read are parsed: the usual one is whole then, and often
    answered before this returns. Those that come together wait in uvicorn's `pipeline`.

    Who does not read its answers is not served either: while some wait to be sent, none is begun.
    """

    cycle: Any
    pipeline: Any

    def __init__(self, *args: Any, edge: Edge, **options: Any) -> None:
        super().__init__(*args, **options)
        self._edge = edge
        self._goes_on = False
        self._current: Any = None
        """Whose answer is the next one: an exchange, or uvicorn's cycle of a health check."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.pipeline:
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(self.cycle, Exchange):
            self.cycle.lost()
            self.cycle = None  # uvicorn would tell it in its own way
        self._current = None  # knows us: only the garbage collector would find the two
        self.pipeline.clear()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._go_on()

    # The parser's calls. It takes an error in one for a malformed request: so nothing is decided here.

    def on_message_begin(self) -> None:
        self.in_head, self.fresh, self._begun = True, False, True
        self.url, self.headers = b"", []

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_head:  # as in BoundedHeads
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.in_head = False
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        path = unquote(path) if "%" in path else path
        if path in HEALTH_PATHS:
            self._as_asgi()
            return
        headers = Headers(tuple(self.headers))
        keeps = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        self.cycle = Exchange(
            self,
            self.parser.get_method().decode("ascii"),
            path,
            url.query or b"",
            headers,
            keep_alive=keeps and not self.server_state.parting,
            asks=any(each.lower() == b"100-continue" for each in headers.all(b"expect")),
        )
        self.pipeline.appendleft((self.cycle, None))

    def on_body(self, body: bytes) -> None:
        if not isinstance(self.cycle, Exchange):
            super().on_body(body)
        elif not self.cycle.response_complete:
            self.cycle.came(body)
            if self.cycle.waiting > HIGH_WATER_LIMIT:
                self.flow.pause_reading()

    def on_message_complete(self) -> None:
        if isinstance(self.cycle, Exchange):
            self.cycle.ended()
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Of a health check."""
        self.answered()

    def answered(self) -> None:
        super().answered()
        if self.pipeline:
            self._go_on()

    def _as_asgi(self) -> None:
        """In uvicorn's own way, which begins before anybody knows the path."""
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        self.headers.extend(headers)  # which the scope has already
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._current = cycle
        super()._start_asgi_task(cycle, app)

    @property
    def _free(self) -> bool:
        if self._current is not None and not self._current.response_complete:
            return False
        return not (self.flow.write_paused or self.transport.is_closing())

    def _go_on(self) -> None:
        """Begins what has come, one after the other; while any waits, nothing is read."""
        if self._goes_on:  # an answer that was given at once
            return
        self._goes_on = True
        try:
            while self.pipeline and self._free:
                self._begin(*self.pipeline.pop())
        finally:
            self._goes_on = False
        if self.pipeline:
            self.flow.pause_reading()

    def _begin(self, cycle: Any, app: Any) -> None:
        if app:
            self._start_asgi_task(cycle, app)
            return
        self._current = cycle
        if rest := self._edge.answer(cycle):
            self.see_through(cycle, rest)

    def see_through(self, exchange: Exchange, rest: Coroutine[Any, Any, None]) -> None:
        self.tasks.add(self.loop.create_task(self._see_through(exchange, rest)))

    async def _see_through(self, exchange: Exchange, rest: Coroutine[Any, Any, None]) -> None:
        try:
            await rest
        finally:
            self.tasks.discard(asyncio.current_task())
            if not exchange.response_complete:  # gone, or a bug of ours: nothing may follow
                self.transport.close()
