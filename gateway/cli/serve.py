"""`hookline serve`: the gateway, in one process or several."""

import os
import socket

import click

from gateway.cli.shared.deployment import current_place, load_or_exit
from gateway.cli.shared.exits import FAILED, fail
from gateway.cli.shared.options import place_options
from gateway.cli.shared.server import url_or_exit


@click.command()
@place_options
@click.option("--host", help="Address to listen on (default: server.host).")
@click.option("--port", type=int, help="Port to listen on (default: server.port).")
@click.option("--workers", type=click.IntRange(1, 128), help="Processes (default: server.workers).")
@click.option("--admin-port", type=int, help="Port of the admin app (default: admin.port).")
@click.option("--fd", type=int, hidden=True, help="Serve an inherited socket: one child of several.")
@click.option("--parent", type=int, hidden=True, help="A pipe that ends when the parent does.")
def command(
    host: str | None,
    port: int | None,
    workers: int | None,
    admin_port: int | None,
    fd: int | None,
    parent: int | None,
) -> None:
    """Run the gateway that providers call.

    SIGHUP reloads the configuration: validated first, the old kept on a fault. SIGTERM ends open
    requests within server.grace. The admin app (/metrics, /readyz) has a port of its own.
    """
    from gateway.adapters.http.server import Parts, bind, run_gateway
    from gateway.logs import configure_logs
    from gateway.wiring import build_deployment, load_application

    app = load_or_exit(dict(os.environ))
    settings = app.config.settings
    configure_logs(settings.log.format, settings.log.level)
    url = url_or_exit(app)
    parts = Parts(app, url, build_deployment, lambda: load_application(current_place()))
    if fd is not None:
        run_gateway(parts, socket.socket(fileno=fd), None, parent=parent)
        return
    _refuse_weak_redis(app, url)
    _refuse_useless_spool(app)
    try:
        sock = bind(host or settings.server.host, settings.server.port if port is None else port)
        admin = bind(settings.admin.host, settings.admin.port if admin_port is None else admin_port)
    except OSError as error:
        fail(
            FAILED,
            f"Cannot listen: {error}. Another process has the port; choose --port or --admin-port.",
        )
    _announce(app, sock, admin)
    if (workers or settings.server.workers) == 1:
        run_gateway(parts, sock, admin)
    else:
        from gateway.adapters.http.supervisor import run_supervisor

        run_supervisor(parts, sock, admin, workers or settings.server.workers)


def _refuse_weak_redis(app: "object", url: str) -> None:
    from gateway.application import Application
    from gateway.cli.shared.exits import BAD_CONFIG
    from gateway.cli.shared.server import redis_faults
    from gateway.logs import logger

    assert isinstance(app, Application)
    faults = redis_faults(app, url)
    if [fault.key for fault in faults] == ["server"]:
        # A gateway that is restarted during an outage answers 503, which senders understand better
        # than a refused connection; /readyz judges the server's settings once it is back.
        logger().error("redis.unavailable", problem=faults[0].problem)
    elif faults:
        fail(BAD_CONFIG, "\n".join(str(fault) for fault in faults))


def _refuse_useless_spool(app: "object") -> None:
    """A sender that does not come again was promised a place on disk. One that is full only for now is
    no reason not to start."""
    from gateway.application import Application
    from gateway.cli.shared.exits import BAD_CONFIG
    from gateway.wiring import spool_faults

    assert isinstance(app, Application)
    if faults := spool_faults(app.config):
        fail(BAD_CONFIG, "\n".join(str(fault) for fault in faults))


def _announce(app: "object", sock: socket.socket, admin: socket.socket) -> None:
    from gateway.application import Application
    from gateway.logs import logger
    from gateway.wiring import idle_processors

    assert isinstance(app, Application)
    for warning in (*app.config.warnings, *idle_processors(app)):
        logger().warning("config.warning", warning=warning)
    durability = app.config.settings.redis.durability
    if durability != "always":
        logger().warning(
            "config.warning", warning=f"redis.durability is {durability!r}: weaker than fsync"
        )
    listen, manage = (sock.getsockname()[:2] for sock in (sock, admin))
    logger().info(
        "gateway.started",
        listen=f"{listen[0]}:{listen[1]}",
        admin=f"{manage[0]}:{manage[1]}",
        sources=len(app.config.sources),
        processors=len(app.processors),
        durability=durability,
    )
