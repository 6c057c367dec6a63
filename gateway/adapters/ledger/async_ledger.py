"""The gateway's side of the ledger: `accept` in group commit."""

from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.batcher import Batcher
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run_async
from gateway.core.event import Event
from gateway.core.outcomes import Acceptance
from gateway.core.source import Source
from gateway.ingest import Unavailable

Item = tuple[Event, Source, tuple[str, ...]]


class AsyncLedger:
    def __init__(self, client: "Redis", keys: Keys, look_ms: int) -> None:
        self._client = client
        self._keys = keys
        self._look_ms = look_ms
        self._batcher: Batcher[Item, Acceptance] = Batcher(
            self._flush, size=lambda item: len(item[0].body)
        )

    async def accept(self, event: Event, source: Source, processors: tuple[str, ...]) -> Acceptance:
        """Durable when this returns. Raises Unavailable, and then the event may yet be stored."""
        try:
            return await self._batcher.submit((event, source, processors))
        except (RedisError, OSError) as error:
            raise Unavailable from error

    async def _flush(self, batch: Sequence[Item]) -> list[Acceptance]:
        return await run_async(self._client, self._keys, ledger.accept(batch, self._look_ms))
