"""`hookline schema`: JSON Schemas of the configuration files, for editors.

They describe a file as it is written: durations and sizes as text, and no null, which TOML has not.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.shared.printing import note

if TYPE_CHECKING:
    from pydantic import BaseModel

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
TITLES: Final = {
    "gateway": "Hookline: gateway.toml",
    "source": "Hookline: sources/NAME.toml",
    "preset": "Hookline: presets/NAME.toml",
}


@click.command()
@click.argument("which", type=click.Choice(list(TITLES)), default="gateway")
@click.option(
    "--write",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write all of them to DIR/NAME.json instead.",
)
def command(which: str, write: Path | None) -> None:
    """Print the JSON Schema of gateway.toml (default), of a source's file, or of a preset's."""
    if write is None:
        click.echo(text_of(which), nl=False)
        return
    write.mkdir(parents=True, exist_ok=True)
    for name in TITLES:
        (write / f"{name}.json").write_text(text_of(name), encoding="utf-8")
        note(f"{write / name}.json")


def text_of(which: str) -> str:
    return json.dumps(schema_of(which), indent=2, ensure_ascii=False) + "\n"


def schema_of(which: str) -> dict[str, Any]:
    """The schema of one kind of file, by its name in TITLES."""
    schema = _as_written(_model(which).model_json_schema())
    return {"$schema": DRAFT, **schema, "title": TITLES[which]}


def _model(which: str) -> "type[BaseModel]":
    from gateway.catalogue import Preset
    from gateway.settings import Settings
    from gateway.sources import SourceFile

    models: dict[str, type[BaseModel]] = {
        "gateway": Settings,
        "source": SourceFile,
        "preset": Preset,
    }
    return models[which]


def _as_written(node: Any) -> Any:
    """Defaults in the file's notation; no null; no titles that only repeat a key's name."""
    if isinstance(node, list):
        return [_as_written(each) for each in node]
    if not isinstance(node, dict):
        return node
    node = _without_null(node)
    default = _default(node)
    written = {
        key: _properties(value) if key == "properties" else _as_written(value)
        for key, value in node.items()
        if key != "default" and not (key == "title" and isinstance(value, str))
    }
    return written if default is None else {**written, "default": default}


def _properties(named: dict[str, Any]) -> dict[str, Any]:
    """Keys of a file, of which one may be named `default`."""
    return {name: _as_written(value) for name, value in named.items()}


def _without_null(node: dict[str, Any]) -> dict[str, Any]:
    kinds = [each for each in node.get("anyOf", ()) if each != {"type": "null"}]
    if len(kinds) == 1:
        return {**{key: value for key, value in node.items() if key != "anyOf"}, **kinds[0]}
    return {**node, "anyOf": kinds} if kinds else node


def _default(node: dict[str, Any]) -> Any:
    """As it would be written. A table has none of its own: its keys have."""
    from gateway.units import duration_text, size_text

    match node.get("default"):
        case dict():
            return None
        case float(seconds) if "string" in [
            each.get("type") for each in (node, *node.get("anyOf", ()))
        ]:
            return duration_text(seconds)
        case int(size) if {"type": "integer", "minimum": 0} in node.get("anyOf", ()):
            return size_text(size)
        case value:
            return value
