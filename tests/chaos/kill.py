"""`python -m tests.chaos.kill`: kill -9 of the worker at random moments, and an exact account of it.

The rules that are counted by:

* Every accepted delivery ends: done, or dead as `abandoned` when ten leases ran out under it. It makes
  no difference who is to blame for that: here it never is the processor.
* A claim is an attempt. It is one of: recorded (the last one of what is done); run to its end, but
  killed before that was recorded; cut off in mid-run; cut off before its first line.
* Nothing runs without a claim, no claim is run twice, and nothing runs again before the last run
  is over.
"""

import random
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import click

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run
from tests.adapters.ledger_rig import Row, a_delivery
from tests.chaos.report import Report, unequal
from tests.chaos.rig import Crew, Run, a_deployment, own_server
from tests.e2e.rig import until

# Half of them on the event loop; each takes long enough to be hit.
PROCESSORS: Final = """
import asyncio, random, time

@registry.processor(source="threads", name="threads")
def process(event: Event) -> None:
    note(event, "start")
    time.sleep(random.uniform(0.0, 0.1))
    note(event, "end")

@registry.processor(source="loop", name="loop")
async def process_async(event: Event) -> None:
    note(event, "start")
    await asyncio.sleep(random.uniform(0.0, 0.1))
    note(event, "end")
"""
SOURCES: Final = ("threads", "loop")
LONGEST_WAIT: Final = 1.5
MOST: Final = ledger.ABANDON_AFTER


def campaign(root: Path, url: str, kills: int, deliveries: int, seed: int) -> Report:
    chance = random.Random(seed)
    report = Report(f"{kills} kills of a worker, {deliveries} deliveries, seed {seed}")
    values = [str(number) for number in range(deliveries)]
    with Crew(a_deployment(root, PROCESSORS, SOURCES, lease="2s"), url) as crew:
        deaths = _kill(crew, kills, values, chance)
        crew.worker()
        until(lambda: not _open(crew), 120 + deliveries / 5, "the end of all deliveries")
        _count(report, crew, values, deaths)
        _replay_the_dead(report, crew, values)
    return report


def source_of(value: str) -> str:
    return SOURCES[int(value) % len(SOURCES)]


