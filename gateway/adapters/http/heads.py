"""What the head of a request may cost before the edge sees it: uvicorn bounds neither size nor time.

One connection with an endless header would eat the memory; many that send half a head, or nothing,
and wait would eat the file descriptors (see also `crowd.py`).
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.adapters.http.crowd import Crowd

TOO_LARGE: Final = b'{"error":"headers too large"}'
REFUSAL: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
) % (len(TOO_LARGE), TOO_LARGE)


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's protocol. A head beyond `most` bytes gets a 431; one that is not whole after
    `seconds` gets its connection closed, and so does a connection that never begins one.
    `crowd`: of all connections of this server."""

    def __init__(self, *args: Any, most: int, seconds: float, crowd: Crowd, **options: Any) -> None:
        super().__init__(*args, **options)
        self._crowd = crowd
        self._most = most
        self._seconds = seconds
        self._size = 0
        self._since = self.loop.time()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def _open(self) -> bool:
        """Whether the next byte belongs to a head: uvicorn knows the method once one is whole."""
        return self.scope is None or "method" not in self.scope

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's
        super().connection_made(transport)
        self._crowd.join(self)
        self._alarm = self.loop.call_later(self._seconds, self._judge)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._alarm:
            self._alarm.cancel()
        self._crowd.leave(self)
        super().connection_lost(exc)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Those behind a chunked body are dropped: uvicorn would put them among the head's, past every
        bound, and past a proxy that has appended the client's address there."""
        if self._open:
            super().on_header(name, value)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._crowd.answered(self)

    @property
    def waits(self) -> bool:
        """For a request, or for the rest of one. What is whole and not answered yet is ours to end."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def drop(self) -> None:
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        before = self.scope
        super().data_received(data)
        if not self._open:
            return
        if self.scope is not before:  # begun in here, perhaps behind the end of another request
            self._since, self._size = self.loop.time(), 0
            return
        self._size += len(data)
        if self._size > self._most and not self.transport.is_closing():
            self.transport.write(REFUSAL)
            self.transport.close()

    def _judge(self) -> None:
        """Looks again when the head that is open now, or the next one, can be late."""
        now = self.loop.time()
        late = self._since + self._seconds
        answering = self.cycle is not None and not self.cycle.response_complete
        if self._open and now >= late and not answering:
            self.transport.close()
            return
        again = late if self._open and late > now else now + self._seconds
        self._alarm = self.loop.call_at(again, self._judge)
