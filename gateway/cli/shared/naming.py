"""Names of what is new: sound ones, and such as nobody has."""

import builtins
import re
from keyword import iskeyword
from pathlib import Path
from typing import Final

import click

from gateway.cli.shared.deployment import current_place
from gateway.cli.shared.exits import FAILED, NOT_FOUND, fail
from gateway.cli.shared.printing import short
from gateway.cli.shared.scaffold import EVENTS
from gateway.core.event import INTERNAL
from gateway.sources import SourceFile
from gateway.sources.file import NAME

MODULE: Final = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
OURS: Final = {"asyncio", "capsys", "event", "form", "gateway", "make_event", "parse_qsl", "payload"}
MORE_OF_OURS: Final = {"pydantic", "pytest", "registry", "samples", "test"}


def module_name(text: str, option: str = "--name") -> str:
    """`text`, if it can be a module, a function and a processor at once; else wrong usage."""
    if not MODULE.fullmatch(text):
        near = slug(text)
        mend = f": {near!r} would be one" if near else ""
        raise click.BadParameter(
            f"{text!r} is no name of a module (a-z, 0-9 and _, at most 40){mend}.", param_hint=option
        )
    if iskeyword(text) or hasattr(builtins, text) or text in OURS | MORE_OF_OURS:
        raise click.BadParameter(
            f"{text!r} means something else in Python or in the file.", param_hint=option
        )
    return text


def events_glob(text: str) -> str:
    """A type or a glob that can stand in a Python text; else wrong usage."""
    if not EVENTS.fullmatch(text):
        mend = "a glob such as 'order*' can stand for it"
        raise click.BadParameter(f"{text!r} cannot be written as it is: {mend}.", param_hint="EVENT")
    return text


def slug(text: str) -> str:
    """A module's name made of any text; empty where nothing is left of it."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return (f"on_{name}" if name[:1].isdigit() else name)[:40].rstrip("_")


def configured_sources() -> dict[str, SourceFile]:
    """The sources by name, secrets set or not; of a file with faults what is sound."""
    from gateway.configuration import read_file

    paths = sorted((current_place().config / "sources").glob("*.toml"))
    named = [path for path in paths if re.fullmatch(NAME, path.stem)]
    return {path.stem: read_file(path, SourceFile, []) or SourceFile() for path in named}


def source_or_mend(name: str) -> SourceFile:
    """The source's file (`internal` has none); status 3 with those there are, and how to add one."""
    from gateway.catalogue import preset_names
    from gateway.faults import suggest

    sources = configured_sources()
    if name == INTERNAL:
        return SourceFile()
    if name not in sources:
        near = suggest(name, list(sources)) if sources else "none is configured"
        configured = f"Configured: {', '.join(sources)}.\n" if "known: " not in near else ""
        preset = name if name in preset_names() else "PRESET"
        fail(
            NOT_FOUND,
            f"No source is named {name!r}: {near}\n{configured if sources else ''}"
            f"`hookline new source {preset}` adds one; `hookline presets` lists the providers.",
        )
    return sources[name]


def refuse_a_clash(name: str, path: Path) -> None:
    """Status 1 where another file's processor has the name; both places are said."""
    from gateway.discovery import discover

    folder = current_place().processors
    found, _ = discover(folder) if folder.is_dir() else ({}, [])
    other = found.get(name)
    if other and Path(other.origin.rpartition(":")[0]).resolve() != path.resolve():
        where, here = short(other.origin), short(str(path.resolve()))
        fail(
            FAILED,
            f"The name {name!r} is taken by {where}; {here} would be the second: give --name another.",
        )
