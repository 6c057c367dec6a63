"""Dead letters that an operator puts back with `hookline replay`, under a fault.

The rules: each is put back and runs once, however often the operator has to type the command; a command
that has met the fault says so by its status, and nothing is put back twice because of it.
"""

import asyncio
import time
from collections import Counter
from typing import Final

from tests.adapters.ledger_rig import EXHAUSTED, a_delivery, a_source
from tests.chaos.sweep.bench import Bench
from tests.chaos.sweep.case import Fate, Outcome
from tests.chaos.sweep.gateway import run_all
from tests.chaos.sweep.processes import is_alive

VALUES: Final = tuple(f"good-{number}" for number in range(6))
WORDS: Final = ("hookline", "replay", "--source", "shop", "--yes", "--rate", "200/s")
LONGEST_SECONDS: Final = 20.0


async def attempt(bench: Bench) -> Outcome:
    _bury(bench)
    pids = [bench.start(*WORDS)]
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline and (_dead(bench) or any(map(is_alive, pids))):
        await asyncio.sleep(0.05)
        if _dead(bench) and bench.needs_another(pids):
            pids.append(bench.start(*WORDS, url=bench.direct))
    return judge(bench, len(pids))


def _bury(bench: Bench) -> None:
    bench.rig.accept(*VALUES, source=a_source("shop"), processors=("shop",))
    for _ in VALUES:
        assert bench.rig.finish(bench.rig.run_one("shop"), EXHAUSTED)


def _dead(bench: Bench) -> set[str]:
    return bench.rig.members(bench.rig.keys.dead("shop"))


def judge(bench: Bench, typed: int) -> Outcome:
    runs = Counter(value for _, value in run_all(bench))
    outcome = Outcome(struck=bench.struck is not None)
    fate = bench.case.fate if bench.case else Fate.ON
    outcome.figures.update(
        {"dead letters": len(VALUES), "runs": runs.total(), "commands typed again": typed - 1}
    )
    for value in VALUES:
        row = bench.rig.row(a_delivery(value, source="shop"))
        if (row.state, runs[value]) != ("done", 1):
            outcome.faults.append(f"{value} is {row.state} and ran {runs[value]} times")
    if fate is Fate.ON and typed > 2:
        outcome.untimely.append(f"typed {typed} times though it went on; {bench.log()[-300:]}")
    return outcome
