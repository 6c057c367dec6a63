"""`scripts/chaos syscalls`: a fault at every system call of gateway, spool, worker and server.

An undisturbed pass under strace lists the calls. Then pass after pass one of them fails, or its process
is killed before it; another is started, all is worked off, and the books are compared.
"""

import asyncio
import json
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from tests.chaos.sweep.bench import Workshop
from tests.chaos.sweep.campaign import a_workshop
from tests.chaos.sweep.case import Outcome
from tests.chaos.syscalls import gateway, server, worker
from tests.chaos.syscalls.bench import Traced
from tests.chaos.syscalls.case import Case, Subject, cases_at
from tests.chaos.syscalls.tally import Tally
from tests.chaos.syscalls.tracer import seen_in

AT_ONCE: Final = 6
TRIES: Final = 6  # what a busy machine may bring about as well is tried again; no loss is among it


async def attempt(workshop: Workshop, subject: Subject, harm: Case | None) -> tuple[Outcome, str]:
    """What came of it, and the trace."""
    for _ in range(TRIES):
        outcome, trace = await _attempt(workshop, subject, harm)
        if outcome.faults or not outcome.untimely:
            break
    outcome.faults += outcome.untimely
    return outcome, trace


async def _attempt(workshop: Workshop, subject: Subject, harm: Case | None) -> tuple[Outcome, str]:
    if subject is Subject.SERVER:
        with TemporaryDirectory(prefix="hookline-") as place:
            outcome, tracer = await asyncio.to_thread(server.attempt, Path(place), harm)
            return outcome, tracer.text()
    away = subject is Subject.SPOOL
    async with Traced(workshop, harm, away=away) as bench:
        if subject is Subject.WORKER:
            outcome = await worker.attempt(bench)
        else:
            outcome = await gateway.attempt(bench, away=away)
        outcome.struck = bench.came > 0
        return outcome, bench.calls()


async def calls_of(workshop: Workshop, subject: Subject) -> Counter[str]:
    """Those of an undisturbed pass. Raises AssertionError when that goes wrong already."""
    outcome, trace = await attempt(workshop, subject, None)
    assert not outcome.faults, f"{subject} without any fault: {outcome.faults}"
    return seen_in(trace)


def spread(cases: Sequence[Case], many: int, chance: random.Random) -> list[Case]:
    """So many of them, and of each call and fault one before a second of any."""
    met: Counter[tuple[str, str]] = Counter()
    ranked = []
    for case in chance.sample(cases, len(cases)):
        ranked.append((met[case.call, case.fault], case))
        met[case.call, case.fault] += 1
    return [case for _, case in sorted(ranked, key=lambda pair: pair[0])][:many]


async def run_cases(workshop: Workshop, cases: Sequence[Case]) -> list[Tally]:
    """A tally of each subject."""
    gate = asyncio.Semaphore(AT_ONCE)
    tallies = {case.subject: Tally(case.subject) for case in cases}

    async def one(case: Case) -> None:
        async with gate:
            try:
                outcome, _ = await attempt(workshop, case.subject, case)
            except Exception as error:  # of thousands of cases one must not end all
                outcome = Outcome(faults=[f"the case could not be judged: {error!r}"])
        tallies[case.subject].add(case, outcome)
        _show_progress(tallies[case.subject], len(cases))

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for case in cases:
            group.create_task(one(case))
    for tally in tallies.values():
        tally.seconds = round(time.monotonic() - began)
    return list(tallies.values())


async def campaign(
    subjects: Sequence[Subject], seed: int, most: int | None, *, tell: bool
) -> list[Tally]:
    """`tell`: print each tally as soon as it is there."""
    chance, tallies = random.Random(seed), []
    async with a_workshop() as workshop:
        for subject in subjects:
            seen = await calls_of(workshop, subject)
            cases = list(cases_at(subject, seen))
            (tally,) = await run_cases(workshop, spread(cases, most or len(cases), chance))
            tally.boundaries = seen.total()
            tallies.append(tally)
            if tell:
                click.echo(tally)
    return tallies


async def _run_named(cases: Sequence[Case]) -> list[Tally]:
    async with a_workshop() as workshop:
        return await run_cases(workshop, cases)


def _show_progress(tally: Tally, many: int) -> None:
    if sys.stderr.isatty():
        done = tally.sums["cases"]
        text = f"\r{tally.subject}: {done} of {many}, {len(tally.faults)} with faults  "
        click.echo(text, nl=done == many, err=True)


def _as_case(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[Case]:
    try:
        return [Case.parse(text) for text in texts]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.option(
    "--subject",
    "subjects",
    multiple=True,
    type=click.Choice([each.value for each in Subject]),
    help="Only this one; may be repeated.",
)
@click.option("--seed", default=None, type=int, help="Of which cases are tried; default: by chance.")
@click.option("--most", type=click.IntRange(1), help="Cases of each subject (default: all).")
@click.option("--case", "cases", multiple=True, callback=_as_case, help="SUBJECT/CALL#N/FAULT.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def main(
    subjects: tuple[str, ...], seed: int | None, most: int | None, cases: list[Case], as_json: bool
) -> None:
    """Let every system call fail, or kill its process there, one at a time.

    Needs strace, and the right to trace. Exit status 1 when a rule was broken.
    """
    if not shutil.which("strace"):
        raise click.ClickException("strace is not on PATH: install it (apt install strace).")
    chosen = random.randrange(10**6) if seed is None else seed
    wanted = [each for each in Subject if each in (subjects or tuple(Subject))]
    if not as_json:
        click.echo("A fault at every system call" + ("" if cases else f", seed {chosen}"))
    if cases:
        tallies = asyncio.run(_run_named(cases))
        click.echo("" if as_json else "\n".join(map(str, tallies)), nl=not as_json)
    else:
        tallies = asyncio.run(campaign(wanted, chosen, most, tell=not as_json))
    if as_json:
        document = {"seed": chosen, "subjects": [tally.as_json() for tally in tallies]}
        click.echo(json.dumps(document, indent=2))
    sys.exit(any(tally.faults for tally in tallies))
