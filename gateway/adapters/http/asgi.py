"""The protocol of the admin port, where all requests go to an ASGI app."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.adapters.http.crowd import Crowd
from gateway.adapters.http.heads import REFUSAL, Head, awaits_caller, is_open, refuse
from gateway.adapters.http.parting import State


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's protocol. A head that is too large gets a 431; where one is late, or no other one
    comes, the connection is closed. `crowd`: of all connections of this server, which sees to that.
    """

    server_state: State

    def __init__(self, *args: Any, most: int, seconds: float, crowd: Crowd, **options: Any) -> None:
        super().__init__(*args, **options)
        self._crowd = crowd
        self.head = Head(most, seconds, self.timeout_keep_alive, self.loop.time)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's
        super().connection_made(transport)
        self._crowd.join(self)
        self._crowd.keep_watch(self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.head.next_read()
        super().data_received(data)
        if self.head.too_large(len(data)):
            refuse(self.transport, REFUSAL)

    def on_message_begin(self) -> None:
        self.head.begin()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Those behind a chunked body are dropped: uvicorn would put them among the head's."""
        if self.head.unfinished:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.head.end()
        super().on_headers_complete()
        if self.server_state.parting:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """As uvicorn's, but for its timer a request: the crowd ends who stays idle."""
        if self.transport.is_closing():
            return
        self.head.wait()
        self._crowd.answered(self)
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    @property
    def waits(self) -> bool:
        return awaits_caller(self.cycle)

    def late(self, now: float) -> bool:
        return not is_open(self.cycle) and self.head.late(now)
