"""`hookline serve`: the gateway, in one process or several."""

import os
import signal
import socket
from typing import TYPE_CHECKING

import click

from gateway.cli.shared.deployment import current_place, load_or_exit
from gateway.cli.shared.exits import FAILED, fail
from gateway.cli.shared.options import place_options
from gateway.cli.shared.server import url_or_exit

if TYPE_CHECKING:
    from gateway.adapters.http.listening import Inherited
    from gateway.adapters.http.server import Parts
    from gateway.adapters.http.succession import Succession


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
    requests within server.grace. SIGUSR2 starts a new process on the same ports, with the code of now,
    and leaves once that one serves: nobody is refused. systemd may pass the sockets. The admin app
    (/metrics, /readyz) has a port of its own.
    """
    for number in (signal.SIGHUP, signal.SIGUSR2):  # until we serve; else they would end us
        signal.signal(number, signal.SIG_IGN)

    from gateway.adapters.http.server import Parts, run_gateway
    from gateway.adapters.http.succession import Succession
    from gateway.logs import configure_logs, logger
    from gateway.wiring import build_deployment, load_application

    inherited = _inherit()
    app = load_or_exit(dict(os.environ))
    settings = app.config.settings
    configure_logs(settings.log.format, settings.log.level)
    url = url_or_exit(app)
    parts = Parts(app, url, build_deployment, lambda: load_application(current_place()))
    if fd is not None:
        run_gateway(parts, socket.socket(fileno=fd), None, parent=parent)
        return
    _refuse_weak_redis(app, url, succeeds=inherited.succeeds)
    _refuse_useless_spool(app)
    sock = inherited.gateway or _bind(
        host or settings.server.host, settings.server.port if port is None else port
    )
    admin = inherited.admin or _bind(
        settings.admin.host, settings.admin.port if admin_port is None else admin_port
    )
    _announce(app, sock, admin)
    if inherited.succeeds and port is None:
        _warn_of_another_port(sock, settings.server.port)
    succession = Succession(sock, admin)
    many = workers or settings.server.workers
    if many == 1:
        run_gateway(parts, sock, admin, succession=succession)
    else:
        _supervise(parts, sock, admin, many, succession, succeeds=inherited.succeeds)
    logger().info("gateway.stopped", pid=os.getpid())


def _warn_of_another_port(sock: socket.socket, configured: int) -> None:
    from gateway.logs import logger

    ours = sock.getsockname()[1]
    if configured not in (0, ours):
        warning = f"server.port is {configured}, but the port that was handed on is {ours}: restart"
        logger().warning("config.warning", warning=warning)


def _inherit() -> "Inherited":
    from gateway.adapters.http.listening import BadSocketError, inherit

    try:
        return inherit(os.environ, os.getpid())
    except BadSocketError as error:
        fail(FAILED, f"Cannot serve on what was passed: {error}.")


def _bind(host: str, port: int) -> socket.socket:
    from gateway.adapters.http.listening import bind

    try:
        return bind(host, port)
    except OSError as error:
        fail(
            FAILED,
            f"Cannot listen: {error}. Another process has the port; choose --port or --admin-port.",
        )


def _supervise(
    parts: "Parts",
    sock: socket.socket,
    admin: socket.socket,
    many: int,
    succession: "Succession",
    *,
    succeeds: bool,
) -> None:
    from gateway.adapters.http.supervisor import NotServingError, run_supervisor

    try:
        run_supervisor(parts, sock, admin, many, succession=succession, succeeds=succeeds)
    except NotServingError:
        fail(FAILED, "A child process ended before it served; its own lines say why.")


def _refuse_weak_redis(app: "object", url: str, *, succeeds: bool) -> None:
    from gateway.adapters.ledger.durability import may_pass
    from gateway.application import Application
    from gateway.cli.shared.exits import BAD_CONFIG, UNAVAILABLE
    from gateway.cli.shared.server import redis_faults
    from gateway.logs import logger

    assert isinstance(app, Application)
    faults = redis_faults(app, url)
    away = bool(faults) and may_pass(faults)
    if away and not succeeds:
        # A gateway that is restarted during an outage answers 503, which senders understand better
        # than a refused connection; /readyz judges the server's settings once it is back. One that is
        # to take another's place has to show first that it can.
        logger().error("redis.unavailable", problem="; ".join(fault.problem for fault in faults))
    elif faults:
        fail(UNAVAILABLE if away else BAD_CONFIG, "\n".join(str(fault) for fault in faults))


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
    if durability in ("everysec", "memory"):
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
