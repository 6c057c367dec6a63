"""Senders that count how each connection fares: one a request, beside some that are kept alive.

A client may find its kept connection closed in the moment in which it writes: it cannot know whether
the request was read. That race is HTTP's own; it is counted by itself, and the request is repeated on a
new connection, as clients do. A new connection that fails is never right.
"""

import asyncio
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

PATIENCE_SECONDS: Final = 10.0
KEPT_PAUSE: Final = 0.2
OK: Final = 200


class Trouble(StrEnum):
    """How a request can fail without an answer."""

    REFUSED = "refused"
    CUT_BEFORE = "cut before an answer"
    CUT_WITHIN = "cut within an answer"
    TIMED_OUT = "timed out"
    RACE = "kept connection closed while writing"


class FailedError(Exception):
    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble)
        self.trouble = trouble


@dataclass(slots=True)
class Account:
    """What was seen. Times in seconds."""

    requests: int = 0
    connections: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    troubles: Counter[Trouble] = field(default_factory=Counter)
    acknowledged: set[str] = field(default_factory=set)
    longest_request: float = 0.0
    longest_gap: float = 0.0
    answered_at: float = 0.0

    def answer(self, value: str, status: int, began: float) -> None:
        now = time.monotonic()
        self.statuses[status] += 1
        self.longest_request = max(self.longest_request, now - began)
        if self.answered_at:
            self.longest_gap = max(self.longest_gap, now - self.answered_at)
        self.answered_at = now
        if status == OK:
            self.acknowledged.add(value)


class Load(threading.Thread):
    """`rate` new connections a second, and `kept` connections that send five requests a second each.

    `patience`: seconds that a sender waits for an answer.
    """

    def __init__(
        self, port: int, path: str, rate: float, kept: int, patience: float = PATIENCE_SECONDS
    ) -> None:
        super().__init__(daemon=True)
        self.account = Account()
        self._port = port
        self._path = path
        self._rate = rate
        self._kept = kept
        self._patience = patience
        self._stopping = threading.Event()

    def run(self) -> None:
        asyncio.run(self._send_all())

    def stop(self) -> Account:
        """Nothing new; once all that was begun has ended."""
        self._stopping.set()
        self.join(self._patience * 3)
        assert not self.is_alive(), "a sender gets no answer"
        return self.account

    async def _send_all(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._kept):
                tasks.create_task(self._keep(f"kept-{number}"))
            began, number = time.monotonic(), 0
            while not self._stopping.is_set():
                due = int((time.monotonic() - began) * self._rate)
                for number in range(number, due):  # noqa: B020 - goes on where it was
                    tasks.create_task(self._send_anew(f"new-{number}"))
                number = max(number, due)
                await asyncio.sleep(0.005)

    async def _send_anew(self, value: str) -> None:
        self.account.requests += 1
        connection = Connection(self._port, self._path, self.account, self._patience)
        await connection.send(value)
        connection.close()

    async def _keep(self, name: str) -> None:
        connection = Connection(self._port, self._path, self.account, self._patience)
        number = 0
        while not self._stopping.is_set():
            number += 1
            self.account.requests += 1
            await connection.send(f"{name}-{number}")
            await asyncio.sleep(KEPT_PAUSE)
        connection.close()


class Connection:
    """Opened when it is needed; used again if it may be."""

    def __init__(self, port: int, path: str, account: Account, patience: float) -> None:
        self._port = port
        self._path = path
        self._account = account
        self._patience = patience
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
        self._streams = None

    async def send(self, value: str) -> None:
        """Whatever comes of it stands in the account."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._patience):
                status = await self._send_or_repeat(value)
            self._account.answer(value, status, began)
        except TimeoutError:
            self._account.troubles[Trouble.TIMED_OUT] += 1
            self.close()
        except FailedError as failed:
            self._account.troubles[failed.trouble] += 1
            self.close()

    async def _send_or_repeat(self, value: str) -> int:
        if self._streams and self._streams[0].at_eof():
            self.close()
        used = self._streams is not None
        try:
            return await self._exchange(value)
        except FailedError as failed:
            self.close()
            if not used or failed.trouble is not Trouble.CUT_BEFORE:
                raise
        self._account.troubles[Trouble.RACE] += 1
        return await self._exchange(value)

    async def _exchange(self, value: str) -> int:
        reader, writer = self._streams or await self._open()
        head = f"POST {self._path} HTTP/1.1\r\nHost: here\r\nX-Event-Id: {value}\r\nContent-Length: 2"
        heard = b""
        try:
            writer.write(f"{head}\r\n\r\n{{}}".encode())
            heard = await reader.read(1)
            if not heard:
                raise FailedError(Trouble.CUT_BEFORE)
            heard += await reader.readuntil(b"\r\n\r\n")
            fields = heard.lower().split(b"\r\n")
            length = next((each for each in fields if each.startswith(b"content-length:")), b":0")
            await reader.readexactly(int(length.partition(b":")[2]))
        except (OSError, asyncio.IncompleteReadError):
            raise FailedError(Trouble.CUT_WITHIN if heard else Trouble.CUT_BEFORE) from None
        if b"connection: close" in fields:
            self.close()
        return int(heard.split(b" ", 2)[1])

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            raise FailedError(Trouble.REFUSED) from None
        self._account.connections += 1
        return self._streams
