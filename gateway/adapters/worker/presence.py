"""What RQ knows of a `hookline worker`: registered, alive, busy or idle, and open to RQ's commands."""

import time
from collections.abc import Sequence
from typing import Any, Final

from rq import worker_registration
from rq.suspension import WORKERS_SUSPENDED
from rq.worker.base import BaseWorker, WorkerStatus

from gateway.adapters.ledger.redis_clients import blocking_client
from gateway.logs import logger

WORKER_TTL: Final = 30
PATIENCE_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 1.0


class Presence(BaseWorker):
    """The half of a worker that RQ's tools see; `Worker.all()`, `rq info` and rq-dashboard list it."""

    def __init__(self, url: str, queues: Sequence[str], timeout: float) -> None:
        # No sender waits for a worker: a slow answer of the server is better than an unknown one.
        client = blocking_client(url, max(timeout, PATIENCE_SECONDS))
        super().__init__(list(queues), connection=client, worker_ttl=WORKER_TTL, serializer="json")
        self.suspended = False
        """Whether `rq suspend` holds for all workers, as of the last beat."""

    @property
    def connection_timeout(self) -> int:
        """RQ would raise the client's timeout to this, to 25 s."""
        return 1

    def beat(self, *, busy: bool) -> None:
        """Tells RQ that we live. Raises redis.RedisError."""
        state = WorkerStatus.BUSY if busy else WorkerStatus.IDLE
        counts: dict[Any, Any] = {
            "successful_job_count": self.successful_job_count,
            "failed_job_count": self.failed_job_count,
        }
        with self.connection.pipeline(transaction=False) as pipeline:
            self.heartbeat(pipeline=pipeline)
            self.set_state(WorkerStatus.SUSPENDED if self.suspended else state, pipeline)
            pipeline.hset(self.key, mapping=counts)
            pipeline.exists(WORKERS_SUSPENDED)
            replies: list[Any] = pipeline.execute()
        self.suspended = bool(replies[-1])
        if replies[0]:  # a field that was not there: the server has forgotten us
            self._register_again()

    def _register_again(self) -> None:
        with self.connection.pipeline() as pipeline:
            worker_registration.register(self, pipeline)
            pipeline.hset(self.key, mapping=self.serialize())
            pipeline.execute()

    def unsubscribe(self) -> None:
        """In RQ's own order, the thread may begin to wait again before it is told to stop: for 1 s."""
        if self.pubsub_thread and self.pubsub:
            self.pubsub_thread.stop()
            self.pubsub.unsubscribe()
            self.pubsub_thread.join(timeout=1)
            self.pubsub.close()

    def _pubsub_exception_handler(self, exc: Exception, pubsub: Any, pubsub_thread: Any) -> None:  # noqa: ARG002 - RQ's
        """RQ's ends the thread on most errors: the shutdown command would be heard no more."""
        logger().warning("worker.commands_interrupted", error=type(exc).__name__)
        time.sleep(PAUSE_SECONDS)
