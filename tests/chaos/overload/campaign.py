"""`scripts/chaos overload`: a source that behaves, before and while others do not.

A real gateway, real workers, and everything as it is by default. Windows of quiet and of trouble take
turns in one run, so that what else the machine does falls on both. The rules that are counted by:

* The good source is never refused, and never goes unanswered.
* Its p99 (from when a request was due to its answer) during trouble is at most twice that of quiet.
* So is the p99 from received to started of its processor.

Below a floor (10 ms) a ratio says more about the machine than about us, and breaks no rule. Where the
trouble takes all that the machine gives, everybody waits: there the rule is an answer within a second.
"""

import json
import math
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import click

from gateway.units import size_text
from tests.chaos.overload.bench import Bench, Timed, a_bench, benches
from tests.chaos.rig import own_server

WORST_RATIO: Final = 2.0
FLOOR_SECONDS: Final = 0.010
SETTLE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Case:
    """`rate`: of what comes at a rate, requests a second; of a backlog, how many events.
    `floor`: a p99 within so many seconds is good enough, whatever the ratio. `ramp`: so many seconds of
    trouble are not looked at."""

    says: str
    rate: float = 0.0
    rounds: int = 2
    floor: float = FLOOR_SECONDS
    ramp: float = 1.0


CASES: Final[dict[str, Case]] = {
    "quiet": Case("nothing: what the machine does by itself"),
    "neighbour": Case("another source sends ten times as much, all of it genuine", rate=500),
    "forged": Case("twenty times as many forged requests for the good source", rate=1000),
    "forged-most": Case("forged requests, as many as the machine gives", floor=1.0),
    "oversized": Case("bodies of 4 MiB, four times the limit, said beforehand or not", rate=50),
    "slow-heads": Case("1,000 connections that send their head a byte a second"),
    "slow-bodies": Case("1,000 connections that send their body a byte a second"),
    "idle": Case("1,000 connections that send nothing"),
    "churn": Case("500 connections a second that are opened and closed", rate=500),
    "fail": Case("a source at the same rate, whose processor always fails", rate=50),
    "backlog": Case("20,000 events of another source wait", rate=20_000),
    "hang": Case("a source whose processor hangs, its time limit an hour", rate=50),
    # Each worker is taken down once before it is known what does it.
    "kill": Case("a source whose processor kills its process", rate=2, rounds=1, ramp=8.0),
}


@dataclass(frozen=True, slots=True)
class Spread:
    """Of so many latencies, in milliseconds."""

    many: int
    p50: float
    p99: float
    most: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        ordered = sorted(seconds) or [math.nan]
        shares = (ordered[max(0, math.ceil(len(ordered) * share) - 1)] for share in (0.5, 0.99, 1.0))
        return cls(len(seconds), *(round(1000 * each, 1) for each in shares))

    def __str__(self) -> str:
        return f"{self.p50:g} / {self.p99:g} / {self.most:g}"


@dataclass(slots=True)
class Row:
    """One case: what the good source saw, and what it cost."""

    case: str
    answers: tuple[Spread, Spread]
    starts: tuple[Spread, Spread]
    refused: int
    told: dict[str, int] = field(default_factory=dict)
    memory: int = 0
    files: int = 0
    deaths: int = 0
    faults: list[str] = field(default_factory=list)

    def judge(self) -> None:
        if self.refused:
            self.faults.append(f"{self.refused} requests of the good source were not answered 200")
        for what, (before, during) in (("answered", self.answers), ("started", self.starts)):
            ratio = during.p99 / before.p99
            if not during.many:
                self.faults.append(f"nothing was {what}")
            elif ratio > WORST_RATIO and during.p99 > 1000 * CASES[self.case].floor:
                self.faults.append(f"{what} within {during.p99:g} ms (p99), {ratio:.1f} times as long")


