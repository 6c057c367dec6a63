"""What the benchmarks share: options, one server for a run, interleaved rounds, CPU by request."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.hookline import Hookline
from benchmarks.processes import cpu_seconds
from benchmarks.report import Row, Table, medians
from benchmarks.server import Server


@dataclass(frozen=True, slots=True)
class Options:
    """How long and how often; `quick` is for trying it out, not for figures to quote."""

    rounds: int = 3
    seconds: float = 5.0
    warmup: float = 1.0
    connections: int = 32
    jobs: int = 20_000
    pending: int = 200_000
    webhooks: int = 300
    only: tuple[str, ...] = ()
    compiled: bool = False
    """Where no peer says whether Hookline is compiled (`ingest` and `drain` have it both ways)."""

    @classmethod
    def quick(cls) -> "Options":
        return cls(rounds=1, seconds=1.0, warmup=0.5, jobs=2000, pending=20_000, webhooks=40)


@dataclass(frozen=True, slots=True)
class Bench:
    """One run: its options, its server and a directory of its own."""

    options: Options
    store: Server
    directory: Path

    def place(self, name: str) -> Path:
        """A directory for one peer's files and log."""
        place = self.directory / name.replace(" ", "-").replace("/", "-")
        place.mkdir(exist_ok=True)
        return place

    def deployment(self, name: str, function: str = "nothing") -> Hookline:
        """Hookline on this run's server, its files made; `function` is what its processor does."""
        return Hookline(self.place(name), self.store.url, function, self.options.compiled).write()

    def wanted(self, names: Sequence[str]) -> list[str]:
        """Those that the command line asked for: all, or any that it names by a part."""
        return [
            name for name in names if not self.options.only or any(o in name for o in self.options.only)
        ]

    def interleave(self, title: str, names: Sequence[str], measure: Callable[[str], Row]) -> Table:
        """Round after round, each starting with another name: a slow minute slows all of them."""
        rows: list[Row] = []
        for number in range(self.options.rounds):
            turn = number % max(1, len(names))
            for name in [*names[turn:], *names[:turn]]:
                rows.append(measure(name))
                say(f"{title}, round {number + 1}: {_brief(rows[-1])}")
        found = {row.name: row for row in medians(rows)}
        return Table(title, [found[name] for name in names], rounds=rows)


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def _brief(row: Row) -> str:
    first, value = next(iter(row.figures.items()))
    return f"{row.name}: {value:,.1f} {first}" + "".join(f" ! {fault}" for fault in row.faults)


@dataclass(slots=True)
class Used:
    """Seconds by the clock and of CPU, of a process tree and of the server, inside a `metered`."""

    clock: float = 0.0
    process: float = 0.0
    redis: float = 0.0

    def microseconds(self, count: float) -> tuple[float, float]:
        """Of the process and of the server, for one of so many requests or jobs."""
        share = 1e6 / count if count else float("nan")
        return self.process * share, self.redis * share


@contextmanager
def metered(pid: int, store: Server) -> Iterator[Used]:
    """What the block cost; the figures are there once it has ended."""
    used = Used()
    began, process, redis = time.perf_counter(), cpu_seconds(pid), store.cpu_seconds()
    yield used
    used.clock = time.perf_counter() - began
    used.process, used.redis = cpu_seconds(pid) - process, store.cpu_seconds() - redis
