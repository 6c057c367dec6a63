"""`hookline sources`: what each configured sender adds up to. Secrets are shown by reference only."""

from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.shared.deployment import current_place, load_or_exit, source_or_exit
from gateway.cli.shared.facts import show_facts, text_of
from gateway.cli.shared.listing import ListingGroup
from gateway.cli.shared.options import json_option, place_options
from gateway.cli.shared.printing import print_json, short
from gateway.cli.shared.tables import print_table
from gateway.cli.shared.uses import use_facts, uses_of

if TYPE_CHECKING:
    from gateway.application import Application
    from gateway.core.reply import Reply, ReplyTemplate
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
STEPS: Final = (
    ("dedup_window", 0),
    ("attempts", 0),
    ("concurrency", 0),
    ("queue", 0),
    ("max_body", 0),
    ("rate_limit", 0),
)


@click.group(cls=ListingGroup)
def command() -> None:
    """List the configured sources, or show one."""


@command.command("list")
@place_options
@json_option
def list_sources(as_json: bool) -> None:
    """List the configured sources, each in a line. `hookline sources show NAME` tells all about one."""
    app = load_or_exit()
    facts = [facts_of(source, app) for source in app.config.sources]
    if as_json:
        print_json(facts)
    else:
        print_table(COLUMNS, [_row(each) for each in facts], STEPS)


@command.command("show")
@click.argument("name")
@place_options
@json_option
def show_source(name: str, as_json: bool) -> None:
    """Show one source: what its file, its preset and the defaults add up to; which secrets are used."""
    app = load_or_exit()
    facts = facts_of(source_or_exit(app, name), app)
    uses = uses_of(app, name)
    facts["secret_use"] = use_facts(uses, facts["secrets"], as_json=as_json)
    show_facts(facts, as_json=as_json)


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
        "url": source.url,
        "secrets": list(file.secrets),
        "queue": source.queue,
        "allow_ips": None if networks is None else [str(network) for network in networks],
        "trusted_proxies": source.trusted_proxies,
        "rate_limit": source.rate_limit,
        "max_body": source.max_body,
        "dedup_window": source.dedup_window,
        "retention": source.retention,
        "on_bad_signature": "quarantine" if source.quarantine else "refuse",
        "spool": source.spool,
        "revive_dead": source.revive_dead,
        "attempt_timeout": source.attempt_timeout,
        "concurrency": source.concurrency,
        "when": str(source.when) if source.when else None,
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
        "acknowledge": _answer(answer),
        **_facts_of_preset(source.preset),
        "processors": [
            {"name": each.name, "events": list(each.events), "origin": short(each.origin)}
            for each in wanting
        ],
    }


def _answer(answer: "Reply | ReplyTemplate") -> dict[str, Any]:
    """The acknowledgement; what it echoes of the request is shown as the template has it."""
    body = answer.body
    return {
        "status": answer.status,
        "body": body.decode() if isinstance(body, bytes) else body.text,
        "content_type": answer.content_type,
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
