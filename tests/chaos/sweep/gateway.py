"""Webhooks sent to a gateway under a fault, by senders that write down what they were answered.

The rules: what was answered 200 is in the ledger; whatever is there is there once, is claimed once and
ends done once; every answer is 200 or 503. Half of the senders repeat what was not answered 200, as
providers do; half of the events are of a source that is spooled while Redis is away.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import Final

from gateway.adapters.spool.slots import survey
from gateway.core.delivery import Claimed
from gateway.core.event import event_id
from tests.chaos.sweep.bench import Bench
from tests.chaos.sweep.case import Fate, Outcome
from tests.chaos.sweep.processes import is_alive
from tests.ports import own_port

SENDERS: Final = 4
SOURCES: Final = ("shop", "kept")
PAUSE_SECONDS: Final = 0.03
PATIENCE_SECONDS: Final = 2.0
UNDISTURBED_SECONDS: Final = 2.5
LONGEST_SECONDS: Final = 9.0  # until a command that is polled comes again
DRAIN_SECONDS: Final = 30.0
NO_ANSWER: Final = 0
Answers = dict[tuple[str, str], Counter[int]]
"""By source and id: the statuses; NO_ANSWER where none came."""


class Street:
    """A gateway, always one, and those who send to it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.answers: Answers = {}
        self.stopping = False
        self.pids: list[int] = []
        self.port = own_port()
        self.start(bench.through)

    def start(self, url: str) -> None:
        words = ("hookline", "serve", "--port", str(self.port), "--admin-port", "0")
        self.pids.append(self.bench.start(*words, url=url))

    def look_after(self) -> None:
        """As a supervisor."""
        if not any(map(is_alive, self.pids)):
            self.start(self.bench.direct)

    async def send_all(self, sender: int) -> None:
        repeats = sender % 2 == 0
        for number in count():
            if self.stopping:
                return
            key = (SOURCES[(sender // 2) % 2], f"{sender}-{number}")
            statuses = self.answers[key] = Counter()
            while not statuses[200] and not self.stopping and (repeats or not statuses):
                statuses[await self._send(*key)] += 1
                await asyncio.sleep(PAUSE_SECONDS)

    async def _send(self, source: str, value: str) -> int:
        request = (
            f"POST /hooks/{source} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
            f"X-Event-Id: {value}\r\nConnection: close\r\n\r\n{{}}"
        )
        writer = None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(request.encode())
                return int((await reader.readline()).split()[1])
        except (OSError, TimeoutError, IndexError):
            return NO_ANSWER
        finally:
            if writer:
                writer.transport.abort()

    def acknowledged(self) -> set[tuple[str, str]]:
        return {key for key, statuses in self.answers.items() if statuses[200]}

    def stored(self) -> set[tuple[str, str]]:
        return {key for key in self.answers if self.bench.client.exists(_record(self.bench, key))}


async def attempt(bench: Bench) -> Outcome:
    street = Street(bench)
    senders = [asyncio.create_task(street.send_all(number)) for number in range(SENDERS)]
    await _until_over(street)
    street.stopping = True
    await asyncio.gather(*senders)
    await _until_spool_is_drained(street)
    return judge(street)


async def _until_over(street: Street) -> None:
    """Some time past the fault, so that it is seen to serve again."""
    began = time.monotonic()
    served_before = None
    while time.monotonic() < began + LONGEST_SECONDS + 4:
        await asyncio.sleep(0.05)
        street.look_after()
        served = len(street.acknowledged())
        if street.bench.over:
            served_before = served if served_before is None else served_before
            if served >= served_before + 2 * SENDERS:
                return
        if served and not street.bench.case and time.monotonic() > began + UNDISTURBED_SECONDS:
            return
        if street.bench.struck is None and time.monotonic() > began + LONGEST_SECONDS:
            return


async def _until_spool_is_drained(street: Street) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < deadline and not street.acknowledged() <= street.stored():
        await asyncio.sleep(0.1)
        street.look_after()


def judge(street: Street) -> Outcome:
    bench = street.bench
    acknowledged, stored = street.acknowledged(), street.stored()
    runs = Counter(run_all(bench))
    statuses: Counter[int] = sum(street.answers.values(), Counter())
    outcome = Outcome(struck=bench.struck is not None)
    outcome.figures.update(
        {
            "events sent": len(street.answers),
            "events answered 200": len(acknowledged),
            "  of those after a repeat": sum(street.answers[key].total() > 1 for key in acknowledged),
            "answers 503": statuses[503],
            "no answer": statuses[NO_ANSWER],
            "stored, and never answered 200": len(stored - acknowledged),
        }
    )
    kept = sum(survey(bench.folder / "spool").requests.values())
    if 0 < len(acknowledged - stored) <= kept:
        outcome.untimely.append(f"{kept} are still in the spool")
        acknowledged &= stored
    outcome.faults += _faults(bench, acknowledged, stored, runs)
    others = {status: many for status, many in statuses.items() if status not in (200, 503, NO_ANSWER)}
    if others:
        outcome.faults.append(f"answers were {others}")
    if not acknowledged:
        outcome.untimely.append(f"nothing was answered 200; {bench.log()[-300:]}")
    fate = bench.case.fate if bench.case else Fate.ON
    if fate is Fate.ON and len(street.pids) > 1:
        outcome.figures["gateways that ended by themselves"] = len(street.pids) - 1
    return outcome


def _faults(
    bench: Bench,
    acknowledged: set[tuple[str, str]],
    stored: set[tuple[str, str]],
    runs: Counter[tuple[str, str]],
) -> Iterator[str]:
    for key in sorted(acknowledged - stored):
        yield f"{key} was answered 200 and is not in the ledger: lost"
    for key in sorted(stored | set(runs)):
        state = bench.client.hget(_record(bench, key), "1s")
        if runs[key] != 1 or state != b"done":
            yield f"{key} was claimed {runs[key]} times and is {state!r}"
    listed = sum(len(bench.rig.arrived(source)) for source in SOURCES)
    if listed < len(stored):
        yield f"{len(stored)} events are stored, {listed} are listed"


def run_all(bench: Bench) -> Iterator[tuple[str, str]]:
    """Claims and finishes, as a worker does, until nothing comes."""
    while rows := bench.rig.claim(*((source, 100) for source in SOURCES)):
        for row in rows:
            if isinstance(row, Claimed):
                yield row.source, row.provider_id
                with suppress(AssertionError):
                    assert bench.rig.finish(row)


def _record(bench: Bench, key: tuple[str, str]) -> str:
    source, value = key
    return bench.rig.keys.event(event_id(source, "id", value.encode()))
