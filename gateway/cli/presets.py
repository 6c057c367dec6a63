"""`hookline presets`: the providers that are known, and how each of them behaves as a sender."""

from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.common import NOT_FOUND, fail, json_option, print_json, print_table
from gateway.cli.sources import show_facts

if TYPE_CHECKING:
    from gateway.catalogue import Preset

COLUMNS: Final = ("id", "name", "scheme", "trust", "retries", "link")


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the providers that are known; `hookline presets show NAME` tells everything about one."""
    from gateway.catalogue import load_preset, preset_names

    context.obj = as_json
    if context.invoked_subcommand:
        return
    presets = [(name, load_preset(name)) for name in preset_names()]
    if as_json:
        print_json([facts_of(name, preset) for name, preset in presets])
    else:
        print_table(COLUMNS, [row_of(name, preset) for name, preset in presets])


@command.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(json_for_all: bool, name: str, as_json: bool) -> None:
    """Everything about one preset: what is signed, where id and type are, when it tries again."""
    from gateway.catalogue import load_preset, preset_names
    from gateway.faults import suggest

    if name not in preset_names():
        fail(NOT_FOUND, f"No preset is named {name!r}: {suggest(name, list(preset_names()))}")
    show_facts(facts_of(name, load_preset(name)), as_json=as_json or json_for_all)


def row_of(name: str, preset: "Preset") -> tuple[str, ...]:
    verify, sender = preset.verify, preset.sender
    return (name, preset.name, verify.scheme, preset.trust, sender.retries, preset.links[0])


def facts_of(name: str, preset: "Preset") -> dict[str, Any]:
    """The preset as data. Times in seconds, sizes in bytes; what it leaves open is left out."""
    return {"id": name, **preset.model_dump(mode="json", exclude_none=True)}
