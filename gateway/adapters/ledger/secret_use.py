"""Which secret verified how often, and when last: told by reference (`env:NAME`), never by the secret.

Counted in each gateway process, added up in Redis every few seconds: a restart loses those seconds.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from gateway.adapters.ledger.redis_keys import Keys

Secret = tuple[str, str]  # a source's name, a reference


@dataclass(frozen=True, slots=True)
class Use:
    """Of one secret of a source. Unix seconds. `first_seen`: when a gateway first had it configured."""

    count: int = 0
    last_used: float | None = None
    first_seen: float | None = None


class SecretUse:
    """What happened in this process since the last flush. `clock` gives Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._counts: Counter[Secret] = Counter()
        self._last: dict[Secret, int] = {}
        self._seen: dict[Secret, int] = {}

    def configured(self, sources: Mapping[str, Iterable[str]]) -> None:
        """The references of every source, at the start and after each reload."""
        now = self._now()
        for source, references in sources.items():
            for reference in references:
                self._seen[source, reference] = now

    def count(self, source: str, reference: str) -> None:
        """This secret has verified a request now."""
        self._counts[source, reference] += 1
        self._last[source, reference] = self._now()

    async def flush(self, client: "AsyncRedis", keys: Keys) -> None:
        """Adds it to what is in Redis; keeps it for the next time when that fails. Raises
        redis.RedisError."""
        counts, last, seen = self._counts, self._last, self._seen
        if not (counts or seen):
            return
        self._counts, self._last, self._seen = Counter(), {}, {}
        pipeline = client.pipeline(transaction=True)
        for (source, reference), when in seen.items():
            pipeline.hsetnx(keys.secret_use(source), f"first|{reference}", when)
        for (source, reference), many in counts.items():
            pipeline.hincrby(keys.secret_use(source), f"count|{reference}", many)
            pipeline.hset(keys.secret_use(source), f"last|{reference}", last[source, reference])
        try:
            await pipeline.execute()
        except Exception:
            self._counts.update(counts)
            self._last, self._seen = last | self._last, seen | self._seen
            raise

    def _now(self) -> int:
        return int(self._clock() * 1000)


def secret_use(client: "Redis", keys: Keys, source: str) -> dict[str, Use]:
    """By reference. Raises redis.RedisError."""
    fields: Any = client.hgetall(keys.secret_use(source))
    known: dict[str, dict[str, int]] = {}
    for field, value in fields.items():
        kind, _, reference = field.decode().partition("|")
        known.setdefault(reference, {})[kind] = int(value)
    return {reference: _use(facts) for reference, facts in known.items()}


def _use(facts: Mapping[str, int]) -> Use:
    return Use(facts.get("count", 0), _seconds(facts.get("last")), _seconds(facts.get("first")))


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
