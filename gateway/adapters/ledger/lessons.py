"""Secrets that handshakes teach (Asana, Notion), and the arming without which nothing is learnt.

They lie in Redis, beside the bodies, because every gateway needs them at once; like those they never
reach a log or a job.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from gateway.adapters.ledger import scripts
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import Call, run_async
from gateway.core.source import Source
from gateway.core.verification import SecretError
from gateway.ports import Unavailable

FRESH: Final = 1.0  # seconds; a secret that another gateway has just learnt is known here after that
MOST: Final = 10  # secrets of one source: each costs a digest a request


class Learnt(NamedTuple):
    read_at: float
    keys: tuple[Any, ...]


class Armed(NamedTuple):
    """`seconds` until it ends; `taught`: the one secret of this arming has come."""

    seconds: float
    taught: bool


@dataclass(slots=True)
class RedisLessons:
    """The port of a gateway. `clock` counts seconds."""

    client: "AsyncRedis"
    names: Keys
    clock: Callable[[], float] = time.monotonic
    _known: dict[str, Learnt] = field(default_factory=dict)

    async def armed(self, source: Source) -> bool:
        try:
            return bool(await self.client.exists(self.names.armed(source.name)))
        except (RedisError, OSError) as error:
            raise Unavailable from error

    async def learn(self, source: Source, secret: bytes) -> bool:
        """Also False for a secret that this source's scheme cannot use."""
        try:
            source.scheme.load_key(secret)
            learnt = await run_async(self.client, self.names, learn(source.name, secret))
        except SecretError:
            return False
        except (RedisError, OSError) as error:
            raise Unavailable from error
        self._known.pop(source.name, None)
        return learnt

    async def keys(self, source: Source) -> tuple[Any, ...]:
        known = self._known.get(source.name)
        if known is None or self.clock() - known.read_at > FRESH:
            try:
                secrets: Any = await self.client.lrange(self.names.learnt(source.name), 0, MOST - 1)
            except (RedisError, OSError) as error:
                raise Unavailable from error
            known = Learnt(self.clock(), tuple(source.scheme.load_key(each) for each in secrets))
            self._known[source.name] = known
        return known.keys


def learn(source: str, secret: bytes) -> Call[bool]:
    return Call(scripts.LEARN, (source, secret), bool)


def arm(client: "Redis", names: Keys, source: str, seconds: float) -> None:
    """For the next handshake, and no longer than `seconds`. Raises redis.RedisError."""
    client.set(names.armed(source), "open", px=int(seconds * 1000))


def disarm(client: "Redis", names: Keys, source: str) -> bool:
    """Whether it was armed."""
    return bool(client.delete(names.armed(source)))


def arming(client: "Redis", names: Keys, source: str) -> Armed | None:
    state: Any = client.get(names.armed(source))
    left: Any = client.pttl(names.armed(source))
    return Armed(max(0, left) / 1000, state != b"open") if state else None


def learnt(client: "Redis", names: Keys, source: str) -> int:
    """How many secrets this source has been taught."""
    return int(client.llen(names.learnt(source)))


def forget(client: "Redis", names: Keys, source: str) -> int:
    """Forgets what was taught, all but the newest: after the provider has rotated its secret."""
    many = learnt(client, names, source)
    client.ltrim(names.learnt(source), 0, 0)
    return max(0, many - 1)
