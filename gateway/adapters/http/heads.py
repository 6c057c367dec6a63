"""What the head of a request may cost before the edge sees it: uvicorn bounds neither size nor time.

One connection with an endless header would eat the memory; many that send half a head, or nothing,
and wait would eat the file descriptors (see also `crowd.py`).
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.adapters.http.crowd import Crowd
from gateway.adapters.http.parting import State

TOO_LARGE: Final = b'{"error":"headers too large"}'
REFUSAL: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
) % (len(TOO_LARGE), TOO_LARGE)


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's protocol. A head beyond `most` bytes gets a 431; one that is not whole after
    `seconds` gets its connection closed, and so does a connection that never begins one, or no other
    one after an answer. `crowd`: of all connections of this server, which sees to that.

    `in_head`: the next byte belongs to a head. `fresh`: nothing was ever sent.
    """

    server_state: State

    def __init__(self, *args: Any, most: int, seconds: float, crowd: Crowd, **options: Any) -> None:
        super().__init__(*args, **options)
        self._crowd = crowd
        self._most = most
        self._seconds = seconds
        self._size = 0
        self._since = self.loop.time()
        self._begun = False
        self.in_head = True
        self.fresh = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's
        super().connection_made(transport)
        self._crowd.join(self)
        self._crowd.keep_watch(self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.leave(self)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self.in_head, self.fresh, self._begun = True, False, True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Those behind a chunked body are dropped: uvicorn would put them among the head's, past every
        bound, and past a proxy that has appended the client's address there."""
        if self.in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.in_head = False
        super().on_headers_complete()
        if self.server_state.parting:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """As uvicorn's, but for its timer a request: `judge` ends who stays idle."""
        self.answered()
        if self.pipeline and not self.transport.is_closing():
            self._start_asgi_task(*self.pipeline.pop())

    def answered(self) -> None:
        """It may stay for another one."""
        if self.transport.is_closing():
            return
        self._since = self.loop.time()
        self._crowd.answered(self)
        self.flow.resume_reading()

    @property
    def waits(self) -> bool:
        """For a request, or for the rest of one. What is whole and not answered yet is ours to end."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def drop(self) -> None:
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        self._begun = False
        super().data_received(data)
        if not self.in_head:
            return
        if self._begun:  # in here, perhaps behind the end of another request
            self._since, self._size = self.loop.time(), 0
            return
        self._size += len(data)
        if self._size > self._most and not self.transport.is_closing():
            self.transport.write(REFUSAL)
            self.transport.close()

    def judge(self, now: float) -> None:
        """Closes what is late with its head, or idle for too long; a second late, as it is asked."""
        if self.cycle is not None and not self.cycle.response_complete:
            return
        patience = self._seconds if self.in_head else self.timeout_keep_alive
        if now >= self._since + patience:
            self.transport.close()
