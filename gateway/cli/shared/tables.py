"""Tables without a frame: they can be read, grepped and cut.

Into a pipe or a file goes all of it. On a terminal a table is fitted to the width: each says which of
its columns give way, and in which order. What must be copied, an id of ours, never does.
"""

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from gateway.cli.shared.printing import note, printable

Steps = Sequence[tuple[str, int]]  # a column, and how narrow it may become; 0: it is left out


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], steps: Steps = ()) -> None:
    """Nothing when there are no rows. `steps`: what gives way, first things first."""
    texts = [[_cell(cell) for cell in row] for row in rows]
    if not texts:
        return
    widths = {
        name: max(map(len, column)) for name, *column in zip(columns, columns, *texts, strict=True)
    }
    if sys.stdout.isatty():
        widths = fitted(widths, steps, shutil.get_terminal_size().columns)
    click.secho(_line([name.upper() for name in columns], columns, widths), bold=True)
    for row in texts:
        click.echo(_line(row, columns, widths))
    left_out = [name.upper() for name in columns if name not in widths]
    if left_out:
        note(f"No room for {', '.join(left_out)}: --json has everything.")


def fitted(widths: Mapping[str, int], steps: Steps, room: int) -> dict[str, int]:
    """The widths of the columns that stay, in all no more than `room` if the steps lead there."""
    kept = dict(widths)
    for name, least in steps:
        if _room_left(kept, room) >= 0:
            break
        kept[name] = min(kept[name], least)
        if not least:
            del kept[name]
    for name, full in widths.items():  # what was left out has made room for what had been cut before
        if name in kept:
            kept[name] += max(0, min(full - kept[name], _room_left(kept, room)))
    return kept


def _room_left(widths: Mapping[str, int], room: int) -> int:
    return room - sum(widths.values()) - 2 * (len(widths) - 1)


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _cell(value: Any) -> str:
    return "-" if value in (None, "") else printable(str(value))


def _line(cells: Sequence[str], columns: Sequence[str], widths: Mapping[str, int]) -> str:
    shown = [
        shortened(cell, widths[name]).ljust(widths[name])
        for cell, name in zip(cells, columns, strict=True)
        if name in widths
    ]
    return "  ".join(shown).rstrip()
