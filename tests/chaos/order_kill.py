"""`scripts/chaos order`: lines of deliveries, a processor that fails at random, kill -9 of the worker.

The rules that are counted by, for each line:

* All that was accepted ends: done, or dead when its attempts are used up or ten workers died under it.
* All runs of one delivery are over before the first run of the next begins, in the order of arrival.
* At no time do two of a line run: a run is over when it ended, or when its process was dead.
"""

import json
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import click

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run
from gateway.core.json_path import Subject
from gateway.core.ordering import parse_order, turns_of
from tests.adapters.ledger_rig import Row, a_source
from tests.chaos.report import Report
from tests.chaos.rig import Crew, Run, a_deployment, an_event, own_server
from tests.e2e.rig import Deployment, until

# One write a line, as in the rig, and without its fsync: here the machine stays up.
EFFECTS: Final = """
import os, time

LOG = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

def note(event, phase):
    words = (event.provider_id, event.processor, event.attempt, event.fence, os.getpid(), phase)
    os.write(LOG, (" ".join(map(str, words)) + f" {time.time()}\\n").encode())
"""
PROCESSORS: Final = """
import os, random, time

FAILING, LONGEST = float(os.environ["FAILING"]), float(os.environ["LONGEST"])

def process(event: Event) -> None:
    note(event, "start")
    time.sleep(random.uniform(0.0, LONGEST))
    failed = random.random() < FAILING
    note(event, "end")
    if failed:
        raise ValueError

registry.processor(source="lines", name="lines", order_by="key")(process)
registry.processor(source="free", name="free")(process)
"""
ORDER: Final = parse_order("key")
AT_ONCE: Final = 200
FAILING: Final = 0.1
LONGEST: Final = 0.02  # seconds that a run takes
FAILED: Final = "attempts|lines|lines|failed"
SECONDS_BETWEEN_KILLS: Final = 1.0


def campaign(
    root: Path,
    url: str,
    events: int,
    keys: int,
    seed: int,
    *,
    longest: float = LONGEST,
    kills: int = 10_000,
) -> Report:
    """Feeds all events, and kills one worker after the other until nothing is open."""
    chance = random.Random(seed)
    report = Report(f"{events} events in {keys} lines, a kill -9 every second, seed {seed}")
    lines = [str(chance.randrange(keys)) for _ in range(events)]
    with Crew(deployment(root, FAILING, longest), url) as crew:
        feed(crew, "lines", lines)
        began = time.monotonic()
        deaths = _kill_until_done(crew, kills, 120 + events / 20)
        report.figures["seconds"] = round(time.monotonic() - began)
        report.figures["kills of a worker"] = len(deaths)
        _count(report, crew, lines, deaths)
    return report


def throughput(root: Path, url: str, source: str, events: int, keys: int) -> int:
    """Deliveries a second of one undisturbed worker, from its first run to its last."""
    with Crew(deployment(root, 0.0, 0.0), url) as crew:
        crew.client.flushall()
        feed(crew, source, [str(number % keys) for number in range(events)])
        crew.worker()
        until(lambda: not _open(crew, source), 120 + events / 50, "the end of all deliveries")
        runs = crew.runs()
        return round(events / (max(each.ended or 0.0 for each in runs) - runs[0].started))


def deployment(root: Path, failing: float, longest: float) -> Deployment:
    made = a_deployment(root, PROCESSORS, ("lines", "free"), lease="1s")
    processors = {**made.processors, "effects": EFFECTS}
    environ = {**made.environ, "FAILING": str(failing), "LONGEST": str(longest)}
    return replace(made, processors=processors, environ=environ)


def feed(crew: Crew, source: str, lines: Sequence[str]) -> None:
    """An event each, whose name is its number and whose key is its line."""
    assert ORDER
    orders = {"lines": ORDER}
    for numbers in batched_range(len(lines)):
        rows = []
        for number in numbers:
            body = json.dumps({"key": lines[number]}).encode()
            event = replace(an_event(source, str(number)), body=body)
            turns = turns_of((source,), orders, Subject(event))
            rows.append((event, a_source(source), (source,), turns))
        run(crew.client, Keys(), ledger.accept(rows, look_ms=1000))


