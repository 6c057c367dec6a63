"""What a gateway has stored, read past it: the keys themselves."""

from typing import Any

from redis import Redis

from gateway.adapters.ledger.kept import unpack
from gateway.adapters.ledger.redis_keys import Keys
from gateway.core.event import delivery_id, event_id


class LedgerView:
    def __init__(self, client: "Redis") -> None:
        self.client = client
        self.keys = Keys()

    def stored(self, source: str, provider_id: str) -> bytes | None:
        """The body of the event that the provider calls so; None: there is none."""
        kept: Any = self.client.get(self.keys.body(event_id(source, "id", provider_id.encode())))
        return None if kept is None else unpack(kept)[1]

    def headers(self, source: str, provider_id: str) -> tuple[tuple[str, str], ...]:
        key = self.keys.body(event_id(source, "id", provider_id.encode()))
        kept: Any = self.client.get(key)
        return unpack(kept)[0]

    def events(self, source: str) -> int:
        """How many events of the source there are."""
        entries: Any = self.client.xrange(self.keys.arrived(source))
        return sum(len(fields[b"e"].split()) for _, fields in entries)

    def bells(self, source: str, provider_id: str) -> list[str]:
        """The RQ jobs that say: look at the first delivery of this event."""
        delivery = delivery_id(event_id(source, "id", provider_id.encode()), 1)
        jobs: Any = self.client.lrange(self.keys.queue(source), 0, -1)
        return [job.decode() for job in jobs if job.decode().startswith(delivery)]

    def commands(self) -> dict[str, int]:
        """How often each command was called since `forget_commands`, ours left out."""
        stats: Any = self.client.info("commandstats")
        # And what a gateway asks now and then, whoever sends to it.
        ours = {"info", "config|resetstat", "client|setinfo", "hello", "ping", "config|get", "getrange"}
        calls = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
        return {name: many for name, many in calls.items() if name not in ours}

    def forget_commands(self) -> None:
        self.client.config_resetstat()
