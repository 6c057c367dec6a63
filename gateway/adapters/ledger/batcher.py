"""Group commit: what arrives while one round trip is under way goes into the next one together.

No timer and no waiting: an idle batcher sends what one turn of the event loop has brought; under load
a batch grows to what arrived during the last round trip. Cost per item falls as load rises.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")
Heard_contra = TypeVar("Heard_contra", contravariant=True)


class Waiter(Protocol[Heard_contra]):
    """Who hears of an item's end: an `asyncio.Future`, or what costs less."""

    def done(self) -> bool:
        """Whether it has heard, or has given up."""

    def set_result(self, result: Heard_contra, /) -> None: ...

    def set_exception(self, exception: Exception, /) -> None: ...


class Batcher(Generic[T, R]):
    """`flush` gets up to `most_items` items, of at most `most_bytes` together, and answers each.

    One item that is larger by itself goes alone. Those with different `lane`s take turns: who has a
    thousand waiting delays another's next one by one of them.

    `most_flights` batches may be under way at once. One leaves in the middle of a turn too, when it has
    `full` items (`most_items` where nothing is said), and beside others as many as those have together:
    whoever it goes to shall work while the rest is read. What `flush` does before it gives its
    awaitable is done then.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        most_items: int = 128,
        most_bytes: int = 4 * 1024 * 1024,
        most_flights: int = 1,
        full: int | None = None,
        size: Callable[[T], int] = lambda _: 0,
        lane: Callable[[T], Hashable] = lambda _: None,
    ) -> None:
        self._flush = flush
        self._most_items = most_items
        self._most_bytes = most_bytes
        self._most_flights = most_flights
        self._full = most_items if full is None else min(full, most_items)
        self._size = size
        self._lane = lane
        self._lanes: OrderedDict[Hashable, deque[tuple[T, Waiter[R]]]] = OrderedDict()
        self._waiting = self._aboard = 0
        self._flights: set[asyncio.Task[None]] = set()
        self._turn_under_way = False

    async def submit(self, item: T) -> R:
        """The item's own answer. Raises what `flush` raised for the batch it was in."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self.put(item, future)
        return await future

    def put(self, item: T, waiter: Waiter[R]) -> None:
        """`submit`, for who is told."""
        self._lanes.setdefault(self._lane(item), deque()).append((item, waiter))
        self._waiting += 1
        if self._waiting >= self._full:
            self._depart()
        if not (self._turn_under_way or self._flights):
            self._turn_under_way = True
            asyncio.get_running_loop().call_soon(self._turn_ends)

    def _turn_ends(self) -> None:
        self._turn_under_way = False
        self._depart()

    def _depart(self) -> None:
        while self._lanes and self._may_depart():
            if batch := self._take():
                self._aboard += len(batch)
                self._flights.add(asyncio.create_task(self._fly(batch, self._begin(batch))))

    def _may_depart(self) -> bool:
        if not self._flights:
            return True
        room = len(self._flights) < self._most_flights
        return room and self._waiting >= max(self._full, self._aboard)

    def _begin(self, batch: list[tuple[T, Waiter[R]]]) -> Awaitable[Sequence[R]]:
        try:
            return self._flush([item for item, _ in batch])
        except Exception as error:
            return _failing(error)

    async def _fly(self, batch: list[tuple[T, Waiter[R]]], landing: Awaitable[Sequence[R]]) -> None:
        answers: Sequence[R] | Exception
        try:
            answers = await landing
            if len(answers) != len(batch):
                raise ValueError(f"{len(answers)} answers to {len(batch)} items")
        except Exception as error:  # every waiter must hear of it
            answers = error
        finally:
            if task := asyncio.current_task():
                self._flights.discard(task)
            self._aboard -= len(batch)
            self._depart()  # before these are told, who may have much to do then
        _tell([waiter for _, waiter in batch], answers)

    def _take(self) -> list[tuple[T, Waiter[R]]]:
        """The next batch. Who gave up waiting is left out: nobody would hear that it was stored."""
        batch: list[tuple[T, Waiter[R]]] = []
        used = 0
        while self._lanes and len(batch) < self._most_items:
            lane, waiting = next(iter(self._lanes.items()))
            item, waiter = waiting[0]
            if not waiter.done():
                used += self._size(item)
                if batch and used > self._most_bytes:
                    break
                batch.append((item, waiter))
            waiting.popleft()
            self._waiting -= 1
            if waiting:
                self._lanes.move_to_end(lane)
            else:
                del self._lanes[lane]
        return batch


async def _failing(error: Exception) -> Sequence[R]:
    raise error


def _tell(waiters: Sequence[Waiter[R]], answers: Sequence[R] | Exception) -> None:
    if isinstance(answers, Exception):
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(answers)
        return
    for waiter, answer in zip(waiters, answers, strict=False):  # as many
        if not waiter.done():
            waiter.set_result(answer)
