"""The quota: counts a source's verified requests in Redis, shared by all gateways."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from limits import RateLimitItem, parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

from gateway.adapters.ledger.batcher import Batcher
from gateway.adapters.ledger.redis_clients import async_client
from gateway.core.source import Source

MOST_SPARE: Final = 256


class Permits:
    """Permits charged in advance: at most a hundredth of a limit, so that a busy source does not pay
    a fsynced round trip for each batch. A limit below a hundred is counted one by one, exactly.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: dict[str, tuple[int, float]] = {}
        self._low: dict[str, int] = {}

    @staticmethod
    def spare(item: RateLimitItem) -> int:
        return min(MOST_SPARE, item.amount // 100)

    def take(self, source: str, most: int = 1) -> int:
        """How many of `most` there were; they are used up now."""
        left, until = self._left.get(source, (0, 0.0))
        if left <= 0 or until <= self._clock():
            return 0
        taken = min(left, most)
        self._left[source] = (left - taken, until)
        return taken

    def put(self, source: str, many: int, item: RateLimitItem) -> None:
        """Added to those that are there; all are good until the window of these has passed."""
        now = self._clock()
        left, until = self._left.get(source, (0, 0.0))
        self._left[source] = (many + (left if until > now else 0), now + item.get_expiry())
        self._low[source] = self.spare(item) // 2

    def are_low(self, source: str) -> bool:
        """Whether half of them are gone: time for more, before anybody has to wait for one."""
        return self._left.get(source, (0, 0.0))[0] < self._low.get(source, 0)

    def are_the_last(self, source: str) -> None:
        """There are no more to be had now: `are_low` says no until the next `put`."""
        self._low.pop(source, None)


class RedisQuota:
    """A source's rate limit. Requests that arrive together are charged together.

    Fails open: a limiter must never be the reason why an event is lost. When Redis is away, the
    ledger says so right after.
    """

    def __init__(self, url: str, prefix: str, timeout: float) -> None:
        # Ours, with our time limits and every kind of URL; the library's own has neither.
        self._client = async_client(url, timeout)
        self._storage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix=f"{prefix}:quota",
            connection_pool=self._client.connection_pool,  # type: ignore[arg-type]  # passed on as it is
        )
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)
        self._batcher: Batcher[Source, float | None] = Batcher(self._flush)
        self._permits = Permits()
        self._ahead: dict[str, asyncio.Task[None]] = {}

    def spare(self, source: Source) -> bool:
        """Whether one was there that is charged already."""
        name = source.name
        if not self._permits.take(name):
            return False
        if name not in self._ahead and self._permits.are_low(name):
            self._ahead[name] = asyncio.get_running_loop().create_task(self._charge_ahead(source))
        return True

    async def charge(self, source: Source) -> float | None:
        """None when within the limit, else seconds until it may be tried again."""
        if self.spare(source):
            return None
        try:
            return await self._batcher.submit(source)
        except (RedisError, OSError):
            return None

    async def aclose(self) -> None:
        """Ends its connections now; dropped without it, they end when it is collected."""
        if self._ahead:
            await asyncio.wait(self._ahead.values())
        await self._client.aclose()

    async def _charge_ahead(self, source: Source) -> None:
        """As many as are gone at least."""
        item = _parsed(source.rate_limit or "")
        many = self._permits.spare(item) // 2
        try:
            if await self._limiter.hit(item, source.name, cost=many):
                self._permits.put(source.name, many, item)
            else:
                self._permits.are_the_last(source.name)
        except (RedisError, OSError):  # `charge` fails open
            pass
        finally:
            del self._ahead[source.name]

    async def _flush(self, batch: Sequence[Source]) -> list[float | None]:
        answers: dict[str, list[float | None]] = {}
        by_name = {source.name: source for source in batch}
        for name, many in Counter(source.name for source in batch).items():
            answers[name] = await self._charge_many(by_name[name], many)
        return [answers[source.name].pop(0) for source in batch]

    async def _charge_many(self, source: Source, many: int) -> list[float | None]:
        held = self._permits.take(source.name, many)  # charged before, for others who did not come
        if held < many and (ahead := self._ahead.get(source.name)):
            await asyncio.wait([ahead])
            held += self._permits.take(source.name, many - held)
        return [None] * held + await self._charge_rest(source, many - held)

    async def _charge_rest(self, source: Source, many: int) -> list[float | None]:
        item = _parsed(source.rate_limit or "")
        spare = self._permits.spare(item) if many else 0
        if spare and await self._limiter.hit(item, source.name, cost=many + spare):
            self._permits.put(source.name, spare, item)
            return [None] * many
        # If not all of them fit, bisect for those that do: exactly the allowed number gets through, and
        # a busy source beyond its limit costs a few writes a batch, not one a request.
        within, fewer_than, step = 0, many + 1, many
        while fewer_than > 1:
            if await self._limiter.hit(item, source.name, cost=step):
                within, fewer_than = within + step, fewer_than - step
            else:
                fewer_than = step
            step = fewer_than // 2
        answers: list[float | None] = [None] * within
        if within < many:
            answers += [await self._wait(item, source)] * (many - within)
        return answers

    async def _wait(self, item: RateLimitItem, source: Source) -> float:
        stats = await self._limiter.get_window_stats(item, source.name)
        return max(1.0, stats.reset_time - time.time())


@cache
def _parsed(limit: str) -> RateLimitItem:
    return parse(limit)
