"""Stock RQ alone under the same faults: `Queue.enqueue`, `rq worker`, no ledger. Nothing is asserted.

A job is judged when nothing is left in any list that RQ looks into again: what has not run by then
never will. The waits of RQ's own recovery are cut to 2 s, so that it is given its chance.
"""

import asyncio
import time
from collections import Counter
from typing import Any, Final

from rq import Queue, Retry
from rq.serializers import JSONSerializer

from tests.chaos.sweep import plain_jobs
from tests.chaos.sweep.bench import Bench
from tests.chaos.sweep.case import Outcome, Subject
from tests.chaos.sweep.processes import is_alive

WORKER: Final = (
    *("rq", "worker", "-S", "json", "--worker-ttl", "16"),
    *("--maintenance-interval", "1", "--job-monitoring-interval", "1"),
)
VALUES: Final = ("good-1", "good-2", "slow-1", "good-3")
RETRIES: Final = 3
LONGEST_SECONDS: Final = 30.0
QUIET_SECONDS: Final = 0.7
IDLE_SECONDS: Final = 5.0  # longer than a worker holds a job in its hands, waiting for a reply


class Shift:
    """Jobs, and a worker that is always there."""

    def __init__(self, bench: Bench, subject: Subject) -> None:
        self.bench = bench
        self.queues = ("jobs", "more") if "two" in subject else ("jobs",)
        self.retries = RETRIES if "retry" in subject else 0
        self.enqueued: dict[str, str] = {}
        self.pids: list[int] = []

    def enqueue(self, value: str) -> None:
        queue = self.queues[len(self.enqueued) % len(self.queues)]
        again = Retry(max=self.retries) if self.retries else None
        self._queue(queue).enqueue(plain_jobs.work, value, job_id=value, retry=again)
        self.enqueued[value] = queue

    def start(self, url: str) -> None:
        self.pids.append(self.bench.start(*WORKER, "-u", url, *self.queues, url=url))

    def is_empty(self) -> bool:
        """Whether RQ has nothing left that it could find again."""
        for queue in self.queues:
            lists = (f"rq:queue:{queue}", f"rq:queue:{queue}:intermediate")
            if any(map(self.bench.client.llen, lists)):
                return False
            if any(map(self.bench.client.zcard, (f"rq:wip:{queue}", f"rq:scheduled:{queue}"))):
                return False
        return True

    def has_ended(self) -> bool:
        """Whether RQ calls every job finished or failed."""
        states = [self.bench.client.hget(f"rq:job:{value}", "status") for value in self.enqueued]
        return set(states) <= {b"finished", b"failed"}

    def fate_of(self, value: str, runs: Counter[str]) -> str:
        status: Any = self.bench.client.hget(f"rq:job:{value}", "status")
        if runs[value] > 1:
            return "ran twice or more"
        if runs[value]:
            return "ran once" if status in (b"finished", None) else "ran once, shown as not finished"
        return "failed, and never ran to its end" if status == b"failed" else "lost, in no list"

    def _queue(self, name: str) -> Queue:
        return Queue(name, connection=self.bench.client, serializer=JSONSerializer)


async def attempt(bench: Bench, subject: Subject) -> Outcome:
    if subject is Subject.ENQUEUE:
        return await _attempt_enqueue(bench)
    shift = Shift(bench, subject)
    for value in VALUES:
        shift.enqueue(value)
    shift.start(bench.through)
    settled = await _until_settled(shift)
    return judge(shift, set(shift.enqueued), settled)


async def _attempt_enqueue(bench: Bench) -> Outcome:
    shift = Shift(bench, Subject.ENQUEUE)
    pid = bench.start("enqueue", str(bench.proxy.port), str(bench.database), "jobs", *VALUES)
    deadline = time.monotonic() + LONGEST_SECONDS
    while is_alive(pid) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    shift.start(bench.direct)
    settled = await _until_settled(shift)
    return judge(shift, {words[0] for words in bench.effects() if words[2] == "acknowledged"}, settled)


async def _until_settled(shift: Shift) -> bool:
    """Whether nothing was left in time."""
    bench = shift.bench
    began = quiet = time.monotonic()
    while time.monotonic() < began + LONGEST_SECONDS:
        await asyncio.sleep(0.1)
        if bench.struck is not None and shift.enqueued and "after" not in shift.enqueued:
            shift.enqueue("after")
        if bench.needs_another(shift.pids):
            shift.start(bench.direct)
        if not shift.is_empty():
            quiet = time.monotonic()
        waited = time.monotonic() - quiet
        if waited > (QUIET_SECONDS if bench.over and shift.has_ended() else IDLE_SECONDS):
            return True
    return False


def judge(shift: Shift, acknowledged: set[str], settled: bool) -> Outcome:
    runs = Counter(words[0] for words in shift.bench.effects() if words[2] == "end")
    fates = Counter(shift.fate_of(value, runs) for value in acknowledged)
    outcome = Outcome(struck=shift.bench.struck is not None)
    outcome.figures.update({"jobs acknowledged": len(acknowledged)})
    outcome.figures.update({name: fates[name] for name in sorted(fates)})
    outcome.figures["not at rest after 30 s"] = int(not settled)
    bad = [f"{name}: {many}" for name, many in fates.items() if name != "ran once"]
    outcome.faults += bad if settled else [*bad, "not at rest"]
    return outcome
