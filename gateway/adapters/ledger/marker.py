"""Whether the server still has the data that it had.

A server that is started on an empty disk, flushed, or put back to a backup of before our time answers
as if nothing had happened, and all that was acknowledged is gone. A mark that we leave there tells.
"""

import secrets
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.adapters.ledger.redis_keys import Keys


class Marker:
    """What is in one server's keys, as long as this object lives."""

    def __init__(self, client: "Redis", keys: Keys) -> None:
        self._client = client
        self._key = keys.marker
        self._seen = b""

    async def replaced(self) -> bool:
        """Whether the data are others than at the last look. Raises redis.RedisError."""
        found = await self._read()
        if not found:
            with suppress(ResponseError):  # no memory, no disk, a replica: at the next look, then
                await self._client.set(self._key, secrets.token_hex(8), nx=True)
            found = await self._read()
        before, self._seen = self._seen, found or self._seen
        return bool(before) and found != before

    async def _read(self) -> bytes:
        """Empty: there is none. By a command that a replica allows, and nobody else's count knows."""
        found: Any = await self._client.getrange(self._key, 0, -1)
        return bytes(found)
