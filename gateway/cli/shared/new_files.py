"""Files that a command makes: all of them or none, and never over another one unasked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gateway.cli.shared.exits import FAILED, fail
from gateway.cli.shared.printing import note, print_json, print_text, printable, short

force_option = click.option("--force", is_flag=True, help="Write over files that are there.")


@dataclass(frozen=True, slots=True)
class Made:
    """What was made, for whoever asked. `steps`: the next commands, and what for."""

    files: Mapping[Path, str]
    about: Mapping[str, Any]
    notes: Sequence[str]
    steps: Sequence[tuple[str, str]]


def write_files(texts: Mapping[Path, str], *, force: bool) -> None:
    """Raises nothing: status 1 with the reason, before anything is written."""
    there = [short(str(path)) for path in texts if path.exists()]
    if there and not force:
        fail(
            FAILED, f"{', '.join(there)}: there already. --force writes over it, --name makes another."
        )
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(FAILED, f"{error.filename}: cannot be written: {error.strerror}")


def tell(made: Made, *, as_json: bool) -> None:
    """Files on stdout, what to do next on stderr."""
    files = {short(str(path.resolve())): what for path, what in made.files.items()}
    if as_json:
        steps = [command for command, _ in made.steps]
        print_json({**made.about, "files": list(files), "notes": list(made.notes), "next": steps})
        return
    wide = max(map(len, files))
    for name, what in files.items():
        print_text(f"{printable(name).ljust(wide)}  {what}".rstrip())
    for text in made.notes:
        note(f"\n{text}")
    note("\nNext:")
    wide = max(len(command) for command, _ in made.steps)
    for command, why in made.steps:
        note(f"  {command.ljust(wide)}  {f'# {why}' if why else ''}".rstrip())
