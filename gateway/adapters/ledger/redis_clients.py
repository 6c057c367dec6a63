"""Redis clients as Hookline wants them: short timeouts and no silent retries.

redis-py's defaults repeat a command up to ten times and can block for a minute, while senders give
us seconds; a repeated push would also be a second push. A timeout means unknown: callers say 503,
and the sender's repeat is absorbed by `accept`.

Every kind of URL that redis-py knows will do, and `redis+sentinel://` (see `sentinel_url.py`): then
each new connection asks the sentinels where to go.
"""

from typing import Any, Final

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from gateway.adapters.ledger.sentinel_url import SentinelUrl, sentinel_url
from gateway.adapters.ledger.sentinels import AsyncSentinels, Sentinels

# After one of these redis-py closes the connection. After READONLY too: the server has become a
# replica, and the next connection may lead to its successor.
CLOSING: Final[tuple[Any, ...]] = (RedisConnectionError, RedisTimeoutError, OSError, ReadOnlyError)
ALIVE_SECONDS: Final = 15
Kinds = tuple[Any, Any]  # redis-py's are untyped
BLOCKING: Final[Kinds] = (Sentinels, SentinelConnectionPool)
ASYNC: Final[Kinds] = (AsyncSentinels, AsyncSentinelPool)


def blocking_client(url: str, timeout: float) -> Redis:
    """For workers and the command line. `timeout` in seconds, for connecting and for a reply.

    Raises ValueError for what is no URL of a Redis.
    """
    limits = _limits(timeout, Retry(NoBackoff(), 0, CLOSING))
    limits["health_check_interval"] = ALIVE_SECONDS
    place = sentinel_url(url)
    if place is None:
        return Redis.from_url(url, **limits)
    return Redis.from_pool(_pool(BLOCKING, place, limits))


def async_client(url: str, timeout: float) -> AsyncRedis:
    """For the gateway. As `blocking_client`."""
    limits = _limits(timeout, AsyncRetry(NoBackoff(), 0, CLOSING))
    place = sentinel_url(url)
    if place is None:
        return AsyncRedis.from_url(url, **limits)
    return AsyncRedis.from_pool(_pool(ASYNC, place, limits))


def _limits(timeout: float, retry: Any) -> dict[str, Any]:
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry": retry}


def _pool(kinds: Kinds, place: SentinelUrl, limits: dict[str, Any]) -> Any:
    sentinels, pool = kinds
    asked = sentinels(place, _of_sentinels(place, limits))
    return pool(place.name, asked, **_of_server(place, limits))


def _of_server(place: SentinelUrl, limits: dict[str, Any]) -> dict[str, Any]:
    login = {"username": place.username, "password": place.password}
    return {**limits, **login, "db": place.database, "ssl": place.tls}


def _of_sentinels(place: SentinelUrl, limits: dict[str, Any]) -> dict[str, Any]:
    """They are asked one after the other: those that hang must leave time for the next one."""
    share = limits["socket_timeout"] / (len(place.sentinels) + 1)
    return {
        "socket_timeout": share,
        "socket_connect_timeout": share,
        "retry": limits["retry"],
        "username": place.sentinel_username,
        "password": place.sentinel_password,
    }
