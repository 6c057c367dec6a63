"""`python -m tests.chaos.overload.good PORT RATE`: a source that behaves, as a process of its own.

It sends at fixed times, every other request on a new connection, and counts from when a request was
due: a gateway that is slow for a second is slow for all that were due in it. A line on stdout for each:
when it was due (Unix seconds), how long it took (seconds), the status (0: no answer).
"""

import asyncio
import contextlib
import sys
import time
from collections import deque

import uvloop

from tests.chaos.overload.wire import Streams, answer, connect, signed, when_over

PATIENCE_SECONDS = 30.0


async def send(port: int, number: int, idle: deque[Streams]) -> int:
    """The status."""
    fresh = bool(number % 2)
    streams = await connect(port) if fresh or not idle else idle.popleft()
    streams[1].write(signed("good", number, close=fresh))
    status = 0
    try:
        status = await answer(streams[0])
    finally:
        if status == 200 and not fresh:
            idle.append(streams)
        else:
            streams[1].close()
    return status


async def timed(port: int, number: int, idle: deque[Streams], due: float) -> None:
    status = 0
    with contextlib.suppress(OSError, EOFError, TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            status = await send(port, number, idle)
    print(f"{due:.6f} {time.time() - due:.6f} {status}", flush=True)


async def main(port: int, rate: float) -> None:
    began, over = time.time(), asyncio.Event()
    when_over(over.set)
    idle: deque[Streams] = deque()
    tasks: set[asyncio.Task[None]] = set()
    number = 0
    while not over.is_set():
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.time()))
        task = asyncio.create_task(timed(port, number, idle, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        number += 1
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
