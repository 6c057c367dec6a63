"""One request of a provider and its answer: for the edge, and for its connection (uvicorn's "cycle").

The usual request is whole before anybody looks at it: then nothing here waits.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, Protocol

from gateway.adapters.http.responses import Response
from gateway.core.request import Headers

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Disconnected(Exception):  # noqa: N818 - an outcome
    """The caller went away before its request was whole."""


class Connection(Protocol):
    """What an exchange needs of the connection that it came on. `peer`: the address of who calls."""

    peer: str | None
    transport: asyncio.Transport

    def resume_reading(self) -> None:
        """More of the body is wanted."""

    def answered(self) -> None:
        """The answer has been written."""

    def see_through(self, exchange: "Exchange", rest: Coroutine[Any, Any, None]) -> None:
        """Its answer comes at the end of `rest`, which has to be awaited."""


class Exchange:
    """`query` is raw. `asks`: the caller sends its body only after it was told to go on.

    Bytes of body: `waiting` are those that nobody has asked for yet, `size` those that the edge holds.
    `response_complete`, `more_body` and `keep_alive` are uvicorn's words, whose cycles have them too.
    """

    __slots__ = (
        "_asks",
        "_come",
        "_connection",
        "_gone",
        "_pieces",
        "headers",
        "keep_alive",
        "method",
        "more_body",
        "path",
        "query",
        "response_complete",
        "size",
        "waiting",
    )

    def __init__(
        self,
        connection: Connection,
        method: str,
        path: str,
        query: bytes,
        headers: Headers,
        *,
        keep_alive: bool = True,
        asks: bool = False,
    ) -> None:
        self._connection = connection
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.keep_alive = keep_alive
        self.more_body = True
        self.response_complete = False
        self.size = 0
        self.waiting = 0
        self._asks = asks
        self._gone = False
        self._pieces: list[bytes] = []
        self._come: asyncio.Event | None = None

    @property
    def peer(self) -> str | None:
        return self._connection.peer

    def whole(self) -> bytes | None:
        """The body, if all of it is here. None: `piece` by `piece`."""
        return None if self.more_body or self._asks else self._taken()

    async def piece(self) -> bytes:
        """What has come since; b"" at the end. Raises Disconnected.

        Nothing more is read from the connection while too much lies here that nobody has asked for.
        """
        if self._asks and not self._connection.transport.is_closing():
            self._connection.transport.write(CONTINUE)
        self._asks = False
        while not self._gone and self.more_body and not self._pieces:
            self._come = asyncio.Event()
            self._connection.resume_reading()
            await self._come.wait()
        if self._gone:
            raise Disconnected
        return self._taken()

    def go_on(self, rest: Coroutine[Any, Any, None]) -> None:
        """Its answer comes at the end of `rest`."""
        self._connection.see_through(self, rest)

    def answer(self, response: Response) -> None:
        """In one write. Who is gone gets none."""
        self.response_complete = True
        last = response.closes or not self.keep_alive
        transport = self._connection.transport
        if not transport.is_closing():
            transport.write(response.wire(last=last, bare=self.method == "HEAD"))
            if last:
                transport.close()
        self._connection.answered()

    def drop(self) -> None:
        """Closes the connection, unless it has its answer."""
        if not self.response_complete:
            self._connection.transport.close()

    # From here on: for the connection.

    def came(self, body: bytes) -> None:
        self._pieces.append(body)
        self.waiting += len(body)
        self._wake()

    def ended(self) -> None:
        """All of it has come."""
        self.more_body = False
        self._wake()

    def lost(self) -> None:
        """The caller is gone."""
        self._gone = True
        self._wake()

    def _taken(self) -> bytes:
        pieces, self._pieces, self.waiting = self._pieces, [], 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _wake(self) -> None:
        if self._come:
            self._come.set()
