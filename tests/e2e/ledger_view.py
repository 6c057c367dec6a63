"""What a gateway has stored, read past it: the keys themselves."""

from typing import Any

from redis import Redis

from gateway.adapters.ledger.calls import unpack_headers
from gateway.adapters.ledger.redis_keys import Keys
from gateway.core.event import delivery_id, event_id


class LedgerView:
    def __init__(self, client: "Redis") -> None:
        self.client = client
        self.keys = Keys()

    def stored(self, source: str, provider_id: str) -> bytes | None:
        """The body of the event that the provider calls so; None: there is none."""
        body: Any = self.client.hget(self.keys.body(event_id(source, "id", provider_id.encode())), "b")
        return None if body is None else bytes(body)

    def headers(self, source: str, provider_id: str) -> tuple[tuple[str, str], ...]:
        key = self.keys.body(event_id(source, "id", provider_id.encode()))
        packed: Any = self.client.hget(key, "h")
        return unpack_headers(packed)

    def events(self, source: str) -> int:
        """How many events of the source there are."""
        return int(self.client.zcard(self.keys.events(source)))

    def bells(self, source: str, provider_id: str) -> list[str]:
        """The RQ jobs that say: look at the first delivery of this event."""
        delivery = delivery_id(event_id(source, "id", provider_id.encode()), 1)
        jobs: Any = self.client.lrange(self.keys.queue(source), 0, -1)
        return [job.decode() for job in jobs if job.decode().startswith(delivery)]

    def commands(self) -> dict[str, int]:
        """How often each command was called since `forget_commands`, ours left out."""
        stats: Any = self.client.info("commandstats")
        ours = {"info", "config|resetstat", "client|setinfo", "hello"}
        calls = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
        return {name: many for name, many in calls.items() if name not in ours}

    def forget_commands(self) -> None:
        self.client.config_resetstat()
