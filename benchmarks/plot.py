"""The rates of a run as a picture: one bar for each peer, Hookline's in colour, as SVG."""

from collections.abc import Sequence
from html import escape
from typing import Final

from benchmarks.report import Row, Table

WIDTH, LABEL, BAR, GAP, TITLE = 820, 250, 20, 6, 34
RATES: Final = ("req/s", "jobs/s")
OURS, OTHERS, INK = "#2f6fed", "#a9b3c1", "#1c2330"


def picture(tables: Sequence[Table]) -> str:
    """Of every table whose rows have a rate that was free to grow."""
    parts: list[str] = []
    top = GAP
    for table in tables:
        column = next((each for each in RATES if table.ratios and each in table.ratios), None)
        if column:
            drawn, top = _chart(table, column, top)
            parts += drawn
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}"'
        ' font-family="system-ui, sans-serif" font-size="13">'
    )
    ground = f'<rect width="{WIDTH}" height="{top}" fill="#ffffff"/>'
    return "\n".join([head, ground, *parts, "</svg>"]) + "\n"


def _chart(table: Table, column: str, top: int) -> tuple[list[str], int]:
    rows = sorted(table.rows, key=lambda row: -row.figures[column])
    most = max(row.figures[column] for row in rows)
    title = escape(f"{table.title}: {column}")
    parts = [f'<text x="12" y="{top + 20}" fill="{INK}" font-weight="600">{title}</text>']
    for number, row in enumerate(rows):
        parts += _bar(row, column, most, top + TITLE + number * (BAR + GAP))
    return parts, top + TITLE + len(rows) * (BAR + GAP) + GAP


def _bar(row: Row, column: str, most: float, y: int) -> list[str]:
    long = max(1, round((WIDTH - LABEL - 90) * row.figures[column] / most))
    colour = OURS if row.name.startswith("hookline") else OTHERS
    middle = y + BAR - 6
    return [
        f'<text x="{LABEL - 8}" y="{middle}" fill="{INK}" text-anchor="end">{escape(row.name)}</text>',
        f'<rect x="{LABEL}" y="{y}" width="{long}" height="{BAR}" rx="2" fill="{colour}"/>',
        f'<text x="{LABEL + long + 6}" y="{middle}" fill="{INK}">{row.figures[column]:,.0f}</text>',
    ]
