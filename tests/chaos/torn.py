"""`scripts/chaos torn`: the server's file ends in the middle of a write, as a power cut leaves it.

Calls of the ledger are made one by one, and after each the size of the append-only file and the whole
database are noted. Then the file is cut at a byte, a server is started on it, and its whole database
must be that of the last call whose bytes were all there: a call is there wholly, or not at all.
"""

import random
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from gateway.core.delivery import Claimed
from tests.adapters.ledger_rig import EXHAUSTED, LEASE, Rig, a_source
from tests.chaos.report import Report
from tests.e2e.redis_server import RedisServer

Snapshot = dict[bytes, tuple[bytes | None, int]]
MOST_FAULTS: Final = 10


@dataclass(frozen=True, slots=True)
class Point:
    """After a call: how far the file reached, and what there was."""

    name: str
    size: int
    found: Snapshot


class Story:
    """What is done to the ledger: its calls by chance, each with what is there to do it to."""

    def __init__(self, rig: Rig, chance: random.Random) -> None:
        self._rig = rig
        self._chance = chance
        self._held: list[Claimed] = []
        self._events = 0
        self._steps: dict[str, Callable[[], object]] = {
            "accept": self._accept,
            "accept a repeat": lambda: self._rig.accept(str(max(self._events - 1, 0))),
            "claim": self._claim,
            "finish": self._end,
            "retry": lambda: self._end(None),
            "bury": lambda: self._end(EXHAUSTED),
            "lease over": lambda: self._rig.pass_time(LEASE),
            "sweep": self._rig.sweep,
        }

    def steps(self, many: int) -> Iterator[str]:
        """The name of each call, when it has been answered."""
        names = list(self._steps)
        for _ in range(many):
            name = self._chance.choices(names, weights=(4, 1, 4, 3, 1, 1, 1, 1))[0]
            self._steps[name]()
            yield name

    def _accept(self) -> None:
        many = self._chance.randint(1, 5)
        values = [str(self._events + number) for number in range(many)]
        self._events += many
        processors = ("archive", "notify")[: self._chance.randint(1, 2)]
        self._rig.accept(*values, source=a_source(), processors=processors)

    def _claim(self) -> None:
        rows = self._rig.claim(("github", self._chance.randint(1, 4)))
        self._held += [row for row in rows if isinstance(row, Claimed)]

    def _end(self, *decision: object) -> None:
        if self._held:
            held = self._held.pop(self._chance.randrange(len(self._held)))
            self._rig.finish(held, *decision)  # type: ignore[arg-type]  # one decision, or its default


def record(folder: Path, calls: int, chance: random.Random) -> list[Point]:
    """Runs a story on a server in this folder, which is killed at the end."""
    points = []
    with RedisServer(folder) as server, server.client() as client:
        rig = Rig(client)
        points.append(Point("start", _log(folder).stat().st_size, rig.snapshot()))
        for name in Story(rig, chance).steps(calls):
            points.append(Point(name, _log(folder).stat().st_size, rig.snapshot()))
    return points


def found_after(recorded: Path, folder: Path, cut: int) -> Snapshot:
    """What a server finds that starts on the recorded files, cut at this byte."""
    shutil.copytree(recorded, folder)
    with _log(folder).open("r+b") as file:
        file.truncate(cut)
    try:
        with RedisServer(folder) as server, server.client() as client:
            return Rig(client).snapshot()
    finally:
        shutil.rmtree(folder)


def campaign(root: Path, calls: int, most: int, seed: int) -> Report:
    recorded = root / "recorded"
    recorded.mkdir()
    chance = random.Random(seed)
    points = record(recorded, calls, chance)
    cuts = range(points[0].size, points[-1].size + 1)
    chosen = sorted(chance.sample(cuts, most)) if most < len(cuts) else list(cuts)
    report = Report(f"a file that ends too early, seed {seed}")
    report.figures |= {
        "calls of the ledger": calls,
        "bytes": len(cuts),
        "cuts": 0,
        "  at a call's end": 0,
    }
    for cut in with_progress(chosen):
        last = next(point for point in reversed(points) if point.size <= cut)
        report.figures["cuts"] += 1
        report.figures["  at a call's end"] += last.size == cut
        if found_after(recorded, root / "cut", cut) != last.found:
            report.faults.append(f"cut at byte {cut}: not what there was after {last.name!r}")
    report.figures["not as after the last whole call"] = len(report.faults)
    del report.faults[MOST_FAULTS:]
    return report


def with_progress(cuts: list[int]) -> Iterable[int]:
    if not sys.stderr.isatty():
        yield from cuts
        return
    with click.progressbar(cuts, label="cuts", file=sys.stderr) as bar:
        yield from bar


@click.command()
@click.option("--calls", default=60, show_default=True, help="Of the ledger, before the cut.")
@click.option("--most", default=1000, show_default=True, help="Cuts; by chance where there are more.")
@click.option("--seed", default=None, type=int, help="Of the calls and the cuts; default: by chance.")
def main(calls: int, most: int, seed: int | None) -> None:
    """Cut the server's file at a byte, and start on it; exit status 1 when a rule was broken."""
    chosen = random.randrange(10**6) if seed is None else seed
    with TemporaryDirectory(prefix="hookline-chaos-") as folder:
        report = campaign(Path(folder), calls, most, chosen)
    click.echo(str(report))
    sys.exit(bool(report.faults))


def _log(folder: Path) -> Path:
    """The append-only file that grows."""
    (found,) = (folder / "appendonlydir").glob("*.incr.aof")
    return found


if __name__ == "__main__":
    main()
