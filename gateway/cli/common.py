"""What several commands share: where files are, the way to Redis, tables, and how to fail."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from redis import Redis

    from gateway.application import Application
    from gateway.wiring import Place

F = TypeVar("F", bound=Callable[..., Any])

FAILED: Final = 1
NOT_FOUND: Final = 3
UNAVAILABLE: Final = 69
BAD_CONFIG: Final = 78

DEV_DIR: Final = Path(".hookline")
DEV_ENV: Final = DEV_DIR / "dev.env"


def place_options(function: F) -> F:
    """--config and --processors; the command finds them in `current_place()`."""
    config = click.option(
        "--config",
        envvar="HOOKLINE_CONFIG",
        default="config",
        metavar="DIR",
        show_default=True,
        help="Directory of gateway.toml and sources/.",
        callback=lambda _ctx, _param, value: _remember("HOOKLINE_CONFIG", value),
        expose_value=False,
    )
    processors = click.option(
        "--processors",
        envvar="HOOKLINE_PROCESSORS",
        default="processors",
        metavar="DIR",
        show_default=True,
        help="Directory of processor modules.",
        callback=lambda _ctx, _param, value: _remember("HOOKLINE_PROCESSORS", value),
        expose_value=False,
    )
    return config(processors(function))


def _remember(name: str, value: str) -> None:
    """Child processes and jobs read the environment: one truth for all of them."""
    os.environ[name] = value


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def current_place() -> "Place":
    from gateway.wiring import Place

    return Place.from_environ(os.environ)


def fail(status: int, text: str) -> NoReturn:
    """The text on stderr, the status to the shell."""
    click.echo(text, err=True)
    sys.exit(status)


def load_or_exit(environ: Mapping[str, str] | None = None) -> "Application":
    """The checked deployment; with faults, all of them and status 78."""
    from gateway.faults import ConfigError
    from gateway.wiring import load_application

    try:
        return load_application(current_place(), environ if environ is not None else command_environ())
    except ConfigError as error:
        many = len(error.faults)
        fail(BAD_CONFIG, f"{error}\n\n{many} fault{'s' if many > 1 else ''}.")


def dev_server_url() -> str | None:
    """The embedded server of a `hookline dev` that runs in this directory, if there is one."""
    try:
        record: dict[str, Any] = json.loads((DEV_DIR / "redis" / "server.json").read_text())
        path = str(record["socket"])
    except (OSError, ValueError, KeyError):
        return None
    return f"unix://{path}" if Path(path).exists() else None


def command_environ() -> dict[str, str]:
    """The environment; beside a running `hookline dev`, also its development secrets where unset.

    Never used by serve, worker and check: production must not run on development secrets unnoticed.
    """
    environ = dict(os.environ)
    if not environ.get("REDIS_URL") and dev_server_url():
        environ = read_env(DEV_ENV) | environ
    return environ


def read_env(path: Path) -> dict[str, str]:
    """NAME=value lines; empty when there is no such file."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def url_or_exit(app: "Application") -> str:
    """REDIS_URL, the settings' url, or a running dev server's; else status 69 with the mends."""
    from gateway.wiring import redis_url

    url = redis_url(app.config) or dev_server_url()
    if url:
        return url
    fail(
        UNAVAILABLE,
        "No Redis is configured. One of:\n"
        "    export REDIS_URL=redis://127.0.0.1:6379/0\n"
        '    set redis.url = "env:NAME" in gateway.toml\n'
        "    hookline dev        (brings an embedded server)",
    )


def connect_or_exit(app: "Application") -> "Redis":
    """A client that has answered; else status 69 saying where it tried."""
    from redis.exceptions import RedisError

    from gateway.adapters.redis_clients import blocking_client

    url = url_or_exit(app)
    client = blocking_client(url, app.config.settings.redis.timeout)
    try:
        client.ping()
    except (RedisError, OSError) as error:
        fail(UNAVAILABLE, f"Redis at {safe_url(url)} cannot be reached: {error}")
    return client


def safe_url(url: str) -> str:
    """The URL without its password."""
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://***@{tail}" if at else url


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, default=str, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Aligned columns, no frame: it can be read, grepped and cut."""
    texts = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    click.secho(_line([name.upper() for name in columns], widths), bold=True)
    for row in texts:
        click.echo(_line(row, widths))


def _cell(value: Any) -> str:
    return "-" if value in (None, "") else str(value)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
