"""What it costs to wait for a replica: one line, one call after the other, with and without."""

import asyncio
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import Final

from gateway.adapters.ledger.async_ledger import AsyncLedger
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.script_line import ScriptLine
from gateway.core.event import Arrival
from tests.adapters.ledger_rig import GITHUB, LOOK, an_event
from tests.chaos.servers import Pair

CALLS: Final = 1000
TOGETHER: Final = (1, 32)


def cost(calls: int = CALLS) -> str:
    """A table: for so many senders at once, events a second, p50 and p99 of an `accept` in ms."""
    rows = ["| waits for | senders | events/s | p50 ms | p99 ms |", "|---|--:|--:|--:|--:|"]
    with tempfile.TemporaryDirectory(prefix="hookline-sick-") as folder, Pair(Path(folder)) as pair:
        for senders in TOGETHER:
            for replicas in (0, 1):
                seconds, times = asyncio.run(_measure(pair.primary.url, replicas, senders, calls))
                times.sort()
                p50, p99 = (1000 * times[len(times) * share // 100] for share in (50, 99))
                what = "a replica" if replicas else "its own fsync"
                rows.append(f"| {what} | {senders} | {calls / seconds:.0f} | {p50:.2f} | {p99:.2f} |")
    return "\n".join(rows)


async def _measure(url: str, replicas: int, senders: int, calls: int) -> tuple[float, list[float]]:
    times: list[float] = []
    async with async_client(url, 2.0) as client, aclosing(ScriptLine(client, Keys())) as line:
        ledger = AsyncLedger(line, look_ms=LOOK, replicas=replicas)

        async def send(sender: int) -> None:
            for number in range(calls // senders):
                began = time.perf_counter()
                event = an_event(f"{replicas}-{senders}-{sender}-{number}")
                await ledger.accept([Arrival(event, ("archive",))], GITHUB)
                times.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(send(each) for each in range(senders)))
        return time.perf_counter() - began, times
