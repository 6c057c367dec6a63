"""What a gateway does about its spool beside serving: drains it once Redis is back, and what processes
that are gone have left behind.
"""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from gateway.adapters.spool.drain import Drainer
from gateway.adapters.spool.slots import Slot, orphans
from gateway.adapters.spool.spool import DISK_ERRORS, DiskSpool, name_of, tell_damage
from gateway.adapters.spool.store import Store
from gateway.core.source import Source
from gateway.logs import logger
from gateway.ports import Ledger

PROBE_SECONDS: Final = 0.5  # between attempts while Redis is away
LOOK_SECONDS: Final = 5.0  # between looks for what others have left behind
LATER_SECONDS: Final = 60.0  # until a file is looked at again of which nothing could be drained


class SpoolTask:
    """`sources` gives those of now. `count` is told (source, result, how many)."""

    def __init__(
        self,
        spool: DiskSpool,
        ledger: Ledger,
        sources: Callable[[], Mapping[str, Source]],
        count: Callable[[str, str, int], None],
    ) -> None:
        self._spool = spool
        self._ledger = ledger
        self._sources = sources
        self._count = count
        self._drainer: Drainer | None = None
        self._later: dict[Path, float] = {}
        self._missing: set[str] = set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._round()
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._spool.filled.wait()
            except TimeoutError:
                continue
            except Exception as error:  # without this task, nothing would ever come back
                logger().error("spool.interrupted", error=name_of(error))
                if isinstance(error, sqlite3.Error):
                    await self._spool.abandon()
                await asyncio.sleep(PROBE_SECONDS)

    async def _round(self) -> None:
        if any(source.spool for source in self._sources().values()):
            await self._spool.open()
        self._spool.filled.clear()
        answered = True
        if (store := self._spool.store) and store.many:
            if self._drainer is None or self._drainer.store is not store:
                self._drainer = self._drainer_of(store)
            answered = await self._drain(self._drainer)
        if answered:
            await self._drain_orphans()

    async def _drain_orphans(self) -> None:
        slots = await self._spool.run(orphans, self._spool.directory)
        now = time.monotonic()
        try:
            for slot in slots:
                if self._later.get(slot.path, 0.0) <= now and not await self._drain_orphan(slot):
                    return
        finally:
            for slot in slots:
                slot.release()

    async def _drain_orphan(self, slot: Slot) -> bool:
        """Whether Redis answered."""
        store: Store = await self._spool.run(Store, slot.path)
        tell_damage(store)
        answered = True
        try:
            answered = await self._drain(self._drainer_of(store), patient=False)
            return answered
        finally:
            if store.many and answered:  # else it is Redis that is away, not the file that is odd
                self._later[slot.path] = time.monotonic() + LATER_SECONDS
            await self._spool.run(_close, store)

    def _drainer_of(self, store: Store) -> Drainer:
        return Drainer(store, self._spool.run, self._ledger, self._sources())

    async def _drain(self, drainer: Drainer, *, patient: bool = True) -> bool:
        """Whether Redis answered in the end. Patient: goes on until all is drained that can be."""
        began, before = 0.0, drainer.drained
        while True:
            drainer.sources = self._sources()
            started = time.monotonic()
            taken = await drainer.step()
            if taken is None:
                break
            if taken and drainer.drained == before + len(taken):
                began = started
                logger().info("spool.draining", requests=drainer.store.many + len(taken))
            for source, many in Counter(taken).items():
                self._count(source, "drained", many)
            self._spool.note(answered=drainer.answered)
            if not (drainer.answered or patient):
                break
            # Half of the time is live traffic's.
            await asyncio.sleep(time.monotonic() - started if drainer.answered else PROBE_SECONDS)
        await self._tell(drainer, drainer.drained - before, time.monotonic() - began)
        return drainer.answered

    async def _tell(self, drainer: Drainer, many: int, seconds: float) -> None:
        left = drainer.store.many
        if many:
            logger().info("spool.drained", requests=many, left=left or None, seconds=round(seconds, 2))
        if not left:
            return
        totals = await self._spool.run(drainer.store.totals)
        for source in totals.requests.keys() - self._sources().keys() - self._missing:
            self._missing.add(source)
            logger().warning("spool.source_missing", source=source, requests=totals.requests[source])


def _close(store: Store) -> None:
    try:
        store.close()
    except DISK_ERRORS:
        store.abandon()
