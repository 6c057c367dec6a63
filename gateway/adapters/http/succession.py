"""SIGUSR2: a fresh process takes our place, with the code and configuration of now, on our sockets.

It is told by descriptors that stay open across exec. We go on serving until it says that it serves; one
that ends before, or says nothing, leaves all as it was. Both accept for a moment: nobody is refused.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Final

from gateway.adapters.http.listening import HANDOVER, READY
from gateway.adapters.http.service_manager import notify
from gateway.logs import logger

PATIENCE_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.02
END_SECONDS: Final = 10.0


class Succession:
    """At most one successor at a time. `sockets`: the gateway's, and the admin port's."""

    def __init__(self, *sockets: socket.socket) -> None:
        # Of our own: whoever serves on the others closes them.
        self._sockets = [sock.dup() for sock in sockets]
        self._command = [sys.executable, "-m", "gateway", *sys.argv[1:]]
        self._under_way: asyncio.Task[None] | None = None

    def begin(self, taken: Callable[[], None]) -> None:
        """`taken` is called once a successor serves."""
        if os.getpid() == 1:
            problem = "process 1 of a container cannot be replaced: start a new container beside it"
            logger().error("replace.refused", problem=problem)
        elif self._sockets and self._under_way is None:
            self._under_way = asyncio.create_task(self._succeed(taken))

    def give_up(self) -> None:
        """There will be no successor: ends one that does not serve yet, and closes the sockets.

        Once we take no more connections, a socket of ours would let callers in whom nobody serves.
        """
        if self._under_way:
            self._under_way.cancel()
        while self._sockets:
            self._sockets.pop().close()

    async def _succeed(self, taken: Callable[[], None]) -> None:
        reading, writing = os.pipe()
        try:
            child = self._start(writing)
        finally:
            os.close(writing)
        logger().info("replace.started", pid=child.pid)
        try:
            serves = await first_byte(reading, PATIENCE_SECONDS)
        except asyncio.CancelledError:
            child.terminate()
            raise
        finally:
            os.close(reading)
        if not serves:
            await _end(child)
        self._under_way = None
        if serves:
            notify(f"MAINPID={child.pid}")
            logger().info("replace.done", pid=child.pid)
            taken()
        else:
            problem = "the new process does not serve, its own lines say why; this one goes on"
            logger().error("replace.failed", pid=child.pid, status=child.returncode, problem=problem)

    def _start(self, ready: int) -> "subprocess.Popen[bytes]":
        """Not asyncio's: that ends its children when we end."""
        fds = [sock.fileno() for sock in self._sockets]
        told = {HANDOVER: ",".join(map(str, fds)), READY: str(ready)}
        return subprocess.Popen(self._command, pass_fds=(*fds, ready), env={**os.environ, **told})


async def first_byte(pipe: int, seconds: float | None) -> bool:
    """Whether one comes before the other end is closed, and in time."""
    loop = asyncio.get_running_loop()
    news = asyncio.Event()
    loop.add_reader(pipe, news.set)
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(pipe)
    return bool(os.read(pipe, 1))


async def _end(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    looks = round(END_SECONDS / LOOK_SECONDS)
    for _ in range(looks):
        if child.poll() is not None:
            return
        await asyncio.sleep(LOOK_SECONDS)
    child.kill()
    child.wait()
