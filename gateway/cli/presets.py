"""`hookline presets`: the providers that are known, and how each of them behaves as a sender."""

from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.shared.exits import fail_unknown
from gateway.cli.shared.facts import show_facts
from gateway.cli.shared.listing import ListingGroup
from gateway.cli.shared.options import json_option
from gateway.cli.shared.printing import print_json
from gateway.cli.shared.tables import print_table

if TYPE_CHECKING:
    from gateway.catalogue import Preset

COLUMNS: Final = ("id", "name", "scheme", "trust", "retries", "link")
STEPS: Final = (("link", 0), ("name", 20), ("trust", 0))


@click.group(cls=ListingGroup)
def command() -> None:
    """List the providers that are known, or show one."""


@command.command("list")
@json_option
def list_presets(as_json: bool) -> None:
    """List the providers that are known. `hookline presets show NAME` tells all about one."""
    from gateway.catalogue import load_preset, preset_names

    presets = [(name, load_preset(name)) for name in preset_names()]
    if as_json:
        print_json([facts_of(name, preset) for name, preset in presets])
    else:
        print_table(COLUMNS, [_row(name, preset) for name, preset in presets], STEPS)


@command.command("show")
@click.argument("name")
@json_option
def show_preset(name: str, as_json: bool) -> None:
    """Show one preset: what is signed, where id and type are, when it tries again."""
    from gateway.catalogue import load_preset, preset_names

    if name not in preset_names():
        fail_unknown("preset", name, list(preset_names()))
    show_facts(facts_of(name, load_preset(name)), as_json=as_json)


def _row(name: str, preset: "Preset") -> tuple[str, ...]:
    verify, sender = preset.verify, preset.sender
    return (name, preset.name, verify.scheme, preset.trust, sender.retries, preset.links[0])


def facts_of(name: str, preset: "Preset") -> dict[str, Any]:
    """The preset as data. Times in seconds, sizes in bytes; what it leaves open is left out."""
    return {"id": name, **preset.model_dump(mode="json", exclude_none=True)}
