"""`hookline plugins`: every processor that was found, and where it comes from."""

import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.shared.deployment import command_environ, current_place
from gateway.cli.shared.exits import BAD_CONFIG
from gateway.cli.shared.options import json_option, place_options
from gateway.cli.shared.printing import note, print_json, short
from gateway.cli.shared.tables import print_table

if TYPE_CHECKING:
    from gateway.core.ordering import Order
    from gateway.plugins import Processor
    from gateway.wiring import Place

COLUMNS: Final = (
    *("name", "source", "events", "when", "kind", "timeout", "retry", "order_by", "takes"),
    *("origin", "registry"),
)
# What nobody has said of any processor needs no column.
OPTIONAL: Final = ("when", "retry", "order_by", "takes")
STEPS: Final = (
    ("registry", 0),
    ("timeout", 0),
    ("kind", 0),
    ("takes", 0),
    ("when", 16),
    ("retry", 16),
    ("events", 12),
    ("when", 0),
    ("retry", 0),
)


@click.command()
@place_options
@json_option
def command(as_json: bool) -> None:
    """List the processors and where they come from: the processors folder, installed packages, and the
    files of the sources.

    Exit status 78 when a module cannot be imported or two processors have one name.
    """
    from gateway.discovery import discover, idle_declarations

    place = current_place()
    built_in, warnings = _built_in(place)
    processors, faults = discover(place.processors, built_in)
    warnings += idle_declarations(place.processors)
    facts = [facts_of(each) for each in processors.values()]
    if as_json:
        listed = [asdict(fault) for fault in faults]
        print_json({"processors": facts, "faults": listed, "warnings": warnings})
    else:
        _show(facts)
        for text in [*map(str, faults), *(f"warning: {each}" for each in warnings)]:
            note(text)
        if not (facts or faults):
            note("No processors.")
    sys.exit(BAD_CONFIG if faults else 0)


def _built_in(place: "Place") -> "tuple[list[Processor] | None, list[str]]":
    """Those of the sources' files, if these are without a fault; and else None and a warning."""
    from gateway.builtin import processor_of
    from gateway.configuration import load_config
    from gateway.faults import ConfigError

    try:
        config = load_config(place.config, command_environ())
    except ConfigError:
        files = sorted((place.config / "sources").glob("*.toml"))
        some = any(b"[[processors]]" in each.read_bytes() for each in files)
        why = "has faults, so its [[processors]] are left out: run hookline check"
        return (None, [f"{short(str(place.config))}: {why}"]) if some else ([], [])
    return [processor_of(each) for each in config.builtin], []


def facts_of(processor: "Processor") -> dict[str, Any]:
    """`timeout` in seconds; None: the source's attempt_timeout. Other Nones: nothing is said."""
    from gateway.plugins.lifespan import Lifespan

    payload = processor.payload
    return {
        "name": processor.name,
        "source": processor.source,
        "events": list(processor.events),
        "when": str(processor.when) if processor.when else None,
        "kind": "async" if processor.is_async else "sync",
        "timeout": processor.timeout,
        "retry": _retry(processor),
        "order_by": _order(processor.order),
        "model": payload.name if payload else None,
        "lifespans": [each.name for each in processor.takes if isinstance(each, Lifespan)],
        "transform": short(processor.transform.origin) if processor.transform else None,
        "origin": short(processor.origin),
        "registry": _package_of(processor) or short(processor.origin.rpartition(":")[0]),
    }


def _retry(processor: "Processor") -> str | None:
    parts = [str(processor.retry)] if processor.retry else []
    for word, kinds in (("on", processor.retry_on), ("not on", processor.give_up_on)):
        if kinds:
            parts.append(f"{word} {', '.join(each.__name__ for each in kinds)}")
    return "; ".join(parts) or None


def _order(order: "Order | None") -> str | None:
    if order is None:
        return None
    how = [", latest only"] if order.latest_only else []
    how += [", blocks when dead"] if order.blocks else []
    return " + ".join(each.text for each in order.paths) + "".join(how)


def _show(facts: list[dict[str, Any]]) -> None:
    rows = [_row(each) for each in facts]
    columns = [name for name in COLUMNS if name not in OPTIONAL or any(row[name] for row in rows)]
    steps = [step for step in STEPS if step[0] in columns]
    print_table(columns, [[row[name] for name in columns] for row in rows], steps)


def _row(facts: dict[str, Any]) -> dict[str, Any]:
    from gateway.units import duration_text

    timeout = facts["timeout"]
    return {
        **facts,
        "events": ", ".join(facts["events"]),
        "timeout": duration_text(timeout) if timeout else "source's",
        "takes": ", ".join(filter(None, [facts["model"], *facts["lifespans"]])),
    }


def _package_of(processor: "Processor") -> str | None:
    """The installed package whose registry has it, as its entry point names it."""
    from importlib.metadata import entry_points

    from gateway.discovery import ENTRY_POINTS

    for entry in entry_points(group=ENTRY_POINTS):
        with suppress(Exception, SystemExit):  # what cannot be loaded is a fault already
            if any(each is processor for each in entry.load().processors):
                return f"{entry.dist.name if entry.dist else 'package'} ({entry.value})"
    return None
