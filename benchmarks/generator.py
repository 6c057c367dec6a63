"""The load generator: keep-alive connections, as a process of its own.

    python -m benchmarks.generator --port 8000 --path /github --seconds 5 [--rate 300]

Without a rate it is a closed loop: each connection sends its next request as soon as the last one
is answered. With one it is an open loop: requests have their times, and latency counts from there,
whether or not a connection was free. What was counted is printed as one JSON object. Requests in
flight at the deadline are waited for and counted, so that every request sent is in the figures.
"""

import argparse
import asyncio
import gc
import itertools
import json
import math
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict
from time import perf_counter
from typing import cast

import httptools
import uvloop

from benchmarks import push
from benchmarks.load import Load, Plan, quantile

PREPARED_PER_SECOND = 30_000  # above what the client can send: nothing is signed while timed
PATIENCE_SECONDS = 15.0  # for the last answers; after that they count as lost


class _Run:
    """What the connections of one run share. `due` holds times whose requests wait for a connection."""

    def __init__(self, requests: Iterator[bytes], connections: int, *, opened: bool) -> None:
        self.requests = requests
        self.closed_loop = not opened
        self.deadline = math.inf
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.open = connections
        self.idle: list[_Connection] = []
        self.due: deque[float] = deque()
        self.over = asyncio.get_running_loop().create_future()

    def next(self, connection: "_Connection") -> None:
        """What a connection does that is free now."""
        if self.closed_loop and perf_counter() < self.deadline:
            connection.send(perf_counter())
        elif self.due:
            connection.send(self.due.popleft())
        elif perf_counter() < self.deadline:
            self.idle.append(connection)
        else:
            connection.transport.close()

    def close(self) -> None:
        self.open -= 1
        if not self.open and not self.over.done():
            self.over.set_result(None)


class _Connection(asyncio.Protocol):
    """One request after another. httptools calls `on_message_complete` at an answer's end."""

    def __init__(self, run: _Run, port: int, addresses: Iterator[str]) -> None:
        self.run = run
        self.port = port
        self.addresses = addresses
        self.answer = httptools.HttpResponseParser(self)
        self.waiting = self.begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        if self.begun:
            self.run.next(self)

    def send(self, sent_at: float) -> None:
        request = next(self.run.requests)
        self.waiting = self.begun = True
        self.sent_at = sent_at
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.answer.feed_data(data)

    def on_message_complete(self) -> None:
        now = perf_counter()
        self.run.latencies.append(now - self.sent_at)
        self.run.statuses[self.answer.get_status_code()] += 1
        self.waiting = False
        if self.answer.should_keep_alive():
            self.run.next(self)
        else:
            self.transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        """One that was told to close, as after a refusal, is opened anew while the run lasts."""
        if self.waiting or perf_counter() >= self.run.deadline:
            if self in self.run.idle:
                self.run.idle.remove(self)
            self.run.close()
            return
        self.answer = httptools.HttpResponseParser(self)
        task = asyncio.get_running_loop().create_task(self.connect())
        task.add_done_callback(lambda done: self.run.close() if done.exception() else None)

    async def connect(self) -> None:
        local = (next(self.addresses), 0)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, "127.0.0.1", self.port, local_addr=local)


def _addresses(spread: bool) -> Iterator[str]:
    """Where connections come from. One address alone runs out of ports when each is used once."""
    if not spread:
        return itertools.repeat("127.0.0.1")
    return (f"127.{1 + n // 62_500}.{n // 250 % 250}.{1 + n % 250}" for n in itertools.count())


async def generate(
    requests: Iterator[bytes],
    port: int,
    connections: int,
    seconds: float,
    rate: float = 0.0,
    *,
    spread: bool = False,
) -> Load:
    """Loads 127.0.0.1:`port`. Raises OSError when it cannot be reached at all.

    `spread`: each connection comes from another address of the loopback network.
    """
    run = _Run(requests, connections, opened=rate > 0)
    addresses = _addresses(spread)
    opened = [_Connection(run, port, addresses) for _ in range(connections)]
    for connection in opened:
        await connection.connect()
        connection.begun = True
    cpu, began = time.process_time(), perf_counter()
    run.deadline = began + seconds
    if rate:
        await _on_time(run, opened, rate)
    else:
        for connection in opened:
            connection.send(perf_counter())
    await asyncio.wait([run.over], timeout=seconds + PATIENCE_SECONDS)
    took, cpu = perf_counter() - began, time.process_time() - cpu
    unanswered = sum(connection.waiting for connection in opened) + len(run.due)
    return Load(
        seconds=took,
        statuses={str(status): count for status, count in sorted(run.statuses.items())},
        lost=unanswered,
        p50_ms=quantile(run.latencies, 0.50) * 1000,
        p99_ms=quantile(run.latencies, 0.99) * 1000,
        cpu_seconds=cpu,
    )


async def _on_time(run: _Run, opened: list[_Connection], rate: float) -> None:
    """Sends each request at its time, or as soon after as a connection is free."""
    run.idle = list(opened)
    at = perf_counter()
    while at < run.deadline:
        while at <= min(perf_counter(), run.deadline):
            if run.idle:
                run.idle.pop().send(at)
            else:
                run.due.append(at)
            at += 1 / rate
        await asyncio.sleep(max(0.0, at - perf_counter()))
    for connection in run.idle:
        connection.transport.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Loads one webhook URL on this machine.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--secret", default=push.SECRET)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0: closed loop")
    parser.add_argument("--spread", type=int, default=0, help="1: from many addresses")
    parser.add_argument("--fresh", type=int, default=0, help="1: a connection for each request")
    plan = Plan(**vars(parser.parse_args()))
    prepared = int(plan.seconds * (1.1 * plan.rate or PREPARED_PER_SECOND))
    requests = push.requests(plan.path, prepared, plan.secret, last=bool(plan.fresh))
    gc.freeze()  # the prepared requests are many objects, and none of them is garbage
    load = uvloop.run(
        generate(
            requests,
            plan.port,
            plan.connections,
            plan.seconds,
            plan.rate,
            spread=bool(plan.spread),
        )
    )
    print(json.dumps(asdict(load)))


if __name__ == "__main__":
    main()
