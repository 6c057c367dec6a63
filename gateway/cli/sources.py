"""`hookline sources`: what each configured sender adds up to. Secrets are shown by reference only."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.common import (
    NOT_FOUND,
    current_place,
    fail,
    json_option,
    load_or_exit,
    place_options,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from gateway.application import Application
    from gateway.core.source import Source
    from gateway.sources import SourceFile

COLUMNS: Final = (
    "name",
    "path",
    "proof",
    "secrets",
    "allow_ips",
    "rate_limit",
    "max_body",
    "dedup_window",
    "attempts",
    "queue",
    "concurrency",
    "processors",
)
TIMES: Final = (("d", 86400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0))
SIZES: Final = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


@click.group(invoke_without_command=True)
@place_options
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the configured sources; `hookline sources show NAME` tells everything about one."""
    context.obj = as_json
    if context.invoked_subcommand:
        return
    app = load_or_exit()
    facts = [facts_of(source, app) for source in app.config.sources]
    if as_json:
        print_json(facts)
    else:
        print_table(COLUMNS, [_row(each) for each in facts])


@command.command()
@click.argument("name")
@place_options
@json_option
@click.pass_obj
def show(json_for_all: bool, name: str, as_json: bool) -> None:
    """Everything about one source: what its file, its preset and the defaults add up to."""
    app = load_or_exit()
    source = app.config.source(name)
    if source is None:
        known = ", ".join(each.name for each in app.config.sources)
        fail(NOT_FOUND, f"No source is named {name!r}. Configured: {known}")
    show_facts(facts_of(source, app), as_json=as_json or json_for_all)


def facts_of(source: "Source", app: "Application") -> dict[str, Any]:
    """One source with times in seconds and sizes in bytes, and without its keys."""
    file = _file_of(source)
    retry, answer = source.retry, source.acknowledgement
    networks = source.allowed.networks
    wanting = [each for each in app.processors.values() if each.source == source.name]
    return {
        "name": source.name,
        "path": source.path,
        "methods": list(source.methods),
        "preset": source.preset,
        "scheme": _scheme_of(source, file),
        "secrets": list(file.secrets),
        "queue": source.queue,
        "allow_ips": None if networks is None else [str(network) for network in networks],
        "trusted_proxies": source.trusted_proxies,
        "rate_limit": source.rate_limit,
        "max_body": source.max_body,
        "dedup_window": source.dedup_window,
        "retention": source.retention,
        "revive_dead": source.revive_dead,
        "attempt_timeout": source.attempt_timeout,
        "concurrency": source.concurrency,
        "retry": {
            "attempts": retry.attempts,
            "first_delay": retry.first_delay,
            "factor": retry.factor,
            "longest_delay": retry.longest_delay,
        },
        "identity": {
            "event_id": [template.text for template in source.identity.event_id],
            "event_type": [template.text for template in source.identity.event_type],
        },
        "acknowledge": {
            "status": answer.status,
            "body": answer.body.decode(),
            "content_type": answer.content_type,
        },
        **_facts_of_preset(source.preset),
        "processors": [
            {"name": each.name, "events": list(each.events), "origin": short(each.origin)}
            for each in wanting
        ],
    }


def _file_of(source: "Source") -> "SourceFile":
    """The file again: a Source has keys where the file has references."""
    from gateway.configuration import read_file
    from gateway.sources import SourceFile

    path = current_place().config / "sources" / f"{source.name}.toml"
    return read_file(path, SourceFile, []) or SourceFile()


def _scheme_of(source: "Source", file: "SourceFile") -> str | None:
    from gateway.catalogue import load_preset

    verify = load_preset(source.preset).verify if source.preset else file.verify
    return verify.scheme if verify else None


def _facts_of_preset(name: str | None) -> dict[str, Any]:
    from gateway.catalogue import load_preset

    if name is None:
        return {}
    preset = load_preset(name)
    return {
        "sender": preset.sender.model_dump(),
        "notes": preset.notes,
        "links": list(preset.links),
    }


def _row(facts: dict[str, Any]) -> list[Any]:
    """The table has one word a cell: how many, where `show` has which."""
    networks = facts["allow_ips"]
    counted = {
        "proof": facts["preset"] or facts["scheme"],
        "secrets": len(facts["secrets"]),
        "allow_ips": "any" if networks is None else len(networks),
        "attempts": facts["retry"]["attempts"],
        "processors": len(facts["processors"]),
    }
    return [counted[name] if name in counted else text_of(name, facts[name]) for name in COLUMNS]


def show_facts(facts: dict[str, Any], *, as_json: bool) -> None:
    """Nested facts as JSON, or as a table of dotted keys, each as it would stand in a file."""
    if as_json:
        print_json(facts)
    else:
        print_table(("key", "value"), _lines(facts))


def _lines(facts: dict[str, Any], table: str = "") -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _lines(value, f"{table}{name}.")
        elif isinstance(value, list):
            yield from _items(table, name, value)
        else:
            yield f"{table}{name}", text_of(name, value)


def _items(table: str, name: str, values: list[Any]) -> Iterator[tuple[str, str]]:
    """A line each with the key on all of them, so that `grep` finds them."""
    if not values:
        yield f"{table}{name}", "none"
    for index, value in enumerate(values):
        if isinstance(value, dict) and name not in TEXTS:
            yield from _lines(value, f"{table}{name}[{index}].")
        else:
            yield f"{table}{name}", text_of(name, value)


def text_of(name: str, value: Any) -> str:
    """One fact for people: `300.0` seconds as 5m, bytes with their unit, absence as what it means."""
    if value is None:
        return "any" if name == "allow_ips" else "-"
    if name in TEXTS:
        return TEXTS[name](value)
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _processor_text(processor: dict[str, Any]) -> str:
    return f"{processor['name']} ({', '.join(processor['events'])}) {processor['origin']}"


def short(path: str) -> str:
    """Relative where it lies below us: shorter, and an editor opens it all the same."""
    return path.removeprefix(f"{Path.cwd()}/")


def duration_text(seconds: float) -> str:
    """As in a file: 300.0 to 5m, 90.0 to 90s, 0.5 to 500ms."""
    for unit, each in TIMES:
        if seconds >= each and seconds % each == 0:
            return f"{seconds / each:.0f}{unit}"
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"


def size_text(many: int) -> str:
    """As in a file: 26214400 to 25MiB, 1500 to 1500B."""
    for unit, size in SIZES:
        if many >= size and many % size == 0:
            return f"{many // size}{unit}"
    return f"{many}B"


TEXTS: Final[dict[str, Callable[[Any], str]]] = {
    "max_body": size_text,
    **dict.fromkeys(
        (
            "dedup_window",
            "retention",
            "attempt_timeout",
            "first_delay",
            "longest_delay",
            "deadline",
            "tolerance",
        ),
        duration_text,
    ),
    "processors": _processor_text,
}
