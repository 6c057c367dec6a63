"""Processors that may take their process down.

One that kills its process takes all that runs beside it along, and the next worker as well if that
takes the next such event. So a worker that starts looks what the one before was running when it died:
of each of those processors one delivery is tried in a process of its own, and the others wait for how
that ends. A processor that died there runs so for a while.

A worker that dies while it tries them was not killed by them, and the next one suspects nobody. Else
workers that are killed from outside again and again would never get beyond trying.
"""

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Any, Final

from redis import Redis
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.worker import Worker

ALONE_SECONDS: Final = 600.0
ALONE_AT_ONCE: Final = 2  # each is an interpreter that starts: many of them take the machine from all
TRYING: Final = "trying"
"""A field of RQ's record of a worker, while it tries suspects."""


class Way(Enum):
    """How a delivery is to run."""

    BESIDE = auto()  # others, in the worker's own process
    ALONE = auto()
    LATER = auto()  # when it is known how another one of its processor has ended


class Suspects:
    """Of one worker. May be asked from its own thread only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._suspected: dict[str, bool] = {}  # whether one is being tried now
        self._guilty: dict[str, float] = {}
        self._running: Counter[str] = Counter()  # of the guilty ones, those that were sent alone

    def accuse(self, processors: Iterable[str]) -> None:
        self._suspected |= dict.fromkeys(processors, False)

    @property
    def open(self) -> bool:
        """Whether anything is suspected still."""
        return bool(self._suspected)

    def way_of(self, processor: str) -> Way:
        """Of its next delivery. One that is to run alone and is suspected is the one that is tried."""
        if self._clock() < self._guilty.get(processor, 0.0):
            if self._running[processor] >= ALONE_AT_ONCE:
                return Way.LATER
            self._running[processor] += 1
            return Way.ALONE
        if processor not in self._suspected:
            return Way.BESIDE
        tried, self._suspected[processor] = self._suspected[processor], True
        return Way.LATER if tried else Way.ALONE

    def crashed(self, processor: str) -> None:
        """It died, all alone."""
        self._suspected.pop(processor, None)
        self._one_less(processor)
        self._guilty[processor] = self._clock() + ALONE_SECONDS

    def ended(self, processor: str) -> None:
        """It ran alone, and its process lives: it was not the one."""
        self._suspected.pop(processor, None)
        self._one_less(processor)

    def not_tried(self, processor: str) -> None:
        """It could not be started alone: nothing is known, and the next one is tried."""
        self._one_less(processor)
        if processor in self._suspected:
            self._suspected[processor] = False

    def _one_less(self, processor: str) -> None:
        """Rather too few than too many are counted: who waits must never wait for nobody."""
        self._running[processor] = max(0, self._running[processor] - 1)


def left_running(client: "Redis", queues: Iterable[str]) -> set[str]:
    """The processors that workers of this machine were running when their process ended.

    By RQ's books, in which `claim` has entered them. None while those have (for some seven minutes) one
    that died as it tried suspects. Raises redis.RedisError.
    """
    dead = _dead(client)
    if any(dead.values()):
        return set()
    with client.pipeline(transaction=False) as pipeline:
        for queue in queues:
            pipeline.zrange(StartedJobRegistry(queue, connection=client).key, 0, -1)
        entries = [entry.decode().rpartition(":")[0] for found in pipeline.execute() for entry in found]
        for job in entries:
            pipeline.hmget(Job.key_for(job), "worker_name", "description")
        jobs: list[Any] = pipeline.execute()
    return {
        processor.decode()
        for worker, processor in jobs
        if processor and Worker.redis_worker_namespace_prefix + (worker or b"").decode() in dead
    }


def _dead(client: "Redis") -> dict[str, bool]:
    """Workers of this machine that RQ has in its books, though their process has ended: their keys, and
    whether they were trying suspects."""
    members: Any = client.smembers(Worker.redis_workers_keys)
    keys = [key.decode() for key in members]
    with client.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.hmget(key, "hostname", "pid", TRYING)
        found: list[Any] = pipeline.execute()
    here = socket.gethostname().encode()
    return {
        key: bool(trying)
        for key, (host, pid, trying) in zip(keys, found, strict=True)
        if host == here and not _runs(int(pid or 0))
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
