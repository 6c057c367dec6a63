"""What a power cut would take, read off a trace: an answer that left while what it stands for had been
written and not synced yet. Exact where one asks after the other, as here.
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.chaos.sweep.gateway import Street
from tests.chaos.syscalls.bench import Traced

REQUESTS: Final = 8


@dataclass(frozen=True, slots=True)
class Promise:
    """`file` and `answer`: how the calls look that write the one, and send the other."""

    file: str
    answer: str


SPOOL: Final = Promise(r"[^>]*\.db-wal>", r"write\(\d+<socket[^,]*, \"HTTP/1\.1 200")
SERVER: Final = Promise(r"[^>]*\.incr\.aof>", r"writev?\(\d+<socket")


def too_early(promise: Promise, trace: str) -> Iterator[str]:
    """The answers that left before the sync of what was written last."""
    written = re.compile(rf"p?writev?(64)?\(\d+<{promise.file}")
    synced = re.compile(rf"(\d+) +f(data)?sync\(\d+<{promise.file}(.*)")
    resumed = re.compile(r"(\d+) +<\.\.\. f(?:data)?sync resumed>.* = 0")
    answer = re.compile(promise.answer)
    waits, syncing = False, ""  # syncing: the thread whose sync has begun
    for line in trace.splitlines():
        if written.search(line):
            waits = True
        elif found := synced.match(line):
            waits = waits and not found[3].endswith("= 0")
            syncing = found[1] if "unfinished" in found[3] else ""
        elif (found := resumed.match(line)) and found[1] == syncing:
            waits, syncing = False, ""
        elif answer.search(line) and waits:
            yield line


def synced_in(promise: Promise, trace: str) -> int:
    """How often the file was synced: none proves nothing."""
    return len(re.findall(rf"f(?:data)?sync\(\d+<{promise.file}", trace))


async def one_after_the_other(bench: Traced) -> str:
    """The trace of a gateway that keeps each request in its spool before the next one comes."""
    street = Street(bench)
    sender = asyncio.create_task(street.send_all(2))  # to the source that spools
    async with asyncio.timeout(20):
        while len(street.acknowledged()) < REQUESTS:
            await asyncio.sleep(0.02)
    street.stopping = True
    await sender
    return bench.calls()
