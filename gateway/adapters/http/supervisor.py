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
from gateway.adapters.http.leaving import Leaving, listen_for
from gateway.adapters.http.listening import READY
from gateway.adapters.http.server import (
    ADMIN_GRACE_SECONDS,
    Parts,
    admin_for,
    say_when_serving,
    spools,
    uvicorn_server,
)
from gateway.adapters.http.succession import Succession, first_byte
from gateway.adapters.ledger.marker import Marker
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.faults import ConfigError
from gateway.logs import logger

RESTART_SECONDS: Final = 1.0


class NotServingError(Exception):
    """A child ended before all of them served, while a gateway waited for us to take its place."""


def run_supervisor(
    parts: Parts,
    sock: socket.socket,
    admin: socket.socket,
    many: int,
    *,
    succession: Succession | None = None,
    succeeds: bool = False,
) -> None:
    """Serves until SIGTERM or SIGINT. `succession`: SIGUSR2 replaces us and all children.

    `succeeds`: another gateway waits until we serve. Raises NotServingError when a child cannot.
    """
    asyncio.run(_Supervisor(parts, sock, many, succeeds=succeeds).run(admin, succession))


class _Supervisor:
    def __init__(self, parts: Parts, sock: socket.socket, many: int, *, succeeds: bool = False) -> None:
        self._parts = parts
        self._sock = sock
        self._many = many
        self._succeeds = succeeds
        self._failed = False
        self._reloads = 0
        self._children: set[asyncio.subprocess.Process] = set()
        self._ready: set[asyncio.subprocess.Process] = set()
        self._app = parts.app
        self._stopping = asyncio.Event()
        # Its other end is in this process only: when we are gone, however, the children read its end.
        self._alive, self._mine = os.pipe()

    async def run(self, admin: socket.socket, succession: Succession | None) -> None:
        settings = self._app.config.settings
        client = async_client(self._parts.url, settings.redis.timeout)
        # The children keep on disk; whether there is room, each of them says on the gateway's port.
        readiness = Readiness(
            client,
            settings.redis.durability,
            spool=lambda: spools(self._app),
            replicas=settings.redis.awaited_replicas,
            marker=Marker(client, Keys(self._app.prefix)),
        )
        beside = admin_for(self._app, client, readiness, lambda: self._app)
        server = uvicorn_server(beside, settings.server, ADMIN_GRACE_SECONDS)
        drain = settings.server.drain or 0.0
        self._leaving = Leaving([server], readiness, drain, succession, self._pass_on)
        listen_for(self._leaving, self._reload)
        self._serving = asyncio.Semaphore(0)
        telling = asyncio.create_task(self._say_when_serving())
        watching = asyncio.create_task(readiness.watch())
        keepers = [self._keep_one() for _ in range(self._many)]
        await asyncio.gather(server.serve(sockets=[admin]), *keepers)
        telling.cancel()
        watching.cancel()
        await client.aclose()
        if self._failed:
            raise NotServingError

    async def _say_when_serving(self) -> None:
        for _ in range(self._many):
            await self._serving.acquire()
        self._succeeds = False
        await say_when_serving([])

    async def _keep_one(self) -> None:
        """One child at a time, for as long as we run."""
        while not self._stopping.is_set():
            reading, writing = os.pipe()
            reloads = self._reloads
            child = await self._bear(writing)
            os.close(writing)
            self._children.add(child)
            if self._stopping.is_set():  # told to stop while it was being born: nobody told the child
                child.terminate()
            await self._attend(child, reading)
            if reloads != self._reloads:  # it may have read the files before
                self._tell(child, signal.SIGHUP)
            status = await child.wait()
            self._children.discard(child)
            self._ready.discard(child)
            if not self._stopping.is_set():
                logger().error("gateway.child_died", pid=child.pid, status=status)
                await self._after_a_death()

    async def _bear(self, ready: int) -> asyncio.subprocess.Process:
        fd = self._sock.fileno()
        environ = {**os.environ, "REDIS_URL": self._parts.url, READY: str(ready)}
        environ.pop("NOTIFY_SOCKET", None)  # that we serve is for us to say
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "serve", "--fd", str(fd)),
            *("--parent", str(self._alive)),
            pass_fds=(fd, self._alive, ready),
            env=environ,
        )

    async def _attend(self, child: asyncio.subprocess.Process, ready: int) -> None:
        """Until it serves, or has ended."""
        try:
            if await first_byte(ready, None):
                self._ready.add(child)
                self._serving.release()
        finally:
            os.close(ready)

    async def _after_a_death(self) -> None:
        if self._succeeds:
            self._failed = True
            self._leaving.stop(signal.SIGINT)
        else:
            await asyncio.sleep(RESTART_SECONDS)

    def _reload(self) -> None:
        try:
            self._app = self._parts.load()
        except ConfigError as error:
            for fault in error.faults:
                logger().error("reload.refused", file=fault.file, key=fault.key, problem=fault.problem)
            return
        self._reloads += 1
        for child in self._ready:
            self._tell(child, signal.SIGHUP)

    def _pass_on(self, number: signal.Signals) -> None:
        """That we leave. The children have the socket: were it ours still, callers would wait in vain
        once the last of them has closed it."""
        self._stopping.set()
        self._sock.close()
        for child in self._children:  # one that does not serve yet knows SIGTERM only
            self._tell(child, number if child in self._ready else signal.SIGTERM)

    def _tell(self, child: asyncio.subprocess.Process, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(number)
