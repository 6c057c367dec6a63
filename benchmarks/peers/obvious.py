"""The obvious gateway: what a competent developer writes in an afternoon, and then runs for years.

Starlette, a rate limit by `limits` in Redis, `SET NX` against duplicates, and RQ. Nothing is
slowed down on purpose. What it does not promise is what an afternoon leaves out: killed between
the `SET` and the enqueue it loses the event, for the sender's repeat is then a duplicate.
"""

import hmac
import os

from limits import parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from rq import Queue
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SECRET = os.environ["BENCH_SECRET"].encode()
REDIS_URL = os.environ["REDIS_URL"]
LIMIT = parse("100000000/minute")
DEDUP_SECONDS = 7 * 24 * 3600

limiter = FixedWindowRateLimiter(RedisStorage(f"async+{REDIS_URL}", implementation="redispy"))
seen = AsyncRedis.from_url(REDIS_URL)
queue = Queue("github", connection=Redis.from_url(REDIS_URL))


def process_push(body: str) -> None:
    """Where a worker would do the work; the benchmark runs no worker."""


async def receive(request: Request) -> Response:
    body = await request.body()
    expected = "sha256=" + hmac.digest(SECRET, body, "sha256").hex()
    given = request.headers.get("x-hub-signature-256", "")
    if not hmac.compare_digest(expected.encode(), given.encode()):
        return Response(status_code=401)
    if not await limiter.hit(LIMIT, "github"):
        return Response(status_code=429)
    key = f"seen:{request.headers['x-github-delivery']}"
    if not await seen.set(key, 1, nx=True, ex=DEDUP_SECONDS):
        return Response()
    try:
        await run_in_threadpool(queue.enqueue, process_push, body.decode())
    except Exception:
        await seen.delete(key)
        raise
    return Response()


app = Starlette(routes=[Route("/github", receive, methods=["POST"])])
