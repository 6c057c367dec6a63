"""uvicorn's server, with a way to stop that breaks off nobody: see `shutdown`.

What nobody can mend: a caller that writes into an idle connection in the very moment in which we close
it. So while there is time, connections are ended by an answer that says `connection: close`.
"""

import asyncio
import contextlib
import select
import socket
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Any, Final

import uvicorn
from uvicorn.server import ServerState

from gateway.adapters.http.heads import is_open

TICK_SECONDS: Final = 0.02
FRESH_SECONDS: Final = 2.0
"""How long a connection that has sent nothing yet is waited for: its request may be on the way."""
CANCEL_SECONDS: Final = 1.0
MOST_TAKEN_IN: Final = 4096


class Phase(Enum):
    """Where a connection is between two requests."""

    FRESH = auto()  # nothing was ever sent
    ARRIVING = auto()  # a part of a head
    OPEN = auto()  # a request without its whole answer
    IDLE = auto()


def phase_of(connection: Any) -> Phase:
    if is_open(connection.cycle):
        return Phase.OPEN
    if connection.head.fresh:
        return Phase.FRESH
    return Phase.ARRIVING if connection.head.unfinished else Phase.IDLE


class State(ServerState):
    """What uvicorn's connections share. `parting`: every answer is the last one on its connection."""

    parting = False


class Server(uvicorn.Server):
    """Signals are ours: uvicorn would raise them again after it has stopped, past our clean-up.

    `grace`: seconds that open requests may take once it is told to stop. `break_off` then answers those
    that no task does.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        grace: float,
        break_off: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._answer_the_open = break_off
        self.server_state: State = State()
        self.grace = grace
        self.serving = asyncio.Event()
        self.handed_on = False
        """Whether a successor serves: nobody waits for us, and idle connections may stay a while."""
        self._spares: list[socket.socket] = []

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._spares = [sock.dup() for sock in sockets or []]
        await super().startup(sockets=sockets)
        self.serving.set()

    def part(self) -> None:
        """From now on each answer ends its connection; new ones are still taken."""
        if self.server_state.parting or not self.serving.is_set():
            return
        self.server_state.parting = True
        for connection in self._connections():
            if connection.cycle is not None:
                connection.cycle.keep_alive = False

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's
        """Takes no more; then waits, for `grace` at most, until every request has its answer.

        A request counts from the first sign of it: a connection in the backlog, or one that has sent
        nothing yet. What is not answered by then is told to come again.
        """
        for server in self.servers:
            server.close()
        self.part()
        await self._take_in()
        now = asyncio.get_running_loop().time
        began = now()
        while self._busy() and not self.force_exit and now() < began + self.grace:
            self._close_resting(now() - began)
            await asyncio.sleep(TICK_SECONDS)
        await self._break_off()

    async def _take_in(self) -> None:
        """Callers that the kernel has let in already: if we are the last to close, it resets them."""
        loop = asyncio.get_running_loop()
        for spare in self._spares:
            spare.setblocking(False)
            with contextlib.suppress(OSError):  # nobody is left, or too many files are open
                for _ in range(MOST_TAKEN_IN):
                    sock, _ = spare.accept()
                    await loop.connect_accepted_socket(self._protocol, sock)
            spare.close()

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    def _connections(self) -> list[Any]:
        return list(self.server_state.connections)

    def _busy(self) -> bool:
        return bool(self.server_state.connections or self.server_state.tasks)

    def _close_resting(self, seconds: float) -> None:
        """Those that nothing is to be expected of, so many seconds after the end began."""
        if self.handed_on:
            return
        for connection in self._connections():
            phase = phase_of(connection)
            resting = phase is Phase.IDLE or (phase is Phase.FRESH and seconds >= FRESH_SECONDS)
            if resting and not _readable(connection.transport):
                connection.transport.close()

    async def _break_off(self) -> None:
        """The edge answers 503 where it is cancelled."""
        await asyncio.sleep(0)  # what has not begun yet could not answer anything
        self._answer_the_open()
        tasks = set(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
        for connection in self._connections():
            connection.transport.close()


def _readable(transport: asyncio.Transport) -> bool:
    """Whether bytes have come that nobody has read: closing now would reset the connection."""
    fd = transport.get_extra_info("socket").fileno()
    if fd < 0:
        return False
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
