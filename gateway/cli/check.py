"""`hookline check`: everything that is wrong with a deployment, before it matters."""

from typing import TYPE_CHECKING, Any

import click

from gateway.cli.common import (
    BAD_CONFIG,
    command_environ,
    current_place,
    dev_server_url,
    json_option,
    place_options,
    print_json,
    safe_url,
)

if TYPE_CHECKING:
    from gateway.application import Application
    from gateway.faults import Fault


@click.command()
@place_options
@click.option("--offline", is_flag=True, help="Do not ask Redis.")
@json_option
def command(offline: bool, as_json: bool) -> None:
    """Check configuration, secrets, processors and Redis; list every fault with file, key and mend.

    Exit status 78 when there is any.
    """
    import sys

    from gateway.faults import ConfigError
    from gateway.wiring import idle_processors, load_application, redis_url

    warnings: list[str] = []
    faults: list[Fault] = []
    try:
        app = load_application(current_place(), command_environ())
    except ConfigError as error:
        faults = error.faults
    else:
        warnings = [*app.config.warnings, *idle_processors(app)]
        url = redis_url(app.config) or dev_server_url()
        if not offline:
            faults = redis_faults(app, url)
    _show(faults, warnings, as_json=as_json)
    sys.exit(BAD_CONFIG if faults else 0)


def _show(faults: "list[Fault]", warnings: list[str], *, as_json: bool) -> None:
    if as_json:
        rows = [{"file": f.file, "key": f.key, "problem": f.problem, "mend": f.mend} for f in faults]
        print_json({"ok": not faults, "faults": rows, "warnings": warnings})
        return
    for fault in faults:
        click.echo(str(fault))
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    many = len(faults)
    click.echo(f"{many} fault{'s' if many != 1 else ''}." if faults else "No faults.", err=bool(faults))


def redis_faults(app: "Application", url: str | None) -> "list[Fault]":
    """What keeps the server from the durability that is promised."""
    from redis.exceptions import RedisError

    from gateway.adapters.durability import SETTINGS, facts_of, judge
    from gateway.adapters.redis_clients import blocking_client
    from gateway.faults import Fault

    if url is None:
        return [
            Fault("redis", "url", "is not set", "export REDIS_URL=redis://..., or use `hookline dev`")
        ]
    client = blocking_client(url, app.config.settings.redis.timeout)
    try:
        info: Any = client.info("server")
        config: Any = client.config_get(*SETTINGS)
        facts = facts_of(info, config)
    except (RedisError, OSError, ValueError) as error:
        return [Fault("redis", "url", f"{safe_url(url)}: {error}", "start it, or correct REDIS_URL")]
    finally:
        client.close()
    return judge(facts, app.config.settings.redis.durability)
