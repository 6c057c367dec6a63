"""The way to Redis: which one, whether it answers, and whether it keeps what it is given."""

from typing import TYPE_CHECKING, Any

from gateway.cli.shared.deployment import dev_server_url
from gateway.cli.shared.exits import UNAVAILABLE, fail

if TYPE_CHECKING:
    from redis import Redis

    from gateway.application import Application
    from gateway.faults import Fault


def find_url(app: "Application") -> str | None:
    """REDIS_URL, the settings' url, or a running dev server's."""
    from gateway.wiring import redis_url

    return redis_url(app.config) or dev_server_url() or None


def url_or_exit(app: "Application") -> str:
    """As `find_url`; without any, status 69 with the mends."""
    url = find_url(app)
    if url is None:
        fail(
            UNAVAILABLE,
            "No Redis is configured. One of:\n"
            "    export REDIS_URL=redis://127.0.0.1:6379/0\n"
            '    set redis.url = "env:NAME" in gateway.toml\n'
            "    hookline dev        (brings an embedded server)",
        )
    return url


def connect_or_exit(app: "Application") -> "Redis":
    """A client that has answered; else status 69 saying where it tried."""
    from redis.exceptions import RedisError

    url = url_or_exit(app)
    try:
        client = _client(app, url)
        client.ping()
    except (RedisError, OSError) as error:
        fail(UNAVAILABLE, f"Redis at {safe_url(url)} cannot be reached: {error}")
    return client


def redis_faults(app: "Application", url: str | None) -> "list[Fault]":
    """What keeps the server from the durability that is promised. Of the keys in durability.PASSING: it
    may yet be over by itself."""
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import RedisError
    from redis.exceptions import TimeoutError as RedisTimeoutError

    from gateway.adapters.ledger.durability import SERVER, SETTINGS, facts_of, judge
    from gateway.faults import Fault

    if url is None:
        mend = "export REDIS_URL=redis://..., or use `hookline dev`"
        return [Fault("redis", "url", "is not set", mend)]
    try:
        with _client(app, url) as client:
            info: Any = client.info()
            config: Any = client.config_get(*SETTINGS)
        facts = facts_of(info, config)
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        problem = f"{safe_url(url)} does not answer: {error}"
        return [Fault("redis", SERVER, problem, "start it, or correct REDIS_URL")]
    except (RedisError, ValueError) as error:
        return [Fault("redis", "url", f"{safe_url(url)}: {error}", "start it, or correct REDIS_URL")]
    redis = app.config.settings.redis
    return judge(facts, redis.durability, redis.awaited_replicas)


def _client(app: "Application", url: str) -> "Redis":
    """Raises redis.RedisError for what is no URL: Python's own words for it may quote the password."""
    from redis.exceptions import RedisError

    from gateway.adapters.ledger.redis_clients import blocking_client
    from gateway.adapters.ledger.sentinel_url import SentinelUrlError

    try:
        return blocking_client(url, app.config.settings.redis.timeout)
    except SentinelUrlError as error:
        raise RedisError(str(error)) from None
    except ValueError:
        forms = "redis[s]://HOST:PORT/0, unix:///PATH or redis+sentinel://HOST:PORT/NAME"
        raise RedisError(
            f"this is no URL of a Redis. Write {forms}, a password in it percent-encoded"
        ) from None


def safe_url(url: str) -> str:
    """The URL without its password, which may also stand behind the question mark."""
    before, at, place = url.rpartition("@")
    scheme, colons, _ = before.rpartition("://")
    shown = f"{scheme}{colons}***@{place}" if at else url
    path, mark, _ = shown.partition("?")
    return f"{path}{mark}***" if mark else path
