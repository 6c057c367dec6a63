"""Waits for RQ to ring, in a thread: the worker's loop waits for work and for results at once."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.adapters.ledger.redis_clients import blocking_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.logs import logger

WAIT_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Bell:
    """An RQ job that was taken from its queue. It only says: look. No queue: it came from elsewhere."""

    job: str
    queue: str = ""


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
        if queues:
            self._asked.set()
        else:
            self._asked.clear()

    def stop(self) -> None:
        """No more jobs are taken. Safe in a signal handler: it only sets a flag."""
        self._stopped = True

    def join(self) -> None:
        """After `stop`: nothing is reported any more once this has returned."""
        self._asked.set()
        if self._thread.is_alive():
            self._thread.join(WAIT_SECONDS + 1)

    def close(self) -> None:
        self._client.close()

    def ring_again(self, bell: Bell) -> None:
        """Puts a bell back where it was, for another worker. Raises redis.RedisError."""
        if bell.queue:
            self._client.lpush(self._keys.queue(bell.queue), bell.job)

    def _run(self) -> None:
        while not self._stopped:
            queues = self._queues if self._asked.wait(timeout=WAIT_SECONDS) else ()
            try:
                self._take(queues)
            except Exception as error:  # without this thread, work waits for the next sweep each time
                logger().error("bells.interrupted", error=type(error).__name__)
                time.sleep(1.0)

    def _take(self, queues: Sequence[str]) -> None:
        names = {self._keys.queue(queue): queue for queue in queues}
        if not names or self._stopped:
            return
        reply: Any = self._client.blpop(list(names), timeout=WAIT_SECONDS)
        if not reply:
            return
        key, job = (part.decode("utf-8", "replace") for part in reply)
        bell = Bell(job, names[key])
        self._asked.clear()
        if self._stopped:
            self.ring_again(bell)
        else:
            self._report(bell)
