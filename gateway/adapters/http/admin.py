"""The admin app: on its own port, loopback by default, never where providers call."""

import asyncio
import contextlib
import hmac
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from gateway.adapters.http.health import Readiness, health_app
from gateway.adapters.http.metrics import Snapshot, read_snapshot, render
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.spool.slots import State, survey

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LOOK_SECONDS: Final = 1.0


def admin_app(
    client: "Redis",
    keys: Keys,
    sources: Callable[[], Iterable[tuple[str, str]]],
    readiness: Readiness,
    token: bytes | None,
    spool: Path | None = None,
) -> Any:
    """`sources` gives the current (name, queue) pairs; `spool`: its directory. With a token, every path
    but the health checks wants `Authorization: Bearer TOKEN`."""

    async def read() -> Snapshot | None:
        try:
            return await read_snapshot(client, keys, sources())
        except (RedisError, OSError):
            return None

    async def metrics(_: Request) -> Response:
        # Asked with it: what is told of Redis is not older than what is read from it.
        snapshot, _problems = await asyncio.gather(read(), readiness.problems())
        state = await _look(spool) if spool else None
        return Response(render(snapshot, state, readiness.kinds), media_type=METRICS_TYPE)

    return Starlette(
        routes=[Route("/metrics", _guarded(metrics, token)), Mount("/", health_app(readiness))]
    )


async def _look(spool: Path) -> State | None:
    """None where the disk does not answer: a scrape must not wait for it."""
    with contextlib.suppress(OSError):  # a TimeoutError too
        async with asyncio.timeout(LOOK_SECONDS):
            return await asyncio.to_thread(survey, spool)
    return None


def _guarded(endpoint: Any, token: bytes | None) -> Any:
    async def guarded(request: Request) -> Response:
        given = request.headers.get("authorization", "").encode("latin-1")
        if token is not None and not hmac.compare_digest(given, b"Bearer " + token):
            return PlainTextResponse("a token is needed\n", status_code=401)
        response: Response = await endpoint(request)
        return response

    return guarded
