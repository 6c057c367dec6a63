"""`hookline check`: everything that is wrong with a deployment, before it matters."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from gateway.cli.shared.deployment import command_environ, current_place
from gateway.cli.shared.exits import BAD_CONFIG
from gateway.cli.shared.options import json_option, place_options
from gateway.cli.shared.printing import counted, note, print_json, print_text
from gateway.cli.shared.server import find_url, redis_faults

if TYPE_CHECKING:
    from gateway.faults import Fault


@click.command()
@place_options
@click.option("--offline", is_flag=True, help="Do not ask Redis.")
@json_option
def command(offline: bool, as_json: bool) -> None:
    """Check configuration, secrets, processors and Redis; list every fault with file, key and mend.

    Exit status 78 when there is any.
    """
    from gateway.discovery import idle_declarations
    from gateway.faults import ConfigError
    from gateway.wiring import idle_processors, load_application, spool_faults

    warnings: list[str] = []
    faults: list[Fault] = []
    try:
        app = load_application(current_place(), command_environ())
    except ConfigError as error:
        faults = error.faults
    else:
        idle = idle_declarations(current_place().processors)
        warnings = [*app.config.warnings, *idle, *idle_processors(app)]
        faults = spool_faults(app.config)
        if not offline:
            faults += redis_faults(app, find_url(app))
    _show(faults, warnings, as_json=as_json)
    sys.exit(BAD_CONFIG if faults else 0)


def _show(faults: "list[Fault]", warnings: list[str], *, as_json: bool) -> None:
    if as_json:
        rows = [asdict(fault) for fault in faults]
        print_json({"ok": not faults, "faults": rows, "warnings": warnings})
        return
    for fault in faults:
        print_text(str(fault))
    for warning in warnings:
        note(f"warning: {warning}")
    if faults:
        note(f"{counted(len(faults), 'fault')}.")
    else:
        print_text("No faults.")
