"""A TCP proxy before a server that passes bytes on as they are, and harms what comes next when told to.

`tests/chaos/proxy.py` understands every command and hits an exact one. This one must carry thousands
a second for hours beside what it tests, so it reads a command only when it harms it.
"""

import asyncio
import re
from collections import Counter, deque
from enum import StrEnum
from typing import Final, cast

from tests.chaos.proxy import SHAS

REPLY_SECONDS: Final = 5.0
WORD: Final = re.compile(rb"\*\d+\r\n\$\d+\r\n([A-Za-z]+)\r\n")
GREETINGS: Final = ("HELLO", "CLIENT", "AUTH", "SELECT")
SHA: Final = re.compile(rb"\$40\r\n([0-9a-f]{40})\r\n")


class Harm(StrEnum):
    """What becomes of the next command."""

    BEFORE = "before"  # the connection is cut, and the server has not got it
    TORN = "torn"  # the server gets the first half of it, then the end of the connection
    AFTER = "after"  # the server has carried it out, and its reply is lost
    DELAY = "delay"  # it gets there later than its sender waits
    HALF_OPEN = "half-open"  # it, and what follows, is swallowed; the connection stays


def name_of(data: bytes) -> str:
    """Of a script its own name, else Redis' word; `?` for what does not begin a command."""
    found = WORD.match(data)
    if not found:
        return "?"
    word = found[1].decode().upper()
    sha = SHA.search(data) if word == "EVALSHA" else None
    return SHAS.get(sha[1].decode(), word) if sha else word


class _Up(asyncio.Protocol):
    """The server's side of a connection."""

    def __init__(self, down: "_Down") -> None:
        self._down = down

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._down.opened(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        self._down.replied(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._down.lost_server()


class _Down(asyncio.Protocol):
    """The client's side. What it sends before the server is reached, or while it is held, waits."""

    def __init__(self, wire: "Wire") -> None:
        self._wire = wire
        self._down: asyncio.Transport | None = None
        self._up: asyncio.Transport | None = None
        self._held: list[bytes] | None = []  # None: goes through at once
        self._swallows = self._ends_at_reply = self._half_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._down = cast(asyncio.Transport, transport)
        self._wire.links.add(self)
        self._task = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_unix_connection(lambda: _Up(self), self._wire.upstream)
        except OSError:
            self.cut()

    def opened(self, up: asyncio.Transport) -> None:
        self._up = up
        if self._down is None or self._down.is_closing():
            up.abort()
        else:
            self._release()

    def data_received(self, data: bytes) -> None:
        if self._swallows:
            return
        harm = self._wire.take(data) if self._held is None else None
        if harm is not None:
            self._suffer(harm, data)
        elif self._held is not None:
            self._held.append(data)
        elif self._up is not None:
            self._up.write(data)

    def _suffer(self, harm: Harm, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        assert self._up is not None
        match harm:
            case Harm.BEFORE:
                self.cut()
            case Harm.TORN:
                self._up.write(data[: max(1, len(data) // 2)])
                self._up.close()  # once that is written
                self._swallows = True
            case Harm.AFTER:
                self._ends_at_reply = True
                self._up.write(data)
                loop.call_later(REPLY_SECONDS, self.cut)
            case Harm.DELAY:
                self._held = [data]
                loop.call_later(self._wire.delay, self._release)
            case Harm.HALF_OPEN:
                self._swallows = self._half_open = True
                self._up.abort()

    def _release(self) -> None:
        held, self._held = self._held, None
        if held and self._up is not None and not self._up.is_closing():
            self._up.write(b"".join(held))

    def replied(self, data: bytes) -> None:
        if self._ends_at_reply:
            self.cut()
        elif self._down is not None:
            self._down.write(data)

    def lost_server(self) -> None:
        self._up = None
        if self._down is not None and not self._half_open:
            self._down.abort()

    def cut(self) -> None:
        for side in (self._down, self._up):
            if side is not None:
                side.abort()

    def connection_lost(self, _: Exception | None) -> None:
        self._wire.links.discard(self)
        self.cut()


class Wire:
    """Listens on `port` for the server at the unix socket `upstream`. `delay` in seconds.

    async with Wire(socket, 0.8) as wire: wire.harm(Harm.TORN)
    """

    def __init__(self, upstream: str, delay: float) -> None:
        self.upstream = upstream
        self.delay = delay
        self.port = 0
        self.hits: Counter[str] = Counter()
        self.links: set[_Down] = set()
        self._due: deque[tuple[Harm, bool]] = deque()

    async def __aenter__(self) -> "Wire":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Down(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for link in list(self.links):
            link.cut()

    def harm(self, harm: Harm, *, greeting: bool = False) -> None:
        """The next command of anybody; `greeting`: even if it only opens a connection. Else faults
        would mostly hit what they themselves bring about."""
        self._due.append((harm, greeting))

    def forget(self) -> None:
        """What was to be harmed, and was not yet."""
        self._due.clear()

    def take(self, data: bytes) -> Harm | None:
        """What becomes of these bytes."""
        if not self._due or ((name := name_of(data)) in GREETINGS and not self._due[0][1]):
            return None
        harm, _ = self._due.popleft()
        self.hits[f"{harm} {name}"] += 1
        return harm
