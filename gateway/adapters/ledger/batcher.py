"""Group commit: what arrives while one round trip is under way goes into the next one together.

No timer and no waiting: an idle batcher sends a single item at once; under load a batch grows to
what arrived during the last round trip. Cost per item falls as load rises.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """`flush` gets up to `most_items` items, of at most `most_bytes` together, and answers each.

    One item that is larger by itself goes alone. Those with different `lane`s take turns: who has a
    thousand waiting delays another's next one by one of them.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        most_items: int = 128,
        most_bytes: int = 4 * 1024 * 1024,
        size: Callable[[T], int] = lambda _: 0,
        lane: Callable[[T], Hashable] = lambda _: None,
    ) -> None:
        self._flush = flush
        self._most_items = most_items
        self._most_bytes = most_bytes
        self._size = size
        self._lane = lane
        self._lanes: OrderedDict[Hashable, deque[tuple[T, asyncio.Future[R]]]] = OrderedDict()
        self._sender: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """The item's own answer. Raises what `flush` raised for the batch it was in."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._lanes.setdefault(self._lane(item), deque()).append((item, future))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return await future

    async def _send(self) -> None:
        try:
            while self._lanes:
                batch = self._take()
                if not batch:
                    continue
                try:
                    answers = await self._flush([item for item, _ in batch])
                    for (_, future), answer in zip(batch, answers, strict=True):
                        if not future.done():
                            future.set_result(answer)
                except Exception as error:  # every waiter must hear of it
                    for _, future in batch:
                        if not future.done():
                            future.set_exception(error)
        finally:
            self._sender = None

    def _take(self) -> list[tuple[T, asyncio.Future[R]]]:
        """The next batch. Who gave up waiting is left out: nobody would hear that it was stored."""
        batch: list[tuple[T, asyncio.Future[R]]] = []
        used = 0
        while self._lanes and len(batch) < self._most_items:
            lane, waiting = next(iter(self._lanes.items()))
            item, future = waiting[0]
            if not future.done():
                used += self._size(item)
                if batch and used > self._most_bytes:
                    break
                batch.append((item, future))
            waiting.popleft()
            if waiting:
                self._lanes.move_to_end(lane)
            else:
                del self._lanes[lane]
        return batch
