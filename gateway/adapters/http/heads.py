"""What the head of a request may cost before the edge sees it: uvicorn bounds neither size nor time.

One connection with an endless header would eat the memory; many that send half a head, or nothing,
and wait would eat the file descriptors (see also `crowd.py`). The rules of both ports: the providers'
(`wire.py`) and the admin one (`asgi.py`).
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

TOO_LARGE: Final = b'{"error":"headers too large"}'
REFUSAL: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
) % (len(TOO_LARGE), TOO_LARGE)


class Head:
    """The one that a connection is at, or waits for. It may have about `most` bytes. It is late when it
    is not whole after `seconds`, and so is one that never begins, or `idle` seconds after an answer.

    `unfinished`: the next byte belongs to it. `fresh`: nothing was ever sent. `clock`: the loop's.
    """

    __slots__ = (
        "_begun",
        "_clock",
        "_idle",
        "_most",
        "_seconds",
        "_since",
        "_size",
        "fresh",
        "unfinished",
    )

    def __init__(self, most: int, seconds: float, idle: float, clock: Callable[[], float]) -> None:
        self._most = most
        self._seconds = seconds
        self._idle = idle
        self._clock = clock
        self._since = clock()
        self._size = 0
        self._begun = False
        self.unfinished = True
        self.fresh = True

    def next_read(self) -> None:
        """Before it is parsed."""
        self._begun = False

    def begin(self) -> None:
        self.unfinished, self.fresh, self._begun = True, False, True

    def end(self) -> None:
        self.unfinished = False

    def wait(self) -> None:
        """For another one, after an answer."""
        self._since = self._clock()

    def too_large(self, size: int) -> bool:
        """After a read of so many bytes was parsed."""
        if not self.unfinished:
            return False
        if self._begun:  # in this read, perhaps behind the end of another request
            self._since, self._size = self._clock(), 0
            return False
        self._size += size
        return self._size > self._most

    def late(self, now: float) -> bool:
        return now >= self._since + (self._seconds if self.unfinished else self._idle)


def is_open(cycle: Any) -> bool:
    """Whether a request, if there was any, is without its whole answer."""
    return cycle is not None and not cycle.response_complete


def awaits_caller(cycle: Any) -> bool:
    """For a request, or for the rest of one. What is whole and not answered yet is ours to end."""
    return not is_open(cycle) or bool(cycle.more_body)


def refuse(transport: asyncio.Transport, answer: bytes) -> None:
    """The last one on its connection, unless that has ended already."""
    if not transport.is_closing():
        transport.write(answer)
        transport.close()
