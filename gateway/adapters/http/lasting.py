"""The parts of a gateway process that outlive a reload: caches, counters, and work under way."""

import contextlib
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.adapters.http.counters import Counters
from gateway.adapters.ledger.async_ledger import LINES
from gateway.adapters.ledger.lessons import RedisLessons
from gateway.adapters.ledger.pressure import LedgerPressure
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.refused import Refusals
from gateway.adapters.ledger.script_line import ScriptLine
from gateway.adapters.ledger.secret_use import SecretUse
from gateway.adapters.outbound.keys import Keys as FetchedKeys
from gateway.adapters.outbound.late import LateClient
from gateway.adapters.outbound.visits import Visits
from gateway.adapters.spool.spool import DiskSpool
from gateway.settings import SpoolSettings


@dataclass(frozen=True, slots=True)
class Lasting:
    """One a process. `names` are those of the Redis keys."""

    redis: "Redis"
    names: Keys
    accepting: tuple[ScriptLine, ...]
    counters: Counters
    secret_use: SecretUse
    lessons: RedisLessons
    refused: Refusals
    client: LateClient
    keys: FetchedKeys
    visits: Visits
    spool: DiskSpool
    pressure: LedgerPressure

    @classmethod
    def of(cls, redis: "Redis", names: Keys, spool: SpoolSettings | None = None) -> "Lasting":
        client = LateClient()
        counters = Counters()
        return cls(
            redis=redis,
            names=names,
            accepting=tuple(ScriptLine(redis, names) for _ in range(LINES)),
            counters=counters,
            secret_use=SecretUse(),
            lessons=RedisLessons(redis, names),
            refused=Refusals(redis, names),
            client=client,
            keys=FetchedKeys(client),
            visits=Visits(client),
            spool=DiskSpool(spool or SpoolSettings(), counters.spool),
            pressure=LedgerPressure(redis, names),
        )

    async def flush(self) -> None:
        """Adds the counts to those in Redis, and looks how full it is; what cannot be written is kept
        for the next time."""
        with contextlib.suppress(RedisError, OSError):
            await self.counters.flush(self.redis, self.names)
        with contextlib.suppress(RedisError, OSError):
            await self.secret_use.flush(self.redis, self.names)
        with contextlib.suppress(RedisError, OSError):
            await self.pressure.look()

    async def aclose(self) -> None:
        await self.spool.aclose()
        await self.refused.aclose()
        await self.visits.aclose()
        await self.keys.aclose()
        await self.client.aclose()
        await self.flush()
        for line in self.accepting:
            await line.aclose()
