"""The port `Spool` of one gateway process: keeps requests while Redis is away, in group commit.

All that touches the disk runs in one thread of its own, never on the event loop. While Redis answers
nothing here is called but `away`, which reads a number.
"""

import asyncio
import errno
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.adapters.ledger.batcher import Batcher
from gateway.adapters.spool.records import Packed, pack
from gateway.adapters.spool.slots import Slot, claim, free_bytes
from gateway.adapters.spool.store import Store
from gateway.core.event import Arrival
from gateway.core.source import Source
from gateway.logs import LineBudget, logger
from gateway.ports import Unavailable
from gateway.settings import SpoolSettings

T = TypeVar("T")
Request = tuple[Sequence[Arrival], str]

AWAY_SECONDS: Final = 2.0  # for so long after a failure requests do not wait for Redis first
SLOW_SECONDS: Final = 1.0
AT_ONCE: Final = 256
OPEN_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 5.0
DISK_ERRORS: Final = (sqlite3.Error, OSError)


class DiskSpool:
    """`count` is told (source, result, how many): kept, full, failed."""

    def __init__(
        self,
        settings: SpoolSettings,
        count: Callable[[str, str, int], None] = lambda _source, _result, _many: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = Path(settings.directory)
        self.filled = asyncio.Event()
        self._settings = settings
        self._count = count
        self._clock = clock
        self._away_until = 0.0
        self._batcher: Batcher[Request, bool] = Batcher(self._flush, most_items=AT_ONCE, size=_size)
        self._thread: ThreadPoolExecutor | None = None
        self._slot: Slot | None = None
        self._store: Store | None = None
        self._has_room = True
        self._writing_since: float | None = None
        self._failed = ""
        self._lines = LineBudget(1)

    @property
    def away(self) -> bool:
        """Whether Redis did not answer a moment ago: asking it first would cost the sender's time."""
        ready = self._away_until > 0.0 and self._store is not None
        return ready and self._clock() < self._away_until

    def note(self, *, answered: bool) -> None:
        """What Redis did when it was last asked to accept something."""
        self._away_until = 0.0 if answered else self._clock() + AWAY_SECONDS

    async def keep(self, arrivals: Sequence[Arrival], source: Source) -> None:
        """Durable when this returns. Raises Unavailable: no room, or the disk does not take it. Who
        gives up waiting cannot know."""
        try:
            kept = await self._batcher.submit((arrivals, source.name))
        except DISK_ERRORS as error:
            raise Unavailable from error
        if not kept:
            raise Unavailable

    @property
    def store(self) -> Store | None:
        """This process's own; to be used through `run` only."""
        return self._store

    @property
    def takes_writes(self) -> bool:
        """By what is known without touching the disk."""
        since = self._writing_since
        slow = since is not None and self._clock() - since > SLOW_SECONDS
        return self._store is not None and self._has_room and not slow

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Carries it out in the thread that the disk belongs to."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "spool")
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    async def open(self) -> None:
        """Makes ready for writes, if it is not; and looks whether there is room again. What keeps it
        from that is logged once, and tried again at the next call."""
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self.run(self._open)
            self._failed = ""
        except DISK_ERRORS as error:
            if self._failed != (name := name_of(error)):
                self._failed = name
                logger().error("spool.unusable", directory=str(self.directory), error=name)

    async def abandon(self) -> None:
        """After an error of `store`: opened again, what is damaged of it is found and mended."""
        await self.run(self._abandon)

    async def aclose(self) -> None:
        """What is being written is finished first, unless the disk hangs."""
        if self._thread is None:
            return
        with suppress(*DISK_ERRORS):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.run(self._close)
        self._thread.shutdown(wait=False)
        self._thread = None

    async def _flush(self, batch: Sequence[Request]) -> list[bool]:
        self._writing_since = self._clock()
        try:
            answers = await self.run(self._write, batch)
        except DISK_ERRORS as error:
            if (left_out := self._lines.take()) is not None:
                told = {"error": name_of(error), "left_out": left_out or None}
                logger().error("spool.failed", requests=len(batch), **told)
            self._tell("failed", [name for _, name in batch])
            raise
        finally:
            self._writing_since = None
        pairs = list(zip(batch, answers, strict=True))
        self._tell("kept", [name for (_, name), kept in pairs if kept])
        self._tell("full", [name for (_, name), kept in pairs if not kept])
        self.filled.set()
        return answers

    def _tell(self, result: str, sources: Sequence[str]) -> None:
        for source, many in Counter(sources).items():
            self._count(source, result, many)

    # In the thread

    def _open(self) -> None:
        if self._store is None:
            self._slot = self._slot or claim(self.directory)
            self._store = Store(self._slot.path)
            tell_damage(self._store)
            if self._store.many:
                self.filled.set()
        self._has_room = self._room(self._store) > 0

    def _write(self, batch: Sequence[Request]) -> list[bool]:
        if self._store is None:
            raise OSError("the spool is not open")
        try:
            return self._add(self._store, [pack(*request) for request in batch])
        except DISK_ERRORS:
            self._abandon()  # only the disk knows what it has: it is read from there
            raise

    def _add(self, store: Store, records: Sequence[Packed]) -> list[bool]:
        room, places = self._room(store), self._settings.max_events - store.many
        fitting: list[Packed] = []
        answers = []
        for each in records:
            fits = each.size <= room and len(fitting) < places
            if fits:
                room -= each.size
                fitting.append(each)
            answers.append(fits)
        if fitting:
            store.add(fitting)
        self._has_room = all(answers)
        return answers

    def _room(self, store: Store) -> int:
        """Bytes that may still be written."""
        if store.many >= self._settings.max_events:
            return 0
        spare = free_bytes(self.directory) - int(self._settings.keep_free)
        return min(int(self._settings.max_bytes) - store.size, spare)

    def _abandon(self) -> None:
        store, self._store = self._store, None
        if store:
            with suppress(sqlite3.Error):
                store.abandon()

    def _close(self) -> None:
        try:
            if self._store:
                self._store.close()
        finally:
            self._store = None
            if self._slot:
                self._slot.release()
            self._slot = None


def tell_damage(store: Store) -> None:
    """Says what was found, if anything was."""
    if store.damage:
        told = {"file": str(store.damage.file), "requests": store.damage.requests}
        logger().error("spool.damaged", **told)


def name_of(error: BaseException) -> str:
    """SQLITE_FULL, ENOSPC: what a log may say of it."""
    number = getattr(error, "errno", None)
    name = getattr(error, "sqlite_errorname", None) or errno.errorcode.get(number or 0)
    return name or type(error).__name__


def _size(request: Request) -> int:
    return sum(len(each.event.body) for each in request[0])
