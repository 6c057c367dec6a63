"""A TCP proxy before a real server that knows where one command ends, and harms one of them.

It counts the commands of all connections and names each by what it does and how often that was seen:
`finish#2` is the second call of the ledger's finish script. Names, and not only numbers: which thread
of a worker speaks first is chance, what its second finish means is not.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from hiredis import Reader, pack_command

from gateway.adapters.ledger import scripts

NOT_WHOLE: Final = object()
SHAS: Final = {
    each.sha: name.lower() for name, each in vars(scripts).items() if isinstance(each, scripts.Script)
}
TEXTS: Final = {
    each.text: name.lower() for name, each in vars(scripts).items() if isinstance(each, scripts.Script)
}
TWO_WORDS: Final = ("CLIENT", "CONFIG", "SCRIPT")
UNKNOWN_SHA: Final = b"0" * 40
REPLY_SECONDS: Final = 5.0


class Fault(StrEnum):
    """What becomes of the command."""

    BEFORE = "before"  # the connection is cut, and the server has not got it
    AFTER = "after"  # the server has carried it out, and its reply is lost
    DELAY = "delay"  # it gets there, later than its sender waits
    HALF_OPEN = "half-open"  # it, and what follows, is swallowed; the connection stays


@dataclass(frozen=True, slots=True)
class Spot:
    """The `nth` command of this name, from 1."""

    name: str
    nth: int

    def __str__(self) -> str:
        return f"{self.name}#{self.nth}"

    @classmethod
    def parse(cls, text: str) -> Self:
        name, _, nth = text.rpartition("#")
        return cls(name, int(nth))


@dataclass(frozen=True, slots=True)
class Harm:
    """`strike` is called with the client's port at the moment of the fault. `delay` in seconds."""

    spot: Spot
    fault: Fault
    strike: Callable[[int], None]
    delay: float


def name_of(command: list[bytes]) -> str:
    """A script of the ledger by its own name, any other command by Redis'."""
    word = command[0].decode().upper()
    if word == "EVALSHA":
        return SHAS.get(command[1].decode(), word)
    if word == "EVAL":
        return "load-" + TEXTS[command[1].decode()] if command[1].decode() in TEXTS else word
    return f"{word}-{command[1].decode().upper()}" if word in TWO_WORDS else word


@dataclass(slots=True)
class Link:
    """One connection: the client's side and the server's."""

    port: int
    down: asyncio.StreamWriter
    up: asyncio.StreamWriter
    sent: int = 0
    replies: int = 0
    mute: bool = False  # what the server says gets lost
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self) -> None:
        for side in (self.down, self.up):
            side.transport.abort()

    async def replied(self) -> None:
        """Until the server has answered all that was sent."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REPLY_SECONDS):
                while self.replies < self.sent:
                    self.news.clear()
                    await self.news.wait()


class Proxy:
    """Listens on `port` for the server at the unix socket `upstream`; harms at most once.

    `forgetful`: the first call of each script finds it unknown, as after a restart of the server.

    async with Proxy(socket, harm) as proxy: ...
    """

    def __init__(self, upstream: str, harm: Harm | None = None, *, forgetful: bool = False) -> None:
        self.seen: Counter[str] = Counter()
        self.struck_at = 0  # the number of the command, from 1; 0: not yet
        self.port = 0
        self._upstream = upstream
        self._harm = harm
        self._forgetful = forgetful
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.sleep(0)  # who was let in just now is told to `_accept` by the loop's next turn
        tasks = dict(self._tasks)
        for task, writer in tasks.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._server.is_serving():
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks[task] = writer
        task.add_done_callback(self._tasks.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):  # the server is away, or has no room for one more
                await self._link_up(reader, writer)
        finally:
            writer.transport.abort()

    async def _link_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self._upstream)
        link = Link(writer.get_extra_info("peername")[1], writer, up_writer)
        back = asyncio.create_task(self._pass_back(link, up_reader))
        try:
            await self._pass_on_all(link, reader)
        finally:
            back.cancel()
            link.cut()

    async def _pass_back(self, link: Link, reader: asyncio.StreamReader) -> None:
        replies = Reader(notEnoughData=NOT_WHOLE)
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                replies.feed(data)
                while replies.gets() is not NOT_WHOLE:
                    link.replies += 1
                if not link.mute:
                    link.down.write(data)
                link.news.set()
        link.cut()

    async def _pass_on_all(self, link: Link, reader: asyncio.StreamReader) -> None:
        commands = Reader(notEnoughData=NOT_WHOLE)
        while data := await reader.read(65536):
            commands.feed(data)
            while (command := commands.gets()) is not NOT_WHOLE:
                await self._pass_on(link, command)

    async def _pass_on(self, link: Link, command: Any) -> None:
        name = name_of(command)
        self.seen[name] += 1
        if self._forgetful and name in SHAS.values() and self.seen[name] == 1:
            command = [command[0], UNKNOWN_SHA, *command[2:]]
        harm = self._harm
        if harm and not self.struck_at and harm.spot == Spot(name, self.seen[name]):
            self.struck_at = self.seen.total()
            await self._harm_it(link, command, harm)
        else:
            _forward(link, command)

    async def _harm_it(self, link: Link, command: Any, harm: Harm) -> None:
        if harm.fault is Fault.AFTER:
            link.mute = True
            _forward(link, command)
            await link.replied()
        harm.strike(link.port)
        match harm.fault:
            case Fault.BEFORE | Fault.AFTER:
                link.cut()
            case Fault.DELAY:
                await asyncio.sleep(harm.delay)
                _forward(link, command)
            case Fault.HALF_OPEN:
                link.up.transport.abort()
                link.mute = True


def _forward(link: Link, command: Any) -> None:
    link.sent += 1
    if not link.up.is_closing():
        link.up.write(pack_command(tuple(command)))
