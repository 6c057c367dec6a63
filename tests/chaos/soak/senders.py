"""The fleet that sends: keep-alive connections of each provider, and its book of what was acknowledged.

An event is acknowledged when a 2xx was read. What then was sent in vain, was cut off or was refused is
repeated as its provider repeats, or given up.
"""

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, cast

import httptools

from tests.chaos.soak.providers import Provider

TICK_SECONDS: Final = 0.02
RECONNECT_SECONDS: Final = 0.05
ECHO_EVERY: Final = 20
ECHO_SECONDS: Final = 1.5
NO_ANSWER: Final = 0
"""The connection ended, or the deadline passed, without one."""
Job = tuple[int, int]
"""An event's number, and how often it was repeated so far."""


class Desk:
    """One provider's books: what it has sent, what was acknowledged, what it has to repeat."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.sent = 0
        self.acknowledged = bytearray()
        self.statuses: Counter[int] = Counter()
        self.given_up = self.after_repeat = self.acknowledged_twice = 0
        self._due: list[tuple[float, Job]] = []

    def next(self, *, fresh: bool) -> Job | None:
        """What to send now: a repeat whose time has come, else (`fresh`) a new event."""
        now = time.monotonic()
        if self._due and self._due[0][0] <= now:
            return heapq.heappop(self._due)[1]
        if not fresh:
            return None
        job = (self.sent, 0)
        self.sent += 1
        self.acknowledged.append(0)
        for _ in range(self.provider.copies - 1):
            heapq.heappush(self._due, (now, job))
        return job

    def answered(self, job: Job, status: int) -> None:
        number, repeats = job
        self.statuses[status] += 1
        known = self.acknowledged[number]
        if 200 <= status < 300:
            self.acknowledged_twice += known
            self.after_repeat += repeats > 0 and not known
            self.acknowledged[number] = 1
            if self.provider.echoes and not known and number % ECHO_EVERY == 0:
                echo = (number, len(self.provider.pauses))
                heapq.heappush(self._due, (time.monotonic() + ECHO_SECONDS, echo))
        elif repeats < len(self.provider.pauses):
            at = time.monotonic() + self.provider.pauses[repeats]
            heapq.heappush(self._due, (at, (number, repeats + 1)))
        else:
            self.given_up += not known

    @property
    def waiting(self) -> int:
        """Repeats that are still to come."""
        return len(self._due)

    def values(self) -> set[str]:
        """Of what was acknowledged."""
        return {self.provider.value(n) for n, known in enumerate(self.acknowledged) if known}


class Line(asyncio.Protocol):
    """One connection, one request at a time. httptools calls `on_message_complete`."""

    def __init__(self, fleet: "Fleet", desk: Desk, port: int) -> None:
        self.fleet = fleet
        self.desk = desk
        self.port = port
        self.job: Job | None = None
        self.transport: asyncio.Transport | None = None
        self._overdue = 0.0
        self._answer = httptools.HttpResponseParser(self)

    async def run(self) -> None:
        """Connects again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            if self.transport is None:
                self._answer = httptools.HttpResponseParser(self)
                with suppress(OSError):
                    await loop.create_connection(lambda: self, "127.0.0.1", self.port)
            await asyncio.sleep(RECONNECT_SECONDS)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self.pump()

    def pump(self) -> None:
        """Sends what there is to send, when it is free to."""
        if self.transport is None or self.job is not None:
            return
        self.job = self.desk.next(fresh=self.fleet.sends)
        if self.job is not None:
            self._overdue = time.monotonic() + self.desk.provider.deadline
            self.transport.write(self.desk.provider.request(self.job[0]))

    def look(self, now: float) -> None:
        """Gives up waiting when the deadline is over."""
        if self.job is not None and self.transport is not None and now > self._overdue:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        with suppress(httptools.HttpParserError):
            self._answer.feed_data(data)

    def on_message_complete(self) -> None:
        job, self.job = self.job, None
        if job is not None:
            self.desk.answered(job, self._answer.get_status_code())
        if not self._answer.should_keep_alive() and self.transport is not None:
            self.transport.close()
        else:
            self.pump()

    def connection_lost(self, _: Exception | None) -> None:
        self.transport = None
        if self.job is not None:
            job, self.job = self.job, None
            self.desk.answered(job, NO_ANSWER)


class Fleet:
    """All connections of all providers. New events are sent while `sends`.

    async with Fleet(providers, ports, 8) as fleet: ...
    """

    def __init__(self, providers: Sequence[Provider], ports: Sequence[int], connections: int) -> None:
        """So many connections of each provider to each port."""
        self.sends = True
        self.desks = [Desk(each) for each in providers]
        self._lines = [
            Line(self, desk, port) for desk in self.desks for port in ports for _ in range(connections)
        ]

    async def __aenter__(self) -> "Fleet":
        self._tasks = [asyncio.create_task(line.run()) for line in self._lines]
        self._tasks.append(asyncio.create_task(self._tick()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for line in self._lines:
            if line.transport is not None:
                line.transport.abort()

    async def _tick(self) -> None:
        while True:
            now = time.monotonic()
            for line in self._lines:
                line.look(now)
                line.pump()
            await asyncio.sleep(TICK_SECONDS)

    @property
    def acknowledged(self) -> int:
        return sum(sum(desk.acknowledged) for desk in self.desks)

    def left(self) -> list[str]:
        """What is under way, or will be repeated; empty when nothing is."""
        under_way = sum(line.job is not None for line in self._lines)
        repeats = sum(desk.waiting for desk in self.desks)
        found = {"requests under way": under_way, "repeats to come": repeats}
        return [f"{name}: {many}" for name, many in found.items() if many]