def _kill(crew: Crew, kills: int, values: Sequence[str], chance: random.Random) -> dict[int, float]:
    """Feeds the deliveries and kills one worker after the other. When each died, by process id."""
    share = -(-len(values) // kills)
    deaths = {}
    for number in range(kills):
        for value in values[number * share : (number + 1) * share]:
            crew.accept(value, source=source_of(value), processors=(source_of(value),))
        worker = crew.worker(ready=chance.random() < 0.9)  # else it may be hit while it starts
        lines = len(crew.lines()) + chance.randint(0, 2 * share)
        deadline = time.monotonic() + chance.uniform(0.0, LONGEST_WAIT)
        until(lambda: len(crew.lines()) >= lines or time.monotonic() > deadline)  # noqa: B023
        worker.kill()
        deaths[worker.pid] = time.time()
    return deaths


def _open(crew: Crew) -> int:
    return sum(crew.client.zcard(Keys().pending(source)) for source in SOURCES)


def _rows(crew: Crew, values: Sequence[str]) -> dict[str, Row]:
    return {value: crew.row(value, source=source_of(value)) for value in values}


def _count(report: Report, crew: Crew, values: Sequence[str], deaths: dict[int, float]) -> None:
    rows, runs = _rows(crew, values), crew.runs()
    done = {value: row for value, row in rows.items() if row.state == "done"}
    attempts, crashes = (
        sum(getattr(row, what) for row in rows.values()) for what in ("attempts", "crashes")
    )
    ended = [each for each in runs if each.ended]
    recorded = [each for each in ended if each.value in done and each.fence == rows[each.value].fence]
    cut_off, unrecorded = len(runs) - len(ended), len(ended) - len(recorded)
    unstarted = attempts - len(runs)
    extra = len(runs) - len({each.value for each in runs})
    abandoned_runs = [each for each in runs if each.value not in done]
    report.figures |= {
        "done": len(done),
        "dead as abandoned, by ten kills": len(rows) - len(done),
        "attempts, as the ledger counted them": attempts,
        "  recorded": len(recorded),
        "  run to the end, killed before the record": unrecorded,
        "  cut off in mid-run": cut_off,
        "  cut off before the first line": unstarted,
        "leases that ran out, as the ledger counted": crashes,
        "runs in the effect log": len(runs),
        "  first runs": len(runs) - extra,
        "  further runs": extra,
        "  in a process of their own, after a crash": len({each.pid for each in runs} - crew.pids()),
    }
    report.faults += [
        *_faults_of_rows(rows),
        *_faults_of_runs(rows, runs, deaths),
        *unequal("recorded runs", len(recorded), "done deliveries", len(done)),
        *unequal("attempts - done", attempts - len(done), "leases that ran out", crashes),
        *unequal(
            "further runs of done ones",
            len(runs) - len(abandoned_runs) - len(done),
            "runs of done ones that were cut off or not recorded",
            cut_off + unrecorded - len(abandoned_runs),
        ),
        *unequal(
            "leases that ran out", crashes, "cut off + unrecorded", cut_off + unrecorded + unstarted
        ),
        *_faults_of_leftovers(crew),
    ]


def _faults_of_rows(rows: dict[str, Row]) -> Iterator[str]:
    for value, row in rows.items():
        expected = {"done": ("", row.crashes + 1), "dead": ("abandoned", MOST)}.get(row.state)
        if (row.reason, row.attempts) != expected or row.fence != row.attempts:
            yield f"delivery {value} ended as {row}"
        if row.state == "dead" and row.crashes != MOST:
            yield f"delivery {value} is abandoned after {row.crashes} crashes"


def _faults_of_runs(
    rows: dict[str, Row], runs: Sequence[Run], deaths: dict[int, float]
) -> Iterator[str]:
    by_value: dict[str, list[Run]] = {value: [] for value in rows}
    for each in runs:
        by_value[each.value].append(each)
    for value, own in by_value.items():
        fences = [each.fence for each in own]
        if rows[value].state == "done" and not own:
            yield f"delivery {value} is done and never ran"
        if fences != sorted(set(fences)) or any(each.attempt != each.fence for each in own):
            yield f"delivery {value} ran under fences {fences}"
        if fences and fences[-1] > rows[value].fence:
            yield f"delivery {value} ran under a fence that the ledger never gave"
        for earlier, later in pairwise(own):
            died = deaths.get(earlier.pid, later.started)
            died = max(died, earlier.ended or 0.0)
            if later.started < died:
                yield f"delivery {value} ran again {died - later.started:.3f} s before its run was over"


def _faults_of_leftovers(crew: Crew) -> Iterator[str]:
    for pattern in ("rq:wip:*", "rq:queue:*", "rq:scheduled:*"):
        for key in crew.rig.scan(pattern):
            yield f"{key} is left"
    dead = {job for source in SOURCES for job in crew.rig.members(f"rq:failed:{source}")}
    jobs = {key.removeprefix("rq:job:") for key in crew.rig.scan("rq:job:*")}
    if jobs != dead:
        yield f"RQ keeps {len(jobs)} jobs for {len(dead)} dead letters"


def _replay_the_dead(report: Report, crew: Crew, values: Sequence[str]) -> None:
    """What was abandoned is replayed, and then all is done."""
    dead = [value for value, row in _rows(crew, values).items() if row.state == "dead"]
    ids = [a_delivery(value, source=source_of(value)) for value in dead]
    words: list[str] = run(crew.client, Keys(), ledger.replay(ids))
    until(lambda: not _open(crew), what="the end of the replayed deliveries")
    rows = _rows(crew, values)
    report.figures["replayed, and done then"] = words.count("replayed")
    report.faults += [
        f"{value} is {row.state} in the end" for value, row in rows.items() if row.state != "done"
    ]
    report.faults += [*unequal("dead letters", len(dead), "replayed", words.count("replayed"))]
    unseen = set(values) - {each.value for each in crew.runs() if each.ended}
    report.faults += [f"{value} never ran to its end" for value in sorted(unseen)]


@click.command()
@click.option("--kills", default=20, show_default=True)
@click.option("--deliveries", default=1000, show_default=True)
@click.option("--seed", default=None, type=int, help="Of the moments of the kills; default: by chance.")
def main(kills: int, deliveries: int, seed: int | None) -> None:
    """Kill the worker, again and again; exit status 1 when a rule was broken."""
    chosen = random.randrange(10**6) if seed is None else seed
    with own_server() as (root, url):
        report = campaign(root, url, kills, deliveries, chosen)
    click.echo(str(report))
    sys.exit(bool(report.faults))


if __name__ == "__main__":
    main()
