"""What this process counted of requests since it last told Redis.

Labels come from configuration and closed lists only: a caller cannot make a new series.
"""

from bisect import bisect_left
from collections import Counter
from functools import lru_cache
from typing import Final

from redis.asyncio import Redis

from gateway.adapters.ledger.redis_keys import Keys
from gateway.core.outcomes import Outcome

BUCKETS: Final[tuple[float, ...]] = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
UNKNOWN: Final = "unknown"


class Counters:
    """Counts in this process since the last flush."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def request(self, source: str, outcome: Outcome, reason: str, seconds: float) -> None:
        counts, name = self._counts, source or UNKNOWN
        counts[_named("requests", name, outcome, reason)] += 1
        counts[_named("bucket", name, bisect_left(BUCKETS, seconds))] += 1
        counts[_named("micros", name)] += int(seconds * 1_000_000)

    def spool(self, source: str, result: str, many: int) -> None:
        self._counts[f"spool|{source}|{result}"] += many

    async def flush(self, client: "Redis", keys: Keys) -> None:
        """Adds the counts to Redis; keeps them for the next time when that fails."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        pipeline = client.pipeline(transaction=False)
        for name, value in counts.items():
            pipeline.hincrby(keys.counters, name, value)
        try:
            await pipeline.execute()
        except Exception:
            self._counts.update(counts)
            raise


@lru_cache(maxsize=4096)  # three of them a request, and few different ones
def _named(*words: object) -> str:
    """The field that is counted in."""
    return "|".join(map(str, words))
