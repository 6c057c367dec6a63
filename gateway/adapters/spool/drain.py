"""Brings kept requests back: through the same `accept`, the oldest first, each removed only after that
has returned. A crash in between repeats it, and `accept` knows what it has.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.adapters.spool.looking import Kept
from gateway.adapters.spool.store import Store
from gateway.core.source import Source
from gateway.logs import logger
from gateway.ports import Ledger

AT_ONCE: Final = 128
FIRST_STUCK_SECONDS: Final = 1.0
STUCK_SECONDS: Final = 60.0

Run = Callable[..., Awaitable[Any]]  # carries out a function of the store, where that may be done


@dataclass(slots=True)
class Drainer:
    """Of one store. `sources` are those of now: what is kept of another one stays.

    A request that the ledger alone does not take must not hold up the others: after a failure they are
    tried one by one, and one that fails right after another was taken waits: at first a second, for the
    server may have been away for just that one, then twice as long each time, a minute at most.
    """

    store: Store
    run: Run
    ledger: Ledger
    sources: Mapping[str, Source]
    clock: Callable[[], float] = time.monotonic
    drained: int = 0
    _answered: bool = True
    _suspects: set[int] = field(default_factory=set)
    _stuck: dict[int, float] = field(default_factory=dict)
    _waits: dict[int, float] = field(default_factory=dict)

    @property
    def answered(self) -> bool:
        """Whether the ledger took anything of the last batch."""
        return self._answered

    @property
    def stuck(self) -> int:
        """How many requests the ledger does not take, though it takes others."""
        return len(self._stuck)

    async def step(self) -> list[str] | None:
        """One batch: the sources of those that the ledger has now; None: nothing is left that can be
        drained. Raises sqlite3.Error and OSError."""
        batch = await self._next()
        if not batch:
            return None
        taken = await self._accept(batch)
        self._judge(batch, taken)
        if taken:
            await self.run(self.store.remove, [each.number for each in taken])
        self.drained += len(taken)
        return [each.source for each in taken]

    async def _next(self) -> list[Kept]:
        now = self.clock()
        self._stuck = {number: until for number, until in self._stuck.items() if until > now}
        # In an outage another one each time: the oldest may be what is wrong.
        passed = set() if self._answered else self._suspects
        most = AT_ONCE if self._answered and not self._suspects else 1
        before = self.store.corrupt
        batch: list[Kept] = await self.run(
            self.store.oldest, tuple(self.sources), most, {*self._stuck, *passed}
        )
        if corrupt := self.store.corrupt - before:
            logger().error("spool.corrupt", requests=corrupt, file=str(self.store.path))
        if not batch and passed:
            self._suspects.clear()
            return await self._next()
        return batch

    async def _accept(self, batch: Sequence[Kept]) -> list[Kept]:
        """Those that the ledger has. All at once: it packs them into as few calls as it may."""
        waiting = [
            asyncio.ensure_future(self.ledger.accept(each.arrivals, self.sources[each.source]))
            for each in batch
        ]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        return [
            each
            for each, answer in zip(batch, answers, strict=True)
            if not isinstance(answer, BaseException)
        ]

    def _judge(self, batch: Sequence[Kept], taken: Sequence[Kept]) -> None:
        done = {each.number for each in taken}
        failed = {each.number for each in batch} - done
        for number in done:
            self._waits.pop(number, None)
        alone = len(batch) == 1
        if failed and alone and self._answered and failed <= self._suspects:
            self._wait(batch[0])
            return
        self._suspects = (self._suspects | failed) - done
        self._answered = bool(done)

    def _wait(self, kept: Kept) -> None:
        """It was tried alone, right after another one was taken."""
        wait = min(self._waits.get(kept.number, FIRST_STUCK_SECONDS), STUCK_SECONDS)
        self._stuck[kept.number] = self.clock() + wait
        self._waits[kept.number] = 2 * wait
        self._suspects.discard(kept.number)
        logger().error("spool.stuck", source=kept.source, number=kept.number, again_in_s=wait)
