"""Asks the sentinels where the server is: whenever a connection is made, and by connections of that
moment only. Those that redis-py keeps are never closed, and may lead to a sentinel that has gone.
"""

from dataclasses import dataclass
from typing import Any

from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.sentinel import Sentinel

from gateway.adapters.ledger.sentinel_url import SentinelUrl

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Sentinels:
    """What redis-py's pools take for a Sentinel. `options` are those of a connection to one."""

    place: SentinelUrl
    options: dict[str, Any]

    def discover_master(self, name: str) -> Address:
        """Raises redis.ConnectionError."""
        make: Any = Sentinel  # redis-py's are untyped
        asked = make(self.place.sentinels, sentinel_kwargs=self.options)
        try:
            address: Address = asked.discover_master(name)
        finally:
            for each in asked.sentinels:
                each.close()
        return address


@dataclass(frozen=True, slots=True)
class AsyncSentinels:
    """As `Sentinels`."""

    place: SentinelUrl
    options: dict[str, Any]

    async def discover_master(self, name: str) -> Address:
        """Raises redis.ConnectionError."""
        make: Any = AsyncSentinel
        asked = make(self.place.sentinels, sentinel_kwargs=self.options)
        try:
            address: Address = await asked.discover_master(name)
        finally:
            for each in asked.sentinels:
                await each.aclose()
        return address
