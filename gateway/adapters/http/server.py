"""Runs the edge under uvicorn, with the admin app beside it on its own port.

httptools is pinned (`heads.py` builds on it): h11 accepts requests that smuggle (two lengths, bare line
feeds). uvicorn's own proxy handling is off: it believes X-Forwarded-For from the wrong end.
"""

import asyncio
import contextlib
import math
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvicorn
from redis.asyncio import Redis

from gateway.adapters.http.admin import admin_app
from gateway.adapters.http.edge import Deployment, Edge
from gateway.adapters.http.heads import BoundedHeads
from gateway.adapters.http.health import Readiness, health_app
from gateway.adapters.http.lasting import Lasting
from gateway.adapters.ledger.async_ledger import AsyncLedger
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.script_line import ScriptLine
from gateway.adapters.spool.task import SpoolTask
from gateway.adapters.worker.keeper import Keeper
from gateway.application import Application
from gateway.core.source import Source
from gateway.logs import logger
from gateway.secret_refs import resolve
from gateway.settings import ServerSettings

FLUSH_SECONDS: Final = 1.0
ADMIN_GRACE_SECONDS: Final = 1.0
BACKLOG: Final = 2048


class Server(uvicorn.Server):
    """Signals are ours: uvicorn would raise them again after it has stopped, past our clean-up."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, slots=True)
class Parts:
    """What a gateway process is made of. `load` gives a checked application anew, for SIGHUP."""

    app: Application
    url: str
    build: Callable[[Application, str, Lasting], Deployment]
    load: Callable[[], Application]


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def run_gateway(
    parts: Parts, sock: socket.socket, admin: socket.socket | None, *, parent: int | None = None
) -> None:
    """Serves until SIGTERM or SIGINT. With `admin`, this process also serves the admin app.

    `parent`: a pipe from a supervisor. When that is killed nobody could tell us to stop, and we would
    keep the port from its successor: the pipe's end is told as SIGTERM is.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(parts, sock, admin, parent))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def _serve(
    parts: Parts, sock: socket.socket, admin: socket.socket | None, parent: int | None
) -> None:
    settings = parts.app.config.settings
    client = async_client(parts.url, settings.redis.timeout)
    lasting = Lasting.of(client, Keys(parts.app.prefix), settings.spool)
    readiness = Readiness(
        client,
        settings.redis.durability,
        spool=lambda: spools(state["app"]) and lasting.spool.takes_writes,
    )
    state = {"app": parts.app}
    edge = Edge(parts.build(parts.app, parts.url, lasting), health_app(readiness), lasting)
    servers = [uvicorn_server(edge, settings.server)]
    sockets = [sock]
    if admin is not None:
        beside = admin_for(parts.app, client, readiness, lambda: state["app"])
        servers.append(uvicorn_server(beside, settings.server, ADMIN_GRACE_SECONDS))
        sockets.append(admin)

    def reload() -> None:
        state["app"] = _reload(parts, edge, lasting, state["app"])

    _install_signals(servers, readiness, reload, parent)
    keeper = Keeper(parts.app, parts.url, tuple)
    keeper.start()
    if spools(parts.app):
        await lasting.spool.open()
    tasks = [asyncio.create_task(_flush(lasting)), asyncio.create_task(_drain(parts, lasting, edge))]
    try:
        await asyncio.gather(
            *(server.serve(sockets=[sock]) for server, sock in zip(servers, sockets, strict=True))
        )
    finally:
        keeper.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await lasting.aclose()
        await client.aclose()


def admin_for(
    app: Application, client: "Redis", readiness: Readiness, current: Callable[[], Application]
) -> Any:
    reference = app.config.settings.admin.token
    token = resolve(reference, os.environ).value if reference else None
    return admin_app(
        client,
        Keys(app.prefix),
        lambda: [(source.name, source.queue) for source in current().config.sources],
        readiness,
        token,
        Path(app.config.settings.spool.directory),
    )


def spools(app: Application) -> bool:
    """Whether any source keeps on disk what comes while Redis is away."""
    return any(source.spool for source in app.config.sources)


def uvicorn_server(app: Any, settings: ServerSettings, grace: float | None = None) -> Server:
    """`grace` (default: the settings') is how long open requests may take once it is told to stop."""
    # Twice the limit is only for memory's sake: the edge counts exactly, without the line ends.
    most = 2 * int(settings.max_header_bytes)
    heads: Any = partial(BoundedHeads, most=most, seconds=settings.body_deadline)
    return Server(
        uvicorn.Config(
            app,
            http=heads,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=math.ceil(grace or settings.grace),
        )
    )


def _install_signals(
    servers: list[Server], readiness: Readiness, reload: Callable[[], None], parent: int | None
) -> None:
    def stop() -> None:
        again = readiness.draining
        readiness.draining = True
        for server in servers:
            server.should_exit = True
            server.force_exit = again

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    if parent is not None:

        def orphaned() -> None:
            loop.remove_reader(parent)
            logger().error("gateway.orphaned")
            stop()

        loop.add_reader(parent, orphaned)


def _reload(parts: Parts, edge: Edge, lasting: Lasting, current: Application) -> Application:
    """Validated first, swapped whole, the old kept on a fault."""
    from gateway.faults import ConfigError

    try:
        app = parts.load()
    except ConfigError as error:
        for fault in error.faults:
            logger().error("reload.refused", file=fault.file, key=fault.key, problem=fault.problem)
        return current
    edge.deployment = parts.build(app, parts.url, lasting)
    logger().info("reload.done", sources=len(app.config.sources))
    return app


async def _drain(parts: Parts, lasting: Lasting, edge: Edge) -> None:
    look_ms = int(parts.app.config.settings.worker.look_interval * 1000)
    line = ScriptLine(lasting.redis, lasting.names)  # its own: live requests go past it

    def sources() -> dict[str, Source]:
        return {each.name: each for each in edge.deployment.by_path.values()}

    try:
        ledger = AsyncLedger(line, look_ms)
        await SpoolTask(lasting.spool, ledger, sources, lasting.counters.spool).run()
    finally:
        await line.aclose()


async def _flush(lasting: Lasting) -> None:
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        await lasting.flush()
