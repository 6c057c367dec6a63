"""What the senders of this campaign have in common: signed requests, and connections from anywhere."""

import asyncio
import hmac
import itertools
import json
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Final

from tests.e2e.rig import SECRET

PORTS_OF_ONE: Final = 250
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def event(number: int, size: int = 200) -> bytes:
    """A body that no other event has."""
    return json.dumps({"type": "push", "number": number, "note": "x" * size}).encode()


def head(source: str, length: int, event_id: str, signature: str, *, close: bool = False) -> bytes:
    """The head of a request for a source of `deployments.SIGNED`."""
    return (
        f"POST /hooks/{source} HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {length}\r\n"
        f"X-Event-Id: {event_id}\r\nX-Signature: {signature}\r\n"
        f"{'Connection: close' if close else 'X-Kept: alive'}\r\n\r\n"
    ).encode()


def signed(source: str, number: int, *, close: bool = False) -> bytes:
    body = event(number)
    signature = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    return head(source, len(body), str(number), signature, close=close) + body


def forged(source: str, number: int) -> bytes:
    body = event(number)
    return head(source, len(body), str(number), "0" * 64) + body


def addresses() -> Iterator[str]:
    """All over the loopback network, so that no limit by address sees a flood as one caller's."""
    return (f"127.{1 + n // 62_500 % 250}.{n // 250 % 250}.{1 + n % 250}" for n in itertools.count())


def when_over(stop: Callable[[], object]) -> None:
    """Calls `stop` on SIGTERM, and when whoever started this process (and holds its stdin) is gone."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_reader(sys.stdin.fileno(), lambda: (loop.remove_reader(sys.stdin.fileno()), stop()))


async def connect(port: int, local: str = "127.0.0.1") -> Streams:
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(local, 0))


async def answer(reader: asyncio.StreamReader) -> int:
    """The status of the next answer, its body read. Raises OSError or EOFError: there is none."""
    text = await reader.readuntil(b"\r\n\r\n")
    lines = text.decode("latin-1").lower().split("\r\n")
    lengths = [line.partition(":")[2] for line in lines if line.startswith("content-length:")]
    await reader.readexactly(int(lengths[0]) if lengths else 0)
    return int(lines[0].split()[1])