def measure(bench: Bench, name: str, seconds: float, hurry: float = 1.0) -> Row:
    """`hurry`: what of each wait is enough, in a test of this campaign."""
    case = CASES[name]
    told: dict[str, int] = {}
    quiet, trouble = [], []
    with bench.good():
        bench.watch(hurry)
        for _ in range(case.rounds):
            quiet.append(_window(bench, seconds))
            with bench.trouble(name, case.rate, told):
                bench.watch(case.ramp * hurry)
                trouble.append(_window(bench, seconds))
            bench.settle(SETTLE_SECONDS if case.rounds > 1 else 0, hurry)
    sent, started = bench.sent(), bench.started()
    row = Row(
        name,
        (_spread(sent, quiet), _spread(sent, trouble)),
        (_spread(started, quiet), _spread(started, trouble)),
        refused=sum(each.status != 200 for each in sent),
        told=told,
        memory=bench.most_memory,
        files=bench.most_files,
        deaths=bench.deaths,
    )
    row.judge()
    return row


Window = tuple[float, float]


def _window(bench: Bench, seconds: float) -> Window:
    began = time.time()
    bench.watch(seconds)
    return began, time.time()


def _spread(timed: Sequence[Timed], windows: Sequence[Window]) -> Spread:
    return Spread.of(
        [each.seconds for each in timed if any(began <= each.at < end for began, end in windows)]
    )


def campaign(
    root: Path,
    url: str,
    name: str,
    seconds: float,
    rate: float,
    workers: int,
    hurry: float = 1.0,
    settings: str = "",
) -> Row:
    with benches(a_bench(root, settings), url, workers, rate) as bench:
        return measure(bench, name, seconds, hurry)


HEADS: Final = (
    f"{'':<12}{'answered, ms: p50 / p99 / max':^44}{'x':>6}"
    f"{'started, ms: p50 / p99 / max':^44}{'x':>6}\n"
    f"{'case':<12}{'before':^22}{'during':^22}{'':>6}{'before':^22}{'during':^22}{'':>6}"
    f"{'memory':>9}{'files':>7}  what the others were told"
)


def line(row: Row) -> str:
    columns = ""
    for before, during in (row.answers, row.starts):
        columns += f"{before!s:^22}{during!s:^22}{during.p99 / before.p99:>6.1f}"
    told = ", ".join(f"{word} {many:,}" for word, many in sorted(row.told.items()))
    died = f"; workers that died {row.deaths}" if row.deaths else ""
    faults = "".join(f"\n  FAULT: {each}" for each in row.faults)
    return f"{row.case:<12}{columns}{size_text(row.memory):>9}{row.files:>7}  {told}{died}{faults}"


@click.command()
@click.option("--seconds", default=10.0, show_default=True, help="Of a window; a case has four.")
@click.option("--rate", default=50.0, show_default=True, help="Requests a second of the good source.")
@click.option("--workers", default=2, show_default=True, help="Worker processes.")
@click.option("--seed", default=None, type=int, help="Of the cases' sequence; default: by chance.")
@click.option("--case", "cases", multiple=True, type=click.Choice([*CASES]), help="Only this one.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a case.")
def main(
    seconds: float, rate: float, workers: int, seed: int | None, cases: tuple[str, ...], as_json: bool
) -> None:
    """Flood, stall and poison, and time a source that behaves; exit status 1 when it suffers.

    About 50 seconds a case.
    """
    chosen = random.randrange(10**6) if seed is None else seed
    wanted = random.Random(chosen).sample(cases or [*CASES], len(cases or CASES))
    if not as_json:
        click.echo(
            f"Overload, windows of {seconds:g} s, {rate:g} requests a second, seed {chosen}\n{HEADS}"
        )
    faults = False
    for number, name in enumerate(wanted, 1):
        if sys.stderr.isatty():
            click.echo(f"{number} of {len(wanted)}: {name}: {CASES[name].says}\r", nl=False, err=True)
        with own_server() as (root, url):
            row = campaign(root, url, name, seconds, rate, workers)
        click.echo(json.dumps(asdict(row)) if as_json else line(row))
        if row.faults and not as_json:
            click.echo(f"  again: scripts/chaos overload --seconds {seconds:g} --case {name}")
        faults |= bool(row.faults)
    sys.exit(faults)


if __name__ == "__main__":
    main()
