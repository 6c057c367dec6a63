"""RQ's side of the drain: the job function, and `python -m benchmarks.peers.rq_jobs N`, which fills."""

import os
import sys

from redis import Redis
from rq import Queue

from benchmarks import push

AT_ONCE = 500


def read(body: str) -> None:
    """Does nothing."""


def fill(many: int) -> None:
    """So many jobs, none of which leaves a result behind; a short description spares RQ a long one."""
    queue = Queue("drain", connection=Redis.from_url(os.environ["REDIS_URL"]))
    job = Queue.prepare_data(read, (push.body().decode(),), result_ttl=0, description="read")
    for done in range(0, many, AT_ONCE):
        queue.enqueue_many([job] * min(AT_ONCE, many - done))


if __name__ == "__main__":
    fill(int(sys.argv[1]))
