"""`scripts/chaos mixed`: a slow, a fast, a failing and a deadly processor take the same events.

A real gateway takes the events, one worker at a time runs them, and a supervisor starts the next one
when it dies. The rules that are counted by:

* Each delivery ends as its processor means it: done, dead for its attempts are used up, or poison.
* No delivery but a deadly one's dies of a dead worker, and a deadly one takes down one worker at most.
* Half of the fast one's deliveries end within a second of their event's arrival. (Not all: while the
  next worker starts there is none, and what ran beside a deadly one waits for its lease to end.)
"""

import math
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from gateway.adapters.ledger.event_records import EventRecord
from gateway.adapters.ledger.reader import Reader
from gateway.adapters.ledger.redis_keys import Keys
from gateway.core.event import event_id
from tests.chaos.report import Report
from tests.chaos.rig import Crew, Process, a_deployment, own_server
from tests.e2e.rig import Gateway, until

IDENTITY: Final = '[identity]\nevent_id = ["{header.X-Event-Id}"]\n'
PROCESSORS: Final = """
import asyncio, os, time

@registry.processor(source="shop")
def slow(event: Event) -> None:
    time.sleep(0.1)

@registry.processor(source="shop")
async def fast(event: Event) -> None:
    await asyncio.sleep(0)

@registry.processor(source="shop")
def failing(event: Event) -> None:
    raise ConnectionError("the shop's books are away")

@registry.processor(source="shop", when={"field": "deadly", "equals": True})
def deadly(event: Event) -> None:
    os._exit(1)
"""
EXPECTED: Final = {"slow": "done", "fast": "done", "failing": "exhausted", "deadly": "poison"}
QUICK: Final = 1.0  # seconds
PATIENCE_SECONDS: Final = 240


def campaign(
    root: Path, url: str, events: int, rate: int, deadly: int, seed: int, *, quick: float = QUICK
) -> Report:
    """`rate`: events a second. `deadly`: how many of them take a process down three times."""
    chosen = set(random.Random(seed).sample(range(events), deadly))
    report = Report(f"{events} events for four processors, {deadly} of them deadly, seed {seed}")
    deployment = a_deployment(root, PROCESSORS, ["shop"], more=IDENTITY)
    with Crew(deployment, url) as crew, Gateway(deployment, url) as gateway:
        supervisor = Supervisor(crew)
        began = time.monotonic()
        for number in range(events):
            due = began + number / rate
            until(lambda: supervisor.look() and time.monotonic() >= due)  # noqa: B023
            body = b'{"deadly": true}' if number in chosen else b"{}"
            answer = gateway.send("/hooks/shop", body, [("X-Event-Id", str(number))])
            assert answer.status == 200, gateway.text()
        until(lambda: supervisor.look() and not _open(crew), PATIENCE_SECONDS, "the end of all")
        report.figures["seconds"] = round(time.monotonic() - began)
        report.figures["workers that died"] = supervisor.deaths
        _count(report, crew, events)
    if report.figures["  fast: p50, ms"] > quick * 1000:
        report.faults.append("the fast one suffers")
    if report.figures["workers that died"] > deadly:
        report.faults.append("a deadly delivery took down a second worker")
    return report


class Supervisor:
    """Starts the next worker as soon as one has died, as systemd would."""

    def __init__(self, crew: Crew) -> None:
        self.deaths = 0
        self._crew = crew
        self._worker: Process = crew.worker()

    def look(self) -> bool:
        if self._worker.process.poll() is not None:
            self.deaths += 1
            self._worker = self._crew.worker(ready=False)
        return True


def _open(crew: Crew) -> int:
    return int(crew.client.zcard(Keys().pending("shop")))


def _count(report: Report, crew: Crew, events: int) -> None:
    reader = Reader(crew.client, Keys())
    ids = [event_id("shop", "id", str(number).encode()) for number in range(events)]
    records = [record for each in ids if (record := reader.event(each))]
    if len(records) != events:
        report.faults.append(f"{events - len(records)} events are not in the ledger")
    for name, expected in EXPECTED.items():
        ends = [end for record in records for end in _ends(record, name)]
        for outcome, count in sorted(Counter(word for word, _ in ends).items()):
            report.figures[f"{name}: {outcome}"] = count
        report.faults += [f"{name}: a delivery is {word}" for word, _ in ends if word != expected]
        report.figures |= _latencies(name, [seconds for _, seconds in ends])


def _ends(record: EventRecord, processor: str) -> Iterator[tuple[str, float]]:
    """How its delivery ended, and the seconds since the event's arrival."""
    for each in record.deliveries:
        if each.processor == processor:
            word = each.reason if each.state == "dead" else str(each.state)
            yield word, each.time - record.received


def _latencies(name: str, seconds: Sequence[float]) -> dict[str, int]:
    ordered = sorted(seconds)
    return {
        f"  {name}: p{share}, ms": round(1000 * ordered[math.ceil(len(ordered) * share / 100) - 1])
        for share in (50, 99)
        if ordered
    }


@click.command()
@click.option("--events", default=250, show_default=True)
@click.option("--rate", default=10, show_default=True, help="Events a second.")
@click.option("--deadly", default=3, show_default=True, help="Events that kill their process.")
@click.option("--seed", default=None, type=int, help="Of which events those are; default: by chance.")
def main(events: int, rate: int, deadly: int, seed: int | None) -> None:
    """Run four unlike processors on one source; exit status 1 when a rule was broken."""
    chosen = random.randrange(10**6) if seed is None else seed
    with own_server() as (root, url):
        report = campaign(root, url, events, rate, deadly, chosen)
    click.echo(str(report))
    sys.exit(bool(report.faults))


if __name__ == "__main__":
    main()