def batched_range(many: int) -> Iterator[range]:
    return (range(first, min(first + AT_ONCE, many)) for first in range(0, many, AT_ONCE))


def _kill_until_done(crew: Crew, kills: int, seconds: float) -> dict[int, float]:
    """When each worker died, by process id; the last one is left to end its work. At most so many."""
    deaths: dict[int, float] = {}
    deadline = time.monotonic() + seconds
    while True:
        worker = crew.worker()
        killed_at = SECONDS_BETWEEN_KILLS + time.monotonic() if len(deaths) < kills else deadline
        until(lambda: not _open(crew, "lines") or time.monotonic() >= killed_at, seconds)  # noqa: B023
        if not _open(crew, "lines"):
            return deaths
        assert time.monotonic() < deadline, f"{_open(crew, 'lines')} are open after {seconds:g} s"
        worker.kill()
        deaths[worker.pid] = time.time()


def _open(crew: Crew, source: str) -> int:
    return int(crew.client.zcard(Keys().pending(source)))


def _count(report: Report, crew: Crew, lines: Sequence[str], deaths: dict[int, float]) -> None:
    rows = [crew.row(str(number), source="lines") for number in range(len(lines))]
    own: dict[int, list[Run]] = {number: [] for number in range(len(lines))}
    for each in crew.runs():
        own[int(each.value)].append(each)
    by_line: dict[str, list[int]] = {}
    for number, line in enumerate(lines):
        by_line.setdefault(line, []).append(number)
    report.figures |= {
        "done": sum(row.state == "done" for row in rows),
        "dead, their attempts used up": sum(row.reason == "exhausted" for row in rows),
        "dead as abandoned, by ten kills": sum(row.reason == "abandoned" for row in rows),
        "runs": sum(len(each) for each in own.values()),
        "  that failed": int(crew.client.hget(Keys().counters, FAILED) or 0),
        "leases that ran out": sum(row.crashes for row in rows),
    }
    report.faults += _faults_of_rows(rows, own)
    for line, numbers in by_line.items():
        report.faults += _faults_of_line(line, numbers, own, deaths)
    for pattern in ("hookline:turn:*", "hookline:line:*", "rq:wip:*", "rq:queue:*"):
        report.faults += [f"{key} is left" for key in crew.rig.scan(pattern)]


def _faults_of_rows(rows: Sequence[Row], own: dict[int, list[Run]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        dead = row.state == "dead" and row.reason in ("exhausted", "abandoned")
        if not (dead or row.state == "done"):
            yield f"delivery {number} ended as {row}"
        if not own[number] and not dead:
            yield f"delivery {number} is done and never ran"
        if len(own[number]) > row.attempts:
            yield f"delivery {number} ran {len(own[number])} times in {row.attempts} attempts"


def _faults_of_line(
    line: str, numbers: Sequence[int], own: dict[int, list[Run]], deaths: dict[int, float]
) -> Iterator[str]:
    runs = [(number, each) for number in numbers for each in own[number]]
    started = sorted(runs, key=lambda pair: pair[1].started)
    if [number for number, _ in started] != [number for number, _ in runs]:
        yield f"line {line} ran in the order {[number for number, _ in started]}"
    for (first, earlier), (then, later) in pairwise(started):
        over = earlier.ended or deaths.get(earlier.pid, earlier.started)
        if later.started < over:
            yield f"line {line}: {then} began {over - later.started:.3f} s before {first} was over"


@click.command()
@click.option("--events", default=10_000, show_default=True)
@click.option("--keys", default=100, show_default=True, help="Lines that they stand in.")
@click.option("--seed", default=None, type=int, help="Of who stands in which line; default: by chance.")
def main(events: int, keys: int, seed: int | None) -> None:
    """Kill the worker every second while lines are worked off; exit status 1 when a rule was broken."""
    chosen = random.randrange(10**6) if seed is None else seed
    with own_server() as (root, url):
        report = campaign(root, url, events, keys, chosen)
        for source, words in (("free", "without order"), ("lines", f"in {keys} lines")):
            place = root / source
            os.mkdir(place)
            figure = throughput(place, url, source, events, keys)
            report.figures[f"deliveries a second, undisturbed, {words}"] = figure
    click.echo(str(report))
    sys.exit(bool(report.faults))


if __name__ == "__main__":
    main()
