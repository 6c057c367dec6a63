"""A pass of the worker: start, seven deliveries of every kind, Requeue of a dead one, stop.

The rules are the sweep's: every delivery ends done, once; a run that the ledger has recorded is one
that ended; extra runs only where a lease ran out or an attempt failed.
"""

import asyncio
import time
from collections import Counter
from typing import Final

from tests.chaos.sweep.case import Outcome
from tests.chaos.sweep.case import Subject as SweptSubject
from tests.chaos.sweep.processes import is_alive
from tests.chaos.sweep.worker import RUNS, Crowd, judge
from tests.chaos.syscalls.bench import Traced

LONGEST_SECONDS: Final = 30.0


async def attempt(bench: Traced) -> Outcome:
    crowd = Crowd(bench, SweptSubject.WORKER)
    crowd.accept(*RUNS)
    crowd.start()
    done = await _work_off(crowd)
    for pid in [pid for pid in crowd.pids if is_alive(pid)]:
        await bench.ended(pid)
    lost = sum(row.state != "done" for row in crowd.rows().values())
    outcome = judge(crowd, done)
    outcome.figures = Counter(
        {
            "acknowledged": len(crowd.accepted),
            "lost": lost,
            "doubled": 0 if lost else len(outcome.faults),
            "extra runs": outcome.figures["extra runs"],
        }
    )
    return outcome


async def _work_off(crowd: Crowd) -> bool:
    """Whether all was done in time."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        rows = crowd.rows()
        if all(row.state == "done" for row in rows.values()):
            return True
        if rows["dead"].state == "dead":
            crowd.press()
        if crowd.bench.needs_another(crowd.pids):
            crowd.start(crowd.bench.direct)
    return False
