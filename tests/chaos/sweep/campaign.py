"""`scripts/chaos sweep`: every boundary between two Redis commands of one webhook's path.

An undisturbed run shows which commands there are. Then for each of them, by itself: the connection cut
before or after it, the command late, or swallowed; and the process that sent it goes on, is killed, or
is stopped for longer than a lease. After each, ledger, effect log and the sender's log are compared.
"""

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import click
from redis import Redis

from tests.chaos.proxy import TEXTS
from tests.chaos.rig import own_server
from tests.chaos.sweep import gateway, plain, replay, worker
from tests.chaos.sweep.bench import Bench, Workshop
from tests.chaos.sweep.case import OURS, PLAIN, Case, Outcome, Subject, cases_at
from tests.chaos.sweep.tally import Tally
from tests.chaos.sweep.zygote import Zygote

AT_ONCE: Final = 8
DATABASES: Final = 16
MOST_OF_ONE: Final = {"quick": 2, "full": 4}
SAMPLE: Final = {"quick": 40, "full": 10_000}  # cases a subject
STILL_SECONDS: Final = 0.8  # a machine that stood still for longer proves nothing
TRIES: Final = 6


@asynccontextmanager
async def a_workshop() -> AsyncIterator[Workshop]:
    with own_server() as (root, url), Zygote() as zygote:
        socket = unquote(url.removeprefix("unix://").partition("?")[0])
        with Redis.from_url(url) as client:  # the server itself stays up here
            client.config_set("appendfsync", "no")
            for text in TEXTS:  # or which case meets them first would be chance
                client.script_load(text)
        databases: asyncio.Queue[int] = asyncio.Queue()
        for number in range(DATABASES):
            databases.put_nowait(number)
        yield Workshop(Path(root), socket, zygote, databases)


async def attempt(workshop: Workshop, subject: Subject, case: Case | None) -> tuple[Outcome, Bench]:
    """Once; again, and that is counted, where a machine that stood still may have broken a rule, or the
    command that was to be harmed did not come."""
    for again in range(TRIES):
        async with Bench(workshop, case) as bench:
            watch = asyncio.create_task(_longest_standstill())
            if subject is Subject.GATEWAY:
                outcome = await gateway.attempt(bench)
            elif subject is Subject.REPLAY:
                outcome = await replay.attempt(bench)
            elif subject in PLAIN:
                outcome = await plain.attempt(bench, subject)
            else:
                outcome = await worker.attempt(bench, subject)
            watch.cancel()
            (stood,) = await asyncio.gather(watch, return_exceptions=True)
            outcome.figures["tried again: the machine stood still, or no fault came"] = again
            still = not isinstance(stood, BaseException) and stood >= STILL_SECONDS
            if (outcome.struck or not case) and not (outcome.untimely and still):
                break
    outcome.faults += outcome.untimely
    return outcome, bench


async def _longest_standstill() -> float:
    longest, last = 0.0, time.monotonic()
    try:
        while True:
            await asyncio.sleep(0.05)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
    except asyncio.CancelledError:
        return longest


async def boundaries(workshop: Workshop, subject: Subject) -> Counter[str]:
    """The commands of an undisturbed run. Raises AssertionError when that goes wrong already."""
    outcome, bench = await attempt(workshop, subject, None)
    assert not outcome.faults, f"{subject} without any fault: {outcome.faults}"
    return bench.proxy.seen


async def sweep(
    workshop: Workshop, subject: Subject, cases: Sequence[Case], gate: asyncio.Semaphore
) -> Tally:
    """`gate` says how many go beside one another: most of a case is waiting."""
    tally = Tally(subject, commands=len({case.spot for case in cases}))

    async def one(case: Case) -> None:
        async with gate:
            outcome, _ = await attempt(workshop, subject, case)
        tally.add(case, outcome)
        _show_progress(tally, len(cases))

    async with asyncio.TaskGroup() as group:
        for case in cases:
            group.create_task(one(case))
    return tally


def spread(cases: Sequence[Case], many: int, chance: random.Random) -> list[Case]:
    """So many of them, and of each boundary before a second of any."""
    shuffled = chance.sample(cases, len(cases))
    met: Counter[str] = Counter()
    ranked = []
    for case in shuffled:
        ranked.append((met[str(case.spot)], case))
        met[str(case.spot)] += 1
    return [case for _, case in sorted(ranked, key=lambda pair: pair[0])][:many]


def _show_progress(tally: Tally, many: int) -> None:
    if sys.stderr.isatty():
        text = f"\r{tally.subject}: {tally.cases} of {many}, {len(tally.faults)} with faults  "
        click.echo(text, nl=tally.cases == many, err=True)


async def campaign(
    level: str, seed: int, subjects: Sequence[Subject], most: int | None = None
) -> list[Tally]:
    """A Tally of each subject; `most` cases of each."""
    chance = random.Random(seed)
    tallies = []
    async with a_workshop() as workshop:
        for subject in subjects:
            began = time.monotonic()
            seen = await boundaries(workshop, subject)
            cases = list(cases_at(subject, seen, MOST_OF_ONE[level]))
            chosen = spread(cases, most or SAMPLE[level], chance)
            tally = await sweep(workshop, subject, chosen, asyncio.Semaphore(AT_ONCE))
            tally.figures["seconds"] = round(time.monotonic() - began)
            click.echo(str(tally))
            tallies.append(tally)
    return tallies


async def run_cases(cases: Sequence[Case]) -> list[Tally]:
    """These and no others."""
    gate = asyncio.Semaphore(AT_ONCE)
    async with a_workshop() as workshop:
        return await asyncio.gather(
            *(
                sweep(workshop, subject, [case for case in cases if case.subject is subject], gate)
                for subject in dict.fromkeys(case.subject for case in cases)
            )
        )


def _as_case(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[Case]:
    try:
        return [Case.parse(text) for text in texts]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.option("--level", type=click.Choice(["quick", "full"]), default="quick", show_default=True)
@click.option("--seed", default=None, type=int, help="Of which cases are tried; default: by chance.")
@click.option("--most", type=click.IntRange(1), help="Cases of each subject (default: by the level).")
@click.option(
    "--subject",
    "subjects",
    multiple=True,
    type=click.Choice([each.value for each in Subject]),
    help="Only this one; may be repeated.",
)
@click.option("--case", "cases", multiple=True, callback=_as_case, help="SUBJECT/COMMAND#N/FAULT/FATE.")
def main(
    level: str, seed: int | None, most: int | None, subjects: tuple[str, ...], cases: list[Case]
) -> None:
    """Harm every Redis command of a webhook's path, one at a time.

    Exit status 1 when a rule of ours was broken; what stock RQ loses is only counted.
    """
    if cases:
        tallies = asyncio.run(run_cases(cases))
        click.echo("\n".join(map(str, tallies)))
    else:
        chosen = random.randrange(10**6) if seed is None else seed
        wanted = [each for each in Subject if each in (subjects or tuple(Subject))]
        click.echo(f"Sweep over every command boundary, {level}, seed {chosen}")
        tallies = asyncio.run(campaign(level, chosen, wanted, most))
    sys.exit(any(tally.faults for tally in tallies if tally.subject in OURS))


if __name__ == "__main__":
    main()
