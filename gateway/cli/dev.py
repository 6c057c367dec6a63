"""`hookline dev`: embedded server, gateway and worker; notices saved files, and shows every event."""

import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gateway.cli.shared.deployment import DEV_DIR, current_place, load_or_exit
from gateway.cli.shared.exits import BAD_CONFIG, FAILED, UNAVAILABLE, fail
from gateway.cli.shared.options import place_options
from gateway.cli.shared.printing import short
from gateway.cli.shared.server import redis_faults, safe_url

if TYPE_CHECKING:
    from gateway.adapters.embedded.server import EmbeddedServer
    from gateway.application import Application
    from gateway.cli.shared.dev_crew import Crew
    from gateway.cli.shared.dev_view import View

LOG: Final = DEV_DIR / "dev.log"
READY_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.1
HOLD_SECONDS: Final = 0.1  # lines of two processes are put into their order


@click.command()
@place_options
@click.option("--port", type=int, help="Port of the gateway (default: server.port).")
@click.option("--admin-port", type=int, help="Port of the admin app (default: admin.port).")
@click.option("--demo", is_flag=True, help="Send real-looking webhooks and show what became of each.")
@click.option("--exit", "exit_after", is_flag=True, help="With --demo: end after the table.")
def command(port: int | None, admin_port: int | None, demo: bool, exit_after: bool) -> None:
    """Run everything here: embedded server, gateway and worker, until Ctrl-C.

    Every event and every attempt is a line, a failed one with the trace of your code. A saved file of
    processors/ or config/ takes effect at once; one with a fault leaves running what ran before.
    REDIS_URL is used when it is set, else a real Valkey is started with its data in .hookline/.
    Secrets that are not set are made up once and kept in .hookline/dev.env.
    """
    if demo:
        from gateway.demo import write_config

        os.environ["HOOKLINE_CONFIG"] = str(write_config(current_place().config, DEV_DIR / "demo"))
    # Also where a shell has made us ignore them, as it does with what it starts in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    app = _load(with_processors=demo)
    server = _start_server(app)
    crew: Crew | None = None
    status = 0
    try:
        settings = app.config.settings
        sockets = (
            listen(settings.server.host, port, settings.server.port),
            listen(settings.admin.host, admin_port, settings.admin.port),
        )
        at, admin_at = (each.getsockname()[1] for each in sockets)
        view = _view(app, at)
        crew = _start_crew(sockets, view)
        _announce(app, at, admin_at)
        if demo:
            from gateway.demo import run_demo

            view.quiet = True
            _await(crew, until=time.monotonic() + READY_SECONDS)
            status = run_demo(app, f"http://127.0.0.1:{at}", os.environ["REDIS_URL"])
            crew.look(LOOK_SECONDS)  # what the table has told stays behind it
            view.quiet = exit_after
        if not (demo and exit_after):
            _announce_commands(app, at)
            _follow(crew, view)
    except KeyboardInterrupt:
        status = 0
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # bounded below; a second Ctrl-C would leave orphans
        if crew:
            crew.stop()
            view.show(time.time())
        if server:
            server.stop()
    sys.exit(status)


def _load(*, with_processors: bool) -> "Application":
    """The processors are for the children to import: here they would never be seen to change."""
    from gateway.application import Application
    from gateway.cli.shared.dev_secrets import dev_secrets
    from gateway.configuration import load_config
    from gateway.faults import ConfigError

    place = current_place()
    os.environ.update(dev_secrets(place.config))
    try:
        config = load_config(place.config, os.environ)
    except ConfigError:
        return load_or_exit(dict(os.environ))  # it lists the faults, those of processors too
    return load_or_exit(dict(os.environ)) if with_processors else Application(config, {})


