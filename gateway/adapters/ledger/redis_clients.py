"""Redis clients as Hookline wants them: short timeouts and no silent retries.

redis-py's defaults repeat a command up to ten times and can block for a minute, while senders give
us seconds; a repeated push would also be a second push. A timeout means unknown: callers say 503,
and the sender's repeat is absorbed by `accept`.
"""

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry


def blocking_client(url: str, timeout: float) -> Redis:
    """For workers and the command line. `timeout` in seconds, for connecting and for a reply."""
    return Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=15,
    )


def async_client(url: str, timeout: float) -> AsyncRedis:
    """For the gateway."""
    return AsyncRedis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=AsyncRetry(NoBackoff(), 0),
    )
