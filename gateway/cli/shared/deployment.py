"""A deployment's files: where they are, what they say, and how a command ends that cannot use them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway.cli.shared.exits import BAD_CONFIG, fail, fail_unknown
from gateway.cli.shared.printing import counted

if TYPE_CHECKING:
    from gateway.application import Application
    from gateway.core.source import Source
    from gateway.wiring import Place

DEV_DIR: Final = Path(".hookline")
DEV_ENV: Final = DEV_DIR / "dev.env"


def current_place() -> "Place":
    from gateway.wiring import Place

    return Place.from_environ(os.environ)


def load_or_exit(environ: Mapping[str, str] | None = None) -> "Application":
    """The checked deployment; with faults, all of them and status 78."""
    from gateway.faults import ConfigError
    from gateway.wiring import load_application

    try:
        return load_application(current_place(), environ if environ is not None else command_environ())
    except ConfigError as error:
        fail(BAD_CONFIG, f"{error}\n\n{counted(len(error.faults), 'fault')}.")


def source_or_exit(app: "Application", name: str) -> "Source":
    """The configured source; status 3 when there is none of that name."""
    source = app.config.source(name)
    if source is None:
        fail_unknown("source", name, [each.name for each in app.config.sources])
    return source


def command_environ() -> dict[str, str]:
    """The environment; beside a running `hookline dev`, also its development secrets where unset.

    Never used by serve and worker: production must not run on development secrets unnoticed.
    """
    environ = dict(os.environ)
    if not environ.get("REDIS_URL") and dev_server_url():
        environ = read_env(DEV_ENV) | environ
    return environ


def dev_server_url() -> str | None:
    """The embedded server of a `hookline dev` that runs in this directory, if there is one."""
    try:
        record: dict[str, Any] = json.loads((DEV_DIR / "redis" / "server.json").read_text())
        path = str(record["socket"])
    except (OSError, ValueError, KeyError):
        return None
    return f"unix://{path}" if Path(path).exists() else None


def read_env(path: Path) -> dict[str, str]:
    """NAME=value lines; empty when there is no such file."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}
