"""`hookline dashboard`: rq-dashboard behind a guard. Reads, and Requeue as a replay of ours."""

import os
import signal
from typing import TYPE_CHECKING

import click

from gateway.cli.shared.deployment import load_or_exit
from gateway.cli.shared.exits import BAD_CONFIG, FAILED, fail
from gateway.cli.shared.options import place_options
from gateway.cli.shared.orders import replaying
from gateway.cli.shared.printing import http_url, note
from gateway.cli.shared.server import connect_or_exit, safe_url, url_or_exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from gateway.application import Application


@click.command()
@place_options
@click.option(
    "--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Address to listen on."
)
@click.option("--port", type=int, default=9181, show_default=True, help="Port to listen on.")
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name it is reached by; may be repeated.",
)
@click.option("--token", metavar="REF", help="env:NAME or file:/path (default: admin.token).")
def command(host: str, port: int, hosts: tuple[str, ...], token: str | None) -> None:
    """Serve rq-dashboard, made safe: nothing can be deleted, Requeue is a Hookline replay.

    Beyond loopback a token is needed; it is the password of HTTP basic authentication.
    """
    from gateway.adapters.dashboard.guard import guarded_dashboard, serve_dashboard

    app = load_or_exit()
    url = url_or_exit(app)
    secret = _secret(token or app.config.settings.admin.token)
    replay = replayer(app, connect_or_exit(app))
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a container's way to say Ctrl-C
        guarded = guarded_dashboard(url, replay, token=secret, allowed_hosts=hosts)
        note(f"Dashboard of {safe_url(url)} on {http_url(host, port)}/ (Ctrl-C stops it)")
        serve_dashboard(guarded, host, port)
    except (ImportError, OSError) as error:
        fail(FAILED, str(error))
    except ValueError as error:
        fail(BAD_CONFIG, f"{error}\n    → set admin.token, or give --token env:NAME")
    except KeyboardInterrupt:  # its server takes most of them for a wish to end, and returns
        pass
    note("Stopped.")


def _secret(reference: str | None) -> str | None:
    from gateway.secret_refs import SecretRefError, resolve

    if reference is None:
        return None
    try:
        return resolve(reference, os.environ).value.decode()
    except SecretRefError as error:
        fail(BAD_CONFIG, f"the dashboard's token {error.problem}\n    → {error.mend}")


def replayer(app: "Application", client: "Redis") -> "Callable[[str], bool]":
    """What a press of Requeue does with a job's id: a dead letter's is its delivery's."""
    replay = replaying(app, client)
    return lambda job: replay([job]) == ["replayed"]
