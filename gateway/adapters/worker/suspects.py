"""Processors that may take their process down: which they are, and how few of them run at once.

One that kills its process takes all that runs beside it along, and the next worker as well if that
takes the next such event. So a worker that starts looks what the one before was running when it died:
those processors are tried, one delivery of each source at a time in a process of its own, until one has
ended well. One that died there runs so for a while.
"""

import os
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from redis import Redis
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.worker import Worker

ALONE_SECONDS: Final = 600.0
TRIED_AT_ONCE: Final = 1
ALONE_AT_ONCE: Final = 2  # each is an interpreter that starts: many of them take the machine from all


class Suspects:
    """Of one worker. May be asked from its own thread only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tried: set[str] = set()
        self._guilty: dict[str, float] = {}

    def accuse(self, processors: Iterable[str]) -> None:
        self._tried |= set(processors)

    def crashed(self, processor: str) -> None:
        """It died, all alone."""
        self._tried.discard(processor)
        self._guilty[processor] = self._clock() + ALONE_SECONDS

    def ended(self, processor: str) -> None:
        """It ran alone, and its process lives: it was not the one."""
        self._tried.discard(processor)

    def alone(self, processor: str) -> bool:
        return processor in self._tried or self._clock() < self._guilty.get(processor, 0.0)

    def at_once(self) -> dict[str, int]:
        """How many of each suspected processor may run at once."""
        now = self._clock()
        guilty = {name: ALONE_AT_ONCE for name, until in self._guilty.items() if now < until}
        return guilty | dict.fromkeys(self._tried, TRIED_AT_ONCE)


def left_running(client: "Redis", queues: Iterable[str]) -> set[str]:
    """The processors that workers of this machine were running when their process ended.

    By RQ's books, in which `claim` has entered them. Raises redis.RedisError.
    """
    with client.pipeline(transaction=False) as pipeline:
        for queue in queues:
            pipeline.zrange(StartedJobRegistry(queue, connection=client).key, 0, -1)
        entries = [entry.decode().rpartition(":")[0] for found in pipeline.execute() for entry in found]
        for job in entries:
            pipeline.hmget(Job.key_for(job), "worker_name", "description")
        jobs: list[Any] = pipeline.execute()
        for worker, _ in jobs:
            key = Worker.redis_worker_namespace_prefix + (worker or b"").decode()
            pipeline.hmget(key, "hostname", "pid")
        workers: list[Any] = pipeline.execute()
    return {
        processor.decode()
        for (_, processor), (host, pid) in zip(jobs, workers, strict=True)
        if processor and host == socket.gethostname().encode() and not _runs(int(pid or 0))
    }


def _runs(pid: int) -> bool:
    """Whether such a process is there. In a container our own number may have been the dead one's."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
