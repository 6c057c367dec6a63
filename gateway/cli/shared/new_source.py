"""A new source's file, and what is left to a person: secret, options, the provider's settings."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

import click

from gateway.catalogue import Preset, load_preset, preset_names
from gateway.catalogue.left_out import why_left_out
from gateway.cli.shared.deployment import current_place
from gateway.cli.shared.exits import NOT_FOUND, fail, fail_unknown
from gateway.cli.shared.new_files import Made
from gateway.cli.shared.source_sample import sample_source
from gateway.core.event import INTERNAL
from gateway.sources.file import NAME

SCHEMA: Final = "docs/schema/source.json"
HOST: Final = "https://YOUR-HOST"
EXAMPLE: Final = "https://hooks.example.com"  # what the sample of a source has


def preset_or_exit(name: str) -> Preset:
    """Status 3 for one that there is not, with the nearest, or why it stayed out."""
    if name in preset_names():
        return load_preset(name)
    if reason := why_left_out(name):
        fail(NOT_FOUND, reason)
    return fail_unknown("preset", name, list(preset_names()))


def source_text(path: Path, name: str, preset_name: str, preset: Preset) -> str:
    """The file. Wrong usage for a name that no source can have."""
    if not re.fullmatch(NAME, name) or name == INTERNAL:
        why = "use lower-case letters, digits and hyphens"
        why = "that is the source of what processors emit" if name == INTERNAL else why
        raise click.BadParameter(f"{name!r} is no source name: {why}.", param_hint="--name")
    _, *rest = sample_source(name, preset).splitlines()
    lines = [f'preset = "{preset_name}"', *(line.replace(EXAMPLE, base_url()) for line in rest)]
    root = path.parent.parent.parent
    schema = ["#:schema ../../docs/schema/source.json"] if (root / SCHEMA).exists() else []
    return "\n".join([*schema, *lines]) + "\n"


def base_url() -> str:
    """What providers call, as the settings have it; else a word to fill in."""
    from gateway.configuration import read_file
    from gateway.settings import Settings

    path = current_place().config / "gateway.toml"
    settings = read_file(path, Settings, []) if path.exists() else None
    return ((settings and settings.server.public_url) or EXAMPLE).rstrip("/")


def told_of(path: Path, name: str, preset_name: str, preset: Preset, text: str) -> Made:
    data: dict[str, Any] = tomllib.loads(text)
    variables = [each[4:] for each in _references(data) if each.startswith("env:")]
    base = base_url()
    url = f"{HOST if base == EXAMPLE else base}/hooks/{name}"
    about = {"name": name, "preset": preset_name, "url": url, "set": variables}
    about |= {"links": list(preset.links)}
    learns = any(each.learn for each in preset.handshakes)
    notes = [*_left(data, preset, path), _told_provider(preset, url)]
    first = [(f"export {each}=...", "the provider's settings have it") for each in variables]
    taught = [(f"hookline handshake arm {name}", "then create the webhook")] if learns else []
    steps = [*first, ("hookline check", ""), *taught, (f"hookline new processor {name} EVENT", "")]
    return Made({path: f"{preset.name}, as the source {name}"}, about, notes, steps)


def _references(data: dict[str, Any]) -> list[str]:
    return [*data.get("secrets", ()), *data.get("options", {}).values()]


def _left(data: dict[str, Any], preset: Preset, path: Path) -> list[str]:
    """What the file has a placeholder for."""
    lines = [
        f"Fill in options.{key} in {path}: {preset.options[key].about}"
        for key, value in data.get("options", {}).items()
        if value == "..."
    ]
    if str(data.get("public_url", "")).startswith(EXAMPLE):
        lines.append(f"Fill in public_url in {path}: {preset.name} signs the URL.")
    return lines


def _told_provider(preset: Preset, url: str) -> str:
    pages = [link for link in preset.links if "//github.com/" not in link] or preset.links
    links = "\n".join(f"    {link}" for link in pages)
    return (
        f"Tell {preset.name} this URL: {url}\nWhere its settings are, and its secret in them:\n{links}"
    )
