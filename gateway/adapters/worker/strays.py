"""Queues that no source names any more, in which accepted events still wait."""

from collections.abc import Collection
from typing import Any

from redis import Redis

from gateway.adapters.ledger import terms
from gateway.adapters.ledger.redis_keys import Keys


def stray_queues(client: "Redis", keys: Keys, known: Collection[str]) -> list[str]:
    """Where the most overdue delivery of each source is rung, if that is not a `known` queue.

    A source was renamed or taken out of the configuration, or was given another queue: its bells
    ring where nobody would listen. Raises redis.RedisError.
    """
    sources: Any = client.smembers(keys.sources)
    with client.pipeline(transaction=False) as pipeline:
        for source in sources:
            pipeline.zrange(keys.pending(source.decode()), 0, 0)
        oldest = [found[0].decode() for found in pipeline.execute() if found]
        for delivery in oldest:
            event = delivery.replace("dlv_", "evt_").rpartition("-")[0]
            pipeline.hmget(keys.event(event), *terms.FIELDS)
        found = filter(None, map(terms.names, pipeline.execute()))
    return sorted({queue for _, queue in found} - set(known))
