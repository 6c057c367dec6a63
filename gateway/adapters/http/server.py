"""Runs the edge under uvicorn, with the admin app beside it on its own port.

httptools is pinned (`parsing.py` and `asgi.py` build on it): h11 accepts requests that smuggle (two
lengths, bare line feeds). uvicorn's own proxy handling is off: it believes X-Forwarded-For from the
wrong end.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvicorn
from redis.asyncio import Redis

from gateway.adapters.http.admin import admin_app
from gateway.adapters.http.asgi import BoundedHeads
from gateway.adapters.http.crowd import Crowd
from gateway.adapters.http.edge import Deployment, Edge
from gateway.adapters.http.health import Readiness, health_app
from gateway.adapters.http.lasting import Lasting
from gateway.adapters.http.leaving import Leaving, listen_as_child, listen_for
from gateway.adapters.http.listening import tell_ready
from gateway.adapters.http.parting import Server
from gateway.adapters.http.service_manager import notify
from gateway.adapters.http.succession import Succession
from gateway.adapters.http.wire import Wire
from gateway.adapters.ledger.async_ledger import AsyncLedger
from gateway.adapters.ledger.marker import Marker
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.script_line import ScriptLine
from gateway.adapters.spool.task import SpoolTask
from gateway.adapters.worker.keeper import Keeper
from gateway.application import Application
from gateway.collector import spare_what_stays
from gateway.core.source import Source
from gateway.logs import logger
from gateway.secret_refs import resolve
from gateway.settings import ServerSettings

FLUSH_SECONDS: Final = 1.0
ADMIN_GRACE_SECONDS: Final = 1.0
CANCEL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a gateway process is made of. `load` gives a checked application anew, for SIGHUP."""

    app: Application
    url: str
    build: Callable[[Application, str, Lasting], Deployment]
    load: Callable[[], Application]


def run_gateway(
    parts: Parts,
    sock: socket.socket,
    admin: socket.socket | None,
    *,
    parent: int | None = None,
    succession: Succession | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT. With `admin`, this process also serves the admin app.

    `parent`: a pipe from a supervisor, whose child we are. `succession`: SIGUSR2 replaces us.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(parts, sock, admin, parent, succession))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def _serve(
    parts: Parts,
    sock: socket.socket,
    admin: socket.socket | None,
    parent: int | None,
    succession: Succession | None,
) -> None:
    settings = parts.app.config.settings
    client = async_client(parts.url, settings.redis.timeout)
    lasting = Lasting.of(client, Keys(parts.app.prefix), settings.spool)
    readiness = Readiness(
        client,
        settings.redis.durability,
        spool=lambda: spools(state["app"]) and lasting.spool.takes_writes,
        replicas=settings.redis.awaited_replicas,
        marker=Marker(client, lasting.names),
    )
    state = {"app": parts.app}
    edge = Edge(parts.build(parts.app, parts.url, lasting), lasting)
    servers = [uvicorn_server(health_app(readiness), settings.server, edge=edge)]
    sockets = [sock]
    if admin is not None:
        manage = admin_for(parts.app, client, readiness, lambda: state["app"])
        servers.append(uvicorn_server(manage, settings.server, ADMIN_GRACE_SECONDS))
        sockets.append(admin)

    def reload() -> None:
        state["app"] = _reload(parts, edge, lasting, state["app"])

    leaving = Leaving(servers, readiness, settings.server.drain or 0.0, succession)
    if parent is None:
        listen_for(leaving, reload)
    else:
        listen_as_child(leaving, reload, parent)
    keeper = Keeper(parts.app, parts.url, tuple)
    keeper.start()
    if spools(parts.app):
        await lasting.spool.open()
    beside = (_flush(lasting), _drain(parts, lasting, edge), say_when_serving(servers))
    tasks = [asyncio.create_task(each) for each in beside]
    spare_what_stays()
    if admin is not None:  # else the parent watches for all its children
        tasks.append(asyncio.create_task(readiness.watch()))
    try:
        await asyncio.gather(
            *(server.serve(sockets=[sock]) for server, sock in zip(servers, sockets, strict=True))
        )
    finally:
        keeper.stop()
        await end(tasks)
        await lasting.aclose()
        await client.aclose()


async def end(tasks: Iterable["asyncio.Task[None]"]) -> None:
    """Cancels them until they have ended: up to Python 3.11 `asyncio.wait_for`, which redis-py uses,
    loses a cancellation that comes together with its result."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_SECONDS)


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


def uvicorn_server(
    app: Any, settings: ServerSettings, grace: float | None = None, *, edge: Edge | None = None
) -> Server:
    """`grace` (default: the settings') is how long open requests may take once it is told to stop.

    With an `edge`, everything but the health checks is its; else all goes to the ASGI `app`.
    """
    # Twice the limit is only for memory's sake: the edge counts exactly, without the line ends.
    most = 2 * int(settings.max_header_bytes)
    crowd = Crowd.within_file_limit(settings.max_connections)
    protocol: Any = partial(Wire, edge=edge) if edge else BoundedHeads
    protocol = partial(protocol, most=most, seconds=settings.body_deadline, crowd=crowd)
    return Server(
        uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=False,
        ),
        grace or settings.grace,
        *([edge.break_off] if edge else []),
    )


async def say_when_serving(servers: Sequence[Server]) -> None:
    """To whoever waits for it: a gateway whose place we take, a parent, systemd."""
    for server in servers:
        await server.serving.wait()
    tell_ready(os.environ)
    notify("READY=1")


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
    spare_what_stays()
    logger().info("reload.done", sources=len(app.config.sources))
    return app


async def _drain(parts: Parts, lasting: Lasting, edge: Edge) -> None:
    look_ms = int(parts.app.config.settings.worker.look_interval * 1000)
    line = ScriptLine(lasting.redis, lasting.names)  # its own: live requests go past it

    def sources() -> dict[str, Source]:
        return {each.name: each for each in edge.deployment.by_path.values()}

    try:
        replicas = parts.app.config.settings.redis.awaited_replicas
        ledger = AsyncLedger(line, look_ms=look_ms, replicas=replicas)
        await SpoolTask(lasting.spool, ledger, sources, lasting.counters.spool).run()
    finally:
        await line.aclose()


async def _flush(lasting: Lasting) -> None:
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        await lasting.flush()
