"""arq's side of the drain, run in the peers' own environment; `python arq_jobs.py N` fills."""

import asyncio
import os
import sys

from arq import create_pool
from arq.connections import RedisSettings

SETTINGS = RedisSettings.from_dsn(os.environ["REDIS_URL"])


async def read(_: object, body: str) -> None:
    """Does nothing."""


class WorkerSettings:
    """As fast as it was found to go: arq's own poll delay of 0.5 s would be most of its time."""

    functions = [read]  # noqa: RUF012 - arq's way of configuration
    redis_settings = SETTINGS
    max_jobs = 100
    poll_delay = 0.005
    keep_result = 0
    queue_read_limit = 500


async def fill(many: int) -> None:
    pool = await create_pool(SETTINGS)
    body = os.environ["BENCH_BODY"]
    for _ in range(0, many, 50):
        await asyncio.gather(*(pool.enqueue_job("read", body) for _ in range(50)))
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(fill(int(sys.argv[1])))
