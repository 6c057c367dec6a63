"""`hookline plugins`: every processor that was found, and where it comes from."""

import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.shared.deployment import current_place
from gateway.cli.shared.exits import BAD_CONFIG
from gateway.cli.shared.options import json_option, place_options
from gateway.cli.shared.printing import note, print_json, short
from gateway.cli.shared.tables import print_table

if TYPE_CHECKING:
    from gateway.plugins import Processor

COLUMNS: Final = ("name", "source", "events", "kind", "timeout", "model", "origin", "registry")
STEPS: Final = (("registry", 0), ("model", 0), ("timeout", 0), ("kind", 0), ("events", 12))


@click.command()
@place_options
@json_option
def command(as_json: bool) -> None:
    """List the processors and where they come from: the processors folder and installed packages.

    Exit status 78 when a module cannot be imported or two processors have one name.
    """
    from gateway.discovery import discover

    processors, faults = discover(current_place().processors)
    facts = [facts_of(each) for each in processors.values()]
    if as_json:
        print_json({"processors": facts, "faults": [asdict(fault) for fault in faults]})
    else:
        print_table(COLUMNS, [_row(each) for each in facts], STEPS)
        for fault in faults:
            note(str(fault))
        if not (facts or faults):
            note("No processors.")
    sys.exit(BAD_CONFIG if faults else 0)


def facts_of(processor: "Processor") -> dict[str, Any]:
    """`timeout` in seconds; None: the source's attempt_timeout."""
    return {
        "name": processor.name,
        "source": processor.source,
        "events": list(processor.events),
        "kind": "async" if processor.is_async else "sync",
        "timeout": processor.timeout,
        "model": processor.model.__name__ if processor.model else None,
        "origin": short(processor.origin),
        "registry": _package_of(processor) or short(processor.origin.rpartition(":")[0]),
    }


def _row(facts: dict[str, Any]) -> list[Any]:
    from gateway.units import duration_text

    timeout = facts["timeout"]
    shown = {
        "events": ", ".join(facts["events"]),
        "timeout": duration_text(timeout) if timeout else "source's",
    }
    return [shown.get(name, facts[name]) for name in COLUMNS]


def _package_of(processor: "Processor") -> str | None:
    """The installed package whose registry has it, as its entry point names it."""
    from importlib.metadata import entry_points

    from gateway.discovery import ENTRY_POINTS

    for entry in entry_points(group=ENTRY_POINTS):
        with suppress(Exception, SystemExit):  # what cannot be loaded is a fault already
            if any(each is processor for each in entry.load().processors):
                return f"{entry.dist.name if entry.dist else 'package'} ({entry.value})"
    return None
