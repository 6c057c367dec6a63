"""When a gateway process stops serving, and in which way; what its signals mean.

A stop says so on /readyz first, and goes on taking connections for `server.drain`: a load balancer
is to look elsewhere before we close. Where a successor has taken our place, nothing is said.
"""

import asyncio
import signal
from collections.abc import Callable, Sequence
from typing import Final

from gateway.adapters.http.health import Readiness
from gateway.adapters.http.parting import Server
from gateway.adapters.http.service_manager import notify
from gateway.adapters.http.succession import Succession
from gateway.logs import logger

ECHO_SECONDS: Final = 0.5
"""A terminal or systemd may tell a whole group what its parent tells each: that is one request."""


class Leaving:
    """`drain` in seconds. `pass_on` gives a signal to the children, of a process that has some."""

    def __init__(
        self,
        servers: Sequence[Server],
        readiness: Readiness,
        drain: float,
        succession: Succession | None = None,
        pass_on: Callable[[signal.Signals], None] = lambda _: None,
    ) -> None:
        self._servers = servers
        self._readiness = readiness
        self._drain = drain
        self._succession = succession
        self._pass_on = pass_on
        self._asked_at: float | None = None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """The first time: within the grace. The second time: at once."""
        loop = asyncio.get_running_loop()
        if self._asked_at is not None:
            if loop.time() >= self._asked_at + ECHO_SECONDS:
                self._pass_on(number)
                self._close(force=True)
            return
        self._asked_at = loop.time()
        self._pass_on(number)
        notify("STOPPING=1")
        self._readiness.draining = True
        for server in self._servers:
            server.handed_on = False
            server.part()
        # SIGINT is somebody at a terminal: no balancer looks.
        drain = self._drain if number is signal.SIGTERM else 0.0
        if drain:
            logger().info("gateway.draining", seconds=drain)
        loop.call_later(drain, self._close)

    def replace(self) -> None:
        """Leaves once a successor serves; stays if none does."""
        if self._succession and self._asked_at is None:
            self._succession.begin(self.hand_on)

    def hand_on(self) -> None:
        """A successor serves. Nobody waits for us: idle connections stay until an answer ends them."""
        self._pass_on(signal.SIGUSR2)
        for server in self._servers:
            server.handed_on = True
        self._close()

    def _close(self, *, force: bool = False) -> None:
        if self._succession:
            self._succession.give_up()
        for server in self._servers:
            server.should_exit = True
            server.force_exit = force or server.force_exit


def listen_for(leaving: Leaving, reload: Callable[[], None]) -> None:
    """From now on signals are ours."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leaving.stop, number)
    loop.add_signal_handler(signal.SIGHUP, reload)
    loop.add_signal_handler(signal.SIGUSR2, leaving.replace)


def listen_as_child(leaving: Leaving, reload: Callable[[], None], parent: int) -> None:
    """One of several: our parent starts successors, and says when they serve.

    When it is killed nobody could tell us to stop, and we would keep the port from those who come
    after: the end of its pipe is told as a signal is.
    """
    listen_for(leaving, reload)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR2, leaving.hand_on)

    def orphaned() -> None:
        loop.remove_reader(parent)
        logger().error("gateway.orphaned")
        leaving.stop(signal.SIGINT)

    loop.add_reader(parent, orphaned)
