"""What is in a file of kept requests, told without changing any of it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.adapters.spool.records import BAD_RECORD, unpack
from gateway.core.event import Arrival

ALL: Final = "SELECT number, source, head, bodies, digest FROM kept ORDER BY number"
TOTALS: Final = (
    "SELECT source, count(*), total(size), min(received_at) FROM kept GROUP BY source ORDER BY source"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A request that waits. Numbers grow in the order in which requests came."""

    number: int
    source: str
    arrivals: tuple[Arrival, ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """Requests and bytes by source; `oldest` in Unix seconds, None when there are none."""

    requests: dict[str, int]
    size: int
    oldest: float | None
    set_aside: int

    @property
    def many(self) -> int:
        return sum(self.requests.values())


def look(path: Path) -> Totals:
    """What is in a file that somebody else may have open. Changes nothing. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        return totals_of(db)


def read(path: Path) -> Iterator[Kept]:
    """What can be read in such a file, the oldest first. Changes nothing. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        for number, *columns in db.execute(ALL):
            with suppress(*BAD_RECORD):
                yield Kept(number, columns[0], unpack(*columns))


def totals_of(db: sqlite3.Connection) -> Totals:
    rows: list[Any] = db.execute(TOTALS).fetchall()
    (aside,) = db.execute("SELECT count(*) FROM set_aside").fetchone()
    return Totals(
        {source: many for source, many, _, _ in rows},
        int(sum(size for _, _, size, _ in rows)),
        min((oldest for *_, oldest in rows), default=None),
        aside,
    )
