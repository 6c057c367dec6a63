"""A pass of the gateway, with Redis or (spool) at first without it: start, requests, stop.

The rules: what was answered 200 is in the ledger at the end; what is there is there once and ends once;
answers are 200 or 503; after the fault the gateway, or the next one, serves again.
"""

import asyncio
import time
from collections import Counter
from typing import Final

from tests.chaos.sweep.case import Outcome
from tests.chaos.sweep.gateway import SENDERS, SOURCES, Street, judge
from tests.chaos.sweep.processes import is_alive
from tests.chaos.syscalls.bench import Traced

ENOUGH: Final = 16  # events
BACK_AFTER: Final = 6  # events in the spool
AGAIN: Final = 4  # events answered after the fault
LONGEST_SECONDS: Final = 14.0
DRAIN_SECONDS: Final = 10.0


async def attempt(bench: Traced, *, away: bool) -> Outcome:
    street = Street(bench)
    senders = [asyncio.create_task(street.send_all(number)) for number in range(SENDERS)]
    served_again = await _until_over(street, bench, away=away)
    street.stopping = True
    await asyncio.gather(*senders)
    await _until_drained(street)
    if is_alive(street.pids[0]):
        await bench.ended(street.pids[0])
    await _until_drained(street)
    outcome = _judged(street, bench)
    if not served_again:
        outcome.untimely.append(f"it does not serve again; {bench.log()[-400:]}")
    return outcome


async def _until_over(street: Street, bench: Traced, *, away: bool) -> bool:
    """Whether it served to the end."""
    began, before = time.monotonic(), None
    while time.monotonic() < began + LONGEST_SECONDS:
        await asyncio.sleep(0.02)
        street.look_after()
        served = len(street.acknowledged())
        if away and (served >= BACK_AFTER or time.monotonic() > began + LONGEST_SECONDS / 2):
            bench.bring_back()
        if bench.struck is not None:
            before = served if before is None else before
            if served >= max(before + AGAIN, BACK_AFTER):
                return True
        elif served >= ENOUGH:
            return True
    return False


async def _until_drained(street: Street) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < deadline and not street.acknowledged() <= street.stored():
        await asyncio.sleep(0.05)
        street.look_after()


def _judged(street: Street, bench: Traced) -> Outcome:
    lost = street.acknowledged() - street.stored()
    outcome = judge(street)
    outcome.figures = Counter(
        {
            "acknowledged": len(street.acknowledged()),
            "lost": len(lost),
            "doubled": len([fault for fault in outcome.faults if "claimed" in fault]),
        }
    )
    assert set(SOURCES) >= {source for source, _ in street.answers}
    return outcome
