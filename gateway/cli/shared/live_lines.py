"""One line for each thing that happens, as `hookline dev` and `hookline tail` print it.

Columns grow with what they have held, so that lines stay under one another; on a terminal what went
well, is unfinished or went wrong has its colour.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import click

from gateway.cli.shared.printing import printable

WIDEST: Final = 32
LEAST: Final = (8, 12, 12, 9)
TONES: Final = {
    "done": "green",
    "accepted": "cyan",
    "emitted": "cyan",
    "replayed": "cyan",
    "dead": "red",
    "refused": "red",
    "unavailable": "red",
    "internal_error": "red",
    "failed": "yellow",
    "timed_out": "yellow",
    "crashed": "yellow",
    "retry_asked": "yellow",
    "deferred": "yellow",
}


@dataclass(frozen=True, slots=True)
class Line:
    """`at` in Unix seconds; `ms` what it took, None where that is not known; `word` how it went."""

    at: float
    source: str
    type: str
    processor: str
    word: str
    ms: float | None
    note: str = ""


class LinePrinter:
    """Whatever a sender chose, a type for one, is made safe for a terminal."""

    def __init__(self) -> None:
        self._widths = list(LEAST)

    def show(self, line: Line) -> None:
        click.echo(self.text(line))

    def text(self, line: Line) -> str:
        cells = [each or "·" for each in (line.source, line.type, line.processor, line.word)]
        shown = [self._fitted(number, printable(cell)) for number, cell in enumerate(cells)]
        took = "" if line.ms is None else duration(line.ms)
        rest = "  ".join([*shown, took.rjust(8), printable(line.note)]).rstrip()
        if tone := TONES.get(line.word):
            before = len("  ".join(shown[:3])) + 2
            after = before + len(line.word)
            rest = rest[:before] + click.style(rest[before:after], fg=tone) + rest[after:]
        return f"{click.style(clock_text(line.at), dim=True)}  {rest}"

    def _fitted(self, number: int, cell: str) -> str:
        self._widths[number] = max(self._widths[number], min(len(cell), WIDEST))
        return cell.ljust(self._widths[number])


def clock_text(seconds: float) -> str:
    """The time of day here, to the millisecond."""
    moment = datetime.fromtimestamp(seconds, UTC).astimezone()
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"


def duration(ms: float) -> str:
    """`3 ms`, `1.2 s`, `4 min`, `2 h`."""
    seconds = ms / 1000
    if seconds < 1:
        return f"{ms:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
