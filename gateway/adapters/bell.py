"""Waits for RQ to ring, in a thread: the worker's loop waits for work and for results at once."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError

from gateway.adapters.redis_clients import blocking_client
from gateway.adapters.redis_keys import Keys
from gateway.logs import logger

WAIT_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class Bell:
    """An RQ job that was taken from its queue. It only says: look."""

    job: str
    queue: str


class BellRinger:
    """Takes one job for each `ask`, never more: what it takes and dies with is found by the sweeper."""

    def __init__(self, url: str, keys: Keys, report: Callable[[Bell], None]) -> None:
        self._client = blocking_client(url, WAIT_SECONDS + 5)
        self._keys = keys
        self._report = report
        self._asked = threading.Event()
        self._stopped = False
        self._queues: Sequence[str] = ()
        self._thread = threading.Thread(target=self._run, name="bells", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask(self, queues: Sequence[str]) -> None:
        """One bell of any of these queues, whenever it comes."""
        self._queues = queues
        self._asked.set()

    def stop(self) -> None:
        """No more jobs are taken. Safe in a signal handler."""
        self._stopped = True

    def _run(self) -> None:
        while not self._stopped:
            if not self._asked.wait(timeout=WAIT_SECONDS) or not self._queues:
                continue
            try:
                self._take()
            except RedisError as error:
                logger().error("worker.redis_unavailable", error=type(error).__name__)
                time.sleep(1.0)

    def _take(self) -> None:
        names = {self._keys.queue(queue): queue for queue in self._queues}
        reply: Any = self._client.blpop(list(names), timeout=WAIT_SECONDS)
        if not reply:
            return
        key, job = (part.decode("utf-8", "replace") for part in reply)
        self._asked.clear()
        if self._stopped:
            self._client.lpush(key, job)
        else:
            self._report(Bell(job, names[key]))