def _start_server(app: "Application") -> "EmbeddedServer | None":
    """The server of REDIS_URL, else an embedded one, whose URL goes into the environment."""
    from gateway.adapters.ledger.durability import may_pass

    if url := os.environ.get("REDIS_URL"):
        click.echo(f"redis: {safe_url(url)} (REDIS_URL)", err=True)
        if faults := redis_faults(app, url):
            status = UNAVAILABLE if may_pass(faults) else BAD_CONFIG
            fail(status, "\n".join(str(fault) for fault in faults))
        return None
    if app.config.settings.redis.awaited_replicas:
        fail(
            BAD_CONFIG,
            'gateway.toml: redis.durability: is "replicated", and the embedded server has no replica\n'
            "    → set REDIS_URL, or run with another --config",
        )
    from gateway.adapters.embedded.binary import EmbeddedServerError
    from gateway.adapters.embedded.server import EmbeddedServer

    server = EmbeddedServer(DEV_DIR / "redis")
    try:
        os.environ["REDIS_URL"] = server.start()
    except EmbeddedServerError as error:
        fail(UNAVAILABLE, str(error))
    click.echo(f"redis: {server.describe()}", err=True)
    return server


def listen(host: str, asked: int | None, default: int) -> socket.socket:
    """On the port asked for; else on the default one, or on another when somebody has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    problem: OSError | None = None
    for port in (default, 0) if asked is None else (asked,):
        try:
            return socket.create_server((host, port), family=family, backlog=2048)
        except OSError as error:
            problem = error
    assert problem
    return fail(
        FAILED, f"Cannot listen on port {asked}: {problem.strerror}. Choose --port or --admin-port."
    )


def _view(app: "Application", port: int) -> "View":
    from gateway.adapters.ledger.reader import Reader
    from gateway.adapters.ledger.redis_clients import blocking_client
    from gateway.adapters.ledger.redis_keys import Keys
    from gateway.cli.shared.dev_view import View

    client = blocking_client(os.environ["REDIS_URL"], app.config.settings.redis.timeout)
    paths = {source.name: source.path for source in app.config.sources}
    return View(Reader(client, Keys(app.prefix)).failures, LOG, f"http://127.0.0.1:{port}", paths)


def _start_crew(sockets: tuple[socket.socket, ...], view: "View") -> "Crew":
    from gateway.cli.shared.dev_crew import Crew

    DEV_DIR.mkdir(exist_ok=True)
    LOG.write_bytes(b"")
    crew = Crew([each.fileno() for each in sockets], LOG, view)
    crew.renew()
    return crew


def _await(crew: "Crew", until: float) -> None:
    while not crew.complete:
        crew.look(LOOK_SECONDS)
        if crew.stuck or time.monotonic() > until:
            fail(FAILED, f"Not ready within {READY_SECONDS:g} s: see above, or {LOG}.")


def _follow(crew: "Crew", view: "View") -> None:
    """Until Ctrl-C."""
    from gateway.cli.shared.dev_secrets import dev_secrets
    from gateway.cli.shared.watching import Watch

    place = current_place()
    watch = Watch((place.processors, place.config))
    while True:
        crew.look(LOOK_SECONDS)
        view.show(time.time() - HOLD_SECONDS)
        if paths := watch.changed():
            view.changed([Path(short(str(path))) for path in paths])
            os.environ.update(dev_secrets(place.config))
            crew.renew()


def _announce(app: "Application", port: int, admin_port: int) -> None:
    base = f"http://127.0.0.1:{port}"
    click.echo(f"\n{'source':<12} URL to give to the provider", err=True)
    for source in app.config.sources:
        click.echo(f"{source.name:<12} {base}{source.path}", err=True)
    click.echo(f"{'metrics':<12} http://127.0.0.1:{admin_port}/metrics\n", err=True)


def _announce_commands(app: "Application", port: int) -> None:
    name = app.config.sources[0].name
    to = f" --to http://127.0.0.1:{port}{app.config.sources[0].path}"
    moved = to if port != app.config.settings.server.port else ""
    lines = [
        f"hookline send {name}{moved}",
        f"hookline send {name} --bad-signature{moved}",
        "hookline replay --last --wait",
        "hookline events list",
        "hookline dashboard",
    ]
    click.echo("Try, from another terminal in this directory (Ctrl-C here stops everything):", err=True)
    for line in lines:
        click.echo(f"    {line}", err=True)
    place = current_place()
    click.echo(
        f"Watching {place.processors}/ and {place.config}/; whole logs are in {LOG}.\n", err=True
    )
