"""`hookline dev`: embedded server, gateway and worker in one process group; the server stops last."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gateway.cli.shared.deployment import DEV_DIR, DEV_ENV, current_place, load_or_exit, read_env
from gateway.cli.shared.exits import FAILED, UNAVAILABLE, fail
from gateway.cli.shared.options import place_options
from gateway.cli.shared.server import safe_url

if TYPE_CHECKING:
    from gateway.adapters.embedded.server import EmbeddedServer
    from gateway.application import Application

READY_SECONDS: Final = 20.0
STOP_SECONDS: Final = 30.0


@click.command()
@place_options
@click.option("--port", type=int, help="Port of the gateway (default: server.port).")
@click.option("--admin-port", type=int, help="Port of the admin app (default: admin.port).")
@click.option("--demo", is_flag=True, help="Send real-looking webhooks and show what became of each.")
@click.option("--exit", "exit_after", is_flag=True, help="With --demo: end after the table.")
def command(port: int | None, admin_port: int | None, demo: bool, exit_after: bool) -> None:
    """Run everything here: embedded server, gateway and worker, until Ctrl-C.

    REDIS_URL is used when it is set, else a real Valkey is started with its data in .hookline/.
    Secrets that are not set are made up once and kept in .hookline/dev.env.
    """
    if demo:
        from gateway.demo import write_config

        os.environ["HOOKLINE_CONFIG"] = str(write_config(current_place().config, DEV_DIR / "demo"))
    # Also where a shell has made us ignore them, as it does with what it starts in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    os.environ.update(dev_secrets(current_place().config))
    app = load_or_exit(dict(os.environ))
    server = _start_server()
    processes: list[subprocess.Popen[bytes]] = []
    status = 0
    try:
        settings = app.config.settings
        port = port or free_port(settings.server.port if port is None else 0)
        admin_port = admin_port or free_port(settings.admin.port if admin_port is None else 0)
        processes = _start_processes(port, admin_port, quiet=demo)
        _wait_until_ready(port, processes)
        _announce(app, port, admin_port)
        if demo:
            from gateway.demo import run_demo

            status = run_demo(app, f"http://127.0.0.1:{port}", os.environ["REDIS_URL"])
        if not (demo and exit_after):
            _announce_commands(app, port)
            status = _wait(processes) or status
    except KeyboardInterrupt:
        status = 0
    finally:
        _stop(processes)
        if server:
            server.stop()
    sys.exit(status)


def dev_secrets(config: Path) -> dict[str, str]:
    """A made-up secret for each `env:` reference that is unset; the same at every start."""
    from gateway.configuration import read_file
    from gateway.sources import SourceFile

    kept = read_env(DEV_ENV)
    files = [read_file(path, SourceFile, []) for path in sorted((config / "sources").glob("*.toml"))]
    wanted = [
        ref.removeprefix("env:")
        for file in files
        if file
        for ref in file.secrets
        if ref.startswith("env:")
    ]
    missing = [name for name in wanted if name not in os.environ]
    # 24 random bytes as whsec_ text: fit for providers that use the text, and for those that decode it.
    made = {name: kept.get(name) or "whsec_" + _base64(secrets.token_bytes(24)) for name in missing}
    if made.keys() - kept.keys():
        _write_env(kept | made)
    return made


def _base64(value: bytes) -> str:
    import base64

    return base64.b64encode(value).decode()


def _write_env(values: dict[str, str]) -> None:
    DEV_DIR.mkdir(exist_ok=True)
    lines = ["# Development secrets, made by `hookline dev`. Never use them elsewhere."]
    lines += [f"{name}={value}" for name, value in sorted(values.items())]
    descriptor = os.open(DEV_ENV, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join(lines) + "\n")


def _start_server() -> "EmbeddedServer | None":
    """The server of REDIS_URL, else an embedded one, whose URL goes into the environment."""
    if os.environ.get("REDIS_URL"):
        click.echo(f"redis: {safe_url(os.environ['REDIS_URL'])} (REDIS_URL)", err=True)
        return None
    from gateway.adapters.embedded.binary import EmbeddedServerError
    from gateway.adapters.embedded.server import EmbeddedServer

    server = EmbeddedServer(DEV_DIR / "redis")
    try:
        os.environ["REDIS_URL"] = server.start()
    except EmbeddedServerError as error:
        fail(UNAVAILABLE, str(error))
    click.echo(f"redis: {server.describe()}", err=True)
    return server


def free_port(wanted: int) -> int:
    """The wanted port, or another one when somebody has it: `dev` should just start."""
    for port in (wanted, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as sock:
                found: int = sock.getsockname()[1]
                return found
        except OSError:
            continue
    return wanted


def _start_processes(port: int, admin_port: int, *, quiet: bool) -> list[subprocess.Popen[bytes]]:
    hookline = [sys.executable, "-m", "gateway"]
    serve = [*hookline, "serve", "--port", str(port), "--admin-port", str(admin_port)]
    log = (DEV_DIR / "demo.log").open("wb") if quiet else None
    # A session of their own: Ctrl-C reaches this process only, which then stops them in order.
    return [
        subprocess.Popen(arguments, stderr=log, start_new_session=True)
        for arguments in (serve, [*hookline, "worker"])
    ]


def _wait_until_ready(port: int, processes: list[subprocess.Popen[bytes]]) -> None:
    import httpx2

    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in processes):
            fail(
                FAILED, "A process ended while starting: see its message above, or .hookline/demo.log."
            )
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=1.0).status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.05)
    fail(FAILED, f"The gateway did not become ready within {READY_SECONDS:g} s.")


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
        "hookline events list",
        "hookline dead-letters list",
        "hookline dashboard",
    ]
    click.echo("Try, from another terminal in this directory (Ctrl-C here stops everything):", err=True)
    for line in lines:
        click.echo(f"    {line}", err=True)


def _wait(processes: list[subprocess.Popen[bytes]]) -> int:
    """Until Ctrl-C (0), or until a process ends by itself (1)."""
    while all(process.poll() is None for process in processes):
        time.sleep(0.2)
    click.echo("A process ended by itself: stopping the rest.", err=True)
    return FAILED


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """Gateway first, so that nothing new comes in; then the worker. Their server is still there."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # bounded below; a second Ctrl-C would leave orphans
    for process in processes:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
