"""Several gateway processes on one socket, and the admin app beside them.

The parent holds the listening socket, so that no connection is refused while a child restarts. It
replaces children that die, passes SIGHUP on once the new configuration has been found good, and
stops them all on SIGTERM.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from typing import Final

from gateway.adapters.http.health import Readiness
from gateway.adapters.http.server import (
    ADMIN_GRACE_SECONDS,
    Parts,
    admin_for,
    spools,
    uvicorn_server,
)
from gateway.adapters.ledger.redis_clients import async_client
from gateway.faults import ConfigError
from gateway.logs import logger

RESTART_SECONDS: Final = 1.0


def run_supervisor(parts: Parts, sock: socket.socket, admin: socket.socket, many: int) -> None:
    """Serves until SIGTERM or SIGINT."""
    asyncio.run(_Supervisor(parts, sock, many).run(admin))


class _Supervisor:
    def __init__(self, parts: Parts, sock: socket.socket, many: int) -> None:
        self._parts = parts
        self._sock = sock
        self._many = many
        self._children: set[asyncio.subprocess.Process] = set()
        self._app = parts.app
        self._stopping = asyncio.Event()
        # Its other end is in this process only: when we are gone, however, the children read its end.
        self._alive, self._mine = os.pipe()

    async def run(self, admin: socket.socket) -> None:
        settings = self._app.config.settings
        client = async_client(self._parts.url, settings.redis.timeout)
        # The children keep on disk; whether there is room, each of them says on the gateway's port.
        readiness = Readiness(client, settings.redis.durability, spool=lambda: spools(self._app))
        beside = admin_for(self._app, client, readiness, lambda: self._app)
        server = uvicorn_server(beside, settings.server, ADMIN_GRACE_SECONDS)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        keepers = [asyncio.create_task(self._keep_one()) for _ in range(self._many)]
        serving = asyncio.create_task(server.serve(sockets=[admin]))
        await self._stopping.wait()
        readiness.draining = server.should_exit = True
        self._signal(signal.SIGTERM)
        await asyncio.gather(serving, *keepers)
        await client.aclose()

    async def _keep_one(self) -> None:
        """One child at a time, for as long as we run."""
        fd = self._sock.fileno()
        environ = {**os.environ, "REDIS_URL": self._parts.url}
        while not self._stopping.is_set():
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway", "serve", "--fd", str(fd)),
                *("--parent", str(self._alive)),
                pass_fds=(fd, self._alive),
                env=environ,
            )
            self._children.add(child)
            if self._stopping.is_set():  # told to stop while it was being born: nobody told the child
                child.terminate()
            status = await child.wait()
            self._children.discard(child)
            if not self._stopping.is_set():
                logger().error("gateway.child_died", pid=child.pid, status=status)
                await asyncio.sleep(RESTART_SECONDS)

    def _reload(self) -> None:
        try:
            self._app = self._parts.load()
        except ConfigError as error:
            for fault in error.faults:
                logger().error("reload.refused", file=fault.file, key=fault.key, problem=fault.problem)
            return
        self._signal(signal.SIGHUP)

    def _signal(self, number: signal.Signals) -> None:
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)
