"""The load generator: a closed loop of keep-alive connections, as a process of its own.

    python -m benchmarks.load --port 8000 --path /github --seconds 5

Each connection sends its next request as soon as the last one is answered. What was counted is
printed as one JSON object. Requests in flight at the deadline are waited for and counted, so
that every request sent is in the figures.
"""

import argparse
import asyncio
import gc
import json
import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import cast

import httptools
import uvloop

from benchmarks import push

PREPARED_PER_SECOND = 30_000  # above what the client can send: nothing is signed while timed
PATIENCE_SECONDS = 15.0  # for the last answers; after that they count as lost


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of the generator saw. `lost` counts requests that were never answered."""

    seconds: float
    statuses: dict[str, int]
    lost: int
    p50_ms: float
    p99_ms: float
    cpu_seconds: float

    @property
    def accepted(self) -> int:
        return self.statuses.get("200", 0)

    @property
    def refused(self) -> int:
        return sum(self.statuses.values()) - self.accepted


class _Run:
    """What the connections of one run share."""

    def __init__(self, requests: Iterator[bytes], connections: int) -> None:
        self.requests = requests
        self.deadline = math.inf
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.open = connections
        self.over = asyncio.get_running_loop().create_future()

    def close(self) -> None:
        self.open -= 1
        if not self.open and not self.over.done():
            self.over.set_result(None)


class _Connection(asyncio.Protocol):
    """One request after another. httptools calls `on_message_complete` at an answer's end."""

    def __init__(self, run: _Run) -> None:
        self.run = run
        self.answer = httptools.HttpResponseParser(self)
        self.waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def send(self) -> None:
        request = next(self.run.requests)
        self.waiting = True
        self.sent_at = perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.answer.feed_data(data)

    def on_message_complete(self) -> None:
        now = perf_counter()
        run = self.run
        run.latencies.append(now - self.sent_at)
        run.statuses[self.answer.get_status_code()] += 1
        self.waiting = False
        if now < run.deadline:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        self.run.close()


async def generate(requests: Iterator[bytes], port: int, connections: int, seconds: float) -> Load:
    """Loads 127.0.0.1:`port`. Raises OSError when it cannot be reached at all."""
    loop = asyncio.get_running_loop()
    run = _Run(requests, connections)
    opened = [
        (await loop.create_connection(lambda: _Connection(run), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    cpu, began = time.process_time(), perf_counter()
    run.deadline = began + seconds
    for connection in opened:
        connection.send()
    await asyncio.wait([run.over], timeout=seconds + PATIENCE_SECONDS)
    took, cpu = perf_counter() - began, time.process_time() - cpu
    unanswered = sum(connection.waiting for connection in opened)
    return Load(
        seconds=took,
        statuses={str(status): count for status, count in sorted(run.statuses.items())},
        lost=unanswered,
        p50_ms=quantile(run.latencies, 0.50) * 1000,
        p99_ms=quantile(run.latencies, 0.99) * 1000,
        cpu_seconds=cpu,
    )


def quantile(values: list[float], share: float) -> float:
    """The smallest value that `share` of all values do not exceed; NaN of no values."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def run_process(
    port: int, path: str, connections: int, seconds: float, secret: str = push.SECRET
) -> Load:
    """Runs the generator as a process and returns what it counted.

    Raises subprocess.CalledProcessError when it fails; its own words are on stderr.
    """
    command = [sys.executable, "-m", "benchmarks.load", f"--port={port}", f"--path={path}"]
    command += [f"--connections={connections}", f"--seconds={seconds}", f"--secret={secret}"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return Load(**json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description="Loads one webhook URL on this machine.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--secret", default=push.SECRET)
    options = parser.parse_args()
    prepared = int(options.seconds * PREPARED_PER_SECOND)
    requests = push.requests(options.path, prepared, options.secret)
    gc.freeze()  # the prepared requests are many objects, and none of them is garbage
    load = uvloop.run(generate(requests, options.port, options.connections, options.seconds))
    print(json.dumps(asdict(load)))


if __name__ == "__main__":
    main()
