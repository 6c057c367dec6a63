"""What a run found: rows of figures, their medians over the rounds, and tables of them."""

import math
import os
import platform
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

NAME_WIDTH = 26


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: figures by column. `faults` say why they are not to be believed."""

    name: str
    figures: dict[str, float]
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """`ratios`: columns that are also given as a multiple of the row called `baseline`."""

    title: str
    rows: list[Row]
    baseline: str = ""
    ratios: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    rounds: list[Row] = field(default_factory=list)
    """What the medians are of."""

    @property
    def doubted(self) -> bool:
        return any(row.faults for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def medians(rounds: Iterable[Row]) -> list[Row]:
    """For each name the median of every figure, and all that was wrong in any round."""
    by_name: dict[str, list[Row]] = {}
    for one in rounds:
        by_name.setdefault(one.name, []).append(one)
    return [_median(name, rows) for name, rows in by_name.items()]


def _median(name: str, rows: list[Row]) -> Row:
    figures = {
        column: statistics.median(row.figures[column] for row in rows) for column in rows[0].figures
    }
    return Row(name, figures, tuple(dict.fromkeys(fault for row in rows for fault in row.faults)))


def render(table: Table) -> str:
    """The table as text. A row with a fault is marked `!`, and the faults stand below."""
    base = next((row for row in table.rows if row.name == table.baseline), None)
    columns = list(table.rows[0].figures) if table.rows else []
    heads = [(column, False) for column in columns]
    for column in table.ratios if base else ():
        heads.insert(heads.index((column, False)) + 1, (column, True))
    width = max([NAME_WIDTH, *(len(row.name) + 1 for row in table.rows)])
    titles = ["ratio" if ratio else column for column, ratio in heads]
    lines = [table.title, " ".join([" " * width, *(f"{title:>9}" for title in titles)])]
    for row in table.rows:
        cells = [_cell(row, base, *head) for head in heads]
        wide = [f"{cell:>{max(9, len(title))}}" for cell, title in zip(cells, titles, strict=True)]
        lines.append(" ".join([f"{row.name + '!' * bool(row.faults):{width}}", *wide]))
    lines += [f"! {row.name}: {fault}" for row in table.rows for fault in row.faults]
    if base and table.ratios:
        lines.append(f"ratio: to {base.name}")
    return "\n".join([*lines, *table.words])


def _cell(row: Row, base: Row | None, column: str, ratio: bool) -> str:
    value = row.figures.get(column, float("nan"))
    if ratio and base:
        value /= base.figures.get(column) or float("nan")
        return "-" if math.isnan(value) else f"{value:.2f}x"
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 or value == 0 else f"{value:,.2f}"


def machine_facts() -> dict[str, str]:
    """What else a figure depends on: the cores, how busy they are, the system, the interpreter."""
    return {
        "cores": str(os.cpu_count()),
        "load before": f"{os.getloadavg()[0]:.1f} runnable in the last minute",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
