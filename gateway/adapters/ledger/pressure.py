"""How full the ledger is, looked at once a second, so that refusing costs a request nothing."""

from collections.abc import Iterable
from typing import Any

from redis.asyncio import Redis

from gateway.adapters.ledger.redis_keys import Keys
from gateway.core.outcomes import Overload
from gateway.core.shedding import Load, shed
from gateway.core.source import Source
from gateway.logs import logger


def memory_share(info: dict[str, Any]) -> float:
    """Of INFO memory: used of what the server may use, else of what its machine has; 0: not told."""
    most = int(info.get("maxmemory") or 0) or int(info.get("total_system_memory") or 0)
    return int(info.get("used_memory") or 0) / most if most else 0.0


class LedgerPressure:
    """What the last look has found. A bound may be passed by what arrives between two looks."""

    def __init__(self, client: "Redis", keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._sources: tuple[Source, ...] = ()
        self._shed: dict[str, Overload] = {}

    def configured(self, sources: Iterable[Source]) -> None:
        self._sources = tuple(sources)

    def of(self, source: Source) -> Overload | None:
        return self._shed.get(source.name)

    async def look(self) -> None:
        """Raises redis.RedisError or OSError; what was found before holds on then."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.info("memory")
        names = [source.name for source in self._sources]
        for name in names:
            pipeline.zcard(self._keys.pending(name))
            pipeline.zcard(self._keys.dead(name))
        info, *counts = await pipeline.execute()
        opened, dead = (dict(zip(names, counts[at::2], strict=True)) for at in (0, 1))
        load = Load(opened, memory_share(info), dead)
        before, self._shed = self._shed, shed(load, self._sources)
        self._tell(before, load)

    def _tell(self, before: dict[str, Overload], load: Load) -> None:
        facts = {"memory": f"{load.memory:.0%}"}
        for name, reason in self._shed.items():
            if before.get(name) is not reason:
                logger().error("source.shed", source=name, reason=reason, open=load.open[name], **facts)
        for name in before.keys() - self._shed.keys():
            logger().info("source.taken_again", source=name, open=load.open.get(name), **facts)
