"""`hookline worker`: an RQ worker that claims, runs and finishes deliveries in batches.

For RQ it is a worker like any other: registered, heartbeating, suspended and stopped by RQ's own
commands. Inside, one script call claims a batch and one finishes it, where RQ makes some thirty
commands a job; processors run in threads and on an event loop (`runner.py`).
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError
from rq.suspension import is_suspended
from rq.worker.base import BaseWorker, WorkerStatus

from gateway.adapters import ledger
from gateway.adapters.attempt_log import note_attempt
from gateway.adapters.bell import Bell, BellRinger
from gateway.adapters.isolation import run_isolated
from gateway.adapters.keeper import Keeper
from gateway.adapters.ledger import NotClaimed
from gateway.adapters.redis_clients import blocking_client
from gateway.adapters.redis_keys import Keys
from gateway.adapters.runner import Ended, Runner
from gateway.adapters.scripts import run
from gateway.application import Application
from gateway.core.delivery import Claimed, Finish
from gateway.core.outcomes import AttemptOutcome
from gateway.logs import logger
from gateway.process import Ready, conclude, prepare

WORKER_TTL: Final = 30
TICK_SECONDS: Final = 0.25


class HooklineWorker(BaseWorker):
    """One process. `concurrency` is how many deliveries it runs at once."""

    def __init__(
        self,
        app: Application,
        url: str,
        queues: Sequence[str],
        concurrency: int,
        *,
        isolate: bool = False,
    ) -> None:
        settings = app.config.settings
        # RQ raises the socket timeout of the client it is given: it gets one of its own.
        super().__init__(
            list(queues),
            connection=blocking_client(url, settings.redis.timeout),
            worker_ttl=WORKER_TTL,
            serializer="json",
        )
        self._app = app
        self._keys = Keys(app.prefix)
        self._client: Redis = blocking_client(url, settings.redis.timeout)
        self._concurrency = concurrency
        self._isolate = isolate
        self._lease_ms = int(settings.worker.lease * 1000)
        self._look_ms = int(settings.worker.look_interval * 1000)
        self._inbox: SimpleQueue[Ended | Finish | Bell] = SimpleQueue()
        self._running: dict[str, Claimed] = {}
        self._unrecorded: list[tuple[Claimed, Finish, BaseException | None, float]] = []
        self._runner = Runner(self._inbox.put)
        self._bells = BellRinger(url, self._keys, self._inbox.put)
        self._keeper = Keeper(app, url, self._leases)
        self._stop_at: float | None = None
        self._next_tick = 0.0
        self._next_heartbeat = 0.0
        self._suspended = False

    def work(self, burst: bool = False, *_: Any, **__: Any) -> bool:
        """Until stopped; with `burst` until nothing is left to do. True when anything was run.

        RQ's other arguments tune a loop that this worker does not have.
        """
        self.bootstrap(logging_level="WARNING")
        self._install_signal_handlers()
        self._keeper.start()
        self._bells.start()
        try:
            self._work_until_stopped(burst)
        finally:
            self._give_back()
            self._keeper.stop()
            self._bells.stop()
            self.teardown()  # type: ignore[no-untyped-call]  # rq's
        return bool(self.successful_job_count or self.failed_job_count)

    def _work_until_stopped(self, burst: bool) -> None:
        bells: list[Bell] = []
        while not self._finished_stopping():
            try:
                self._tick()
                claimed = self._claim(bells)
                bells = []
                if burst and not (claimed or self._running or self._unrecorded):
                    return
                bells = self._collect(wait=not claimed)
                self._record()
            except RedisError as error:
                logger().error("worker.redis_unavailable", error=type(error).__name__)
                time.sleep(1.0)
                bells += self._collect(wait=False)

    # Stopping

    def _install_signal_handlers(self) -> None:
        signal.signal(signal.SIGINT, self.request_stop)
        signal.signal(signal.SIGTERM, self.request_stop)

    def request_stop(self, signum: int, frame: Any) -> None:  # noqa: ARG002 - a signal handler's signature
        """First signal: claim no more, let running processors end within the grace. Second: now.

        RQ's own handler raises StopRequested wherever the main thread happens to be, between a pop
        and its record for one; a flag loses nothing.
        """
        grace = 0.0 if self._stop_at else self._app.config.settings.worker.grace
        self._stop_at = time.monotonic() + grace
        self._bells.stop()

    def _finished_stopping(self) -> bool:
        if self._stop_at is None:
            return False
        idle = not self._running and not self._unrecorded
        return idle or time.monotonic() >= self._stop_at

    def _give_back(self) -> None:
        """What still runs is released: another worker may start it at once, and it was no attempt."""
        finishes = [
            Finish(each.delivery, each.fence, None, AttemptOutcome.RELEASED)
            for each in self._running.values()
        ]
        if finishes:
            try:
                self._call(ledger.finish(finishes, keep_books=True, look_ms=self._look_ms))
            except RedisError as error:  # the leases end by themselves
                logger().error("worker.release_failed", error=type(error).__name__)

    # Claiming

    def _claim(self, bells: Sequence[Bell]) -> int:
        """Leases what there is room for and starts it. Returns how much was taken from the queues."""
        shares = [] if self._stop_at or self._suspended else self._shares()
        taken = [(bell.job, bell.queue) for bell in bells]
        if not shares and not taken:
            return 0
        rows = self._call(
            ledger.claim(
                lease_ms=self._lease_ms,
                worker=self.name,
                keep_books=True,
                queues=shares,
                taken=taken,
                look_ms=self._look_ms,
            )
        )
        for row in rows:
            if isinstance(row, NotClaimed):
                self._note_unclaimed(row)
            else:
                self._start(row)
        return len(rows)

    def _shares(self) -> list[tuple[str, int]]:
        """How many to take from each queue: an even share, within each source's own cap."""
        free = self._concurrency - len(self._running)
        if free <= 0:
            return []
        names = [name for name in self.queue_names() if self._room(name) > 0]
        if not names:
            return []
        random.shuffle(names)  # with fewer slots than queues, chance keeps it fair
        share = max(1, free // len(names))
        return [(name, min(share, self._room(name))) for name in names[:free]]

    def _room(self, queue: str) -> int:
        running = Counter(self._queue_of(each.source) for each in self._running.values())
        caps = [
            each.concurrency
            for each in self._app.config.sources
            if each.queue == queue and each.concurrency
        ]
        return min([self._concurrency, *caps]) - running[queue]

    def _queue_of(self, source: str) -> str:
        found = self._app.config.source(source)
        return found.queue if found else source

    def _start(self, claimed: Claimed) -> None:
        self._running[claimed.delivery] = claimed
        source = self._app.config.source(claimed.source)
        ready = prepare(claimed, self._app.processors, self._app.timeout_of(source))
        if not isinstance(ready, Ready):
            self._conclude(claimed, ready, 0.0)
        elif self._isolate or claimed.crashes:
            # It took a process with it once: from now on only one of its own.
            run_isolated(ready, self._inbox.put)
        else:
            self._runner.start(ready)

    def _note_unclaimed(self, row: NotClaimed) -> None:
        if row.word in ("poison", "body_missing"):
            logger().error(
                "delivery.dead",
                delivery=row.delivery,
                reason=row.word,
                processor=row.processor,
                source=row.source,
            )
        elif row.word == "foreign":
            logger().warning("queue.foreign_job", job=row.delivery)

    # Finishing

    def _collect(self, *, wait: bool) -> list[Bell]:
        """Takes what came in: bells, and attempts that ended. Waits a moment when asked to."""
        bells: list[Bell] = []
        room = len(self._running) < self._concurrency and not self._stop_at and not self._suspended
        if wait and room:
            self._bells.ask([name for name in self.queue_names() if self._room(name) > 0])
        try:
            item = self._inbox.get(timeout=TICK_SECONDS) if wait else self._inbox.get_nowait()
            while True:
                if isinstance(item, Bell):
                    bells.append(item)
                elif isinstance(item, Finish):
                    self._accept_isolated(item)
                else:
                    self._conclude(item.ready.claimed, item.error, item.seconds)
                item = self._inbox.get_nowait()
        except Empty:
            return bells

    def _conclude(self, claimed: Claimed, error: BaseException | None, seconds: float) -> None:
        policy = self._app.retry_of(self._app.config.source(claimed.source))
        finish = conclude(
            claimed, error, policy, jitter=random.random(), seconds=seconds, at=datetime.now(UTC)
        )
        self._unrecorded.append((claimed, finish, error, seconds))

    def _accept_isolated(self, finish: Finish) -> None:
        claimed = self._running.get(finish.delivery)
        if claimed is None or claimed.fence != finish.fence:
            return
        if finish.outcome is AttemptOutcome.CRASHED:
            # The next claim counts the crash of whoever let a lease run out: let it run out now.
            self._call(ledger.renew([(finish.delivery, finish.fence)], 0))
            del self._running[finish.delivery]
            logger().error("attempt.crashed", delivery=finish.delivery, processor=claimed.processor)
            return
        self._unrecorded.append((claimed, finish, None, 0.0))

    def _record(self) -> None:
        """One script call for all that ended. Repeating it is harmless: the fence sees to it."""
        if not self._unrecorded:
            return
        batch = self._unrecorded
        recorded = self._call(
            ledger.finish([finish for _, finish, _, _ in batch], keep_books=True, look_ms=self._look_ms)
        )
        self._unrecorded = []
        for (claimed, finish, error, seconds), ok in zip(batch, recorded, strict=True):
            self._running.pop(claimed.delivery, None)
            self.successful_job_count += error is None
            self.failed_job_count += error is not None
            note_attempt(claimed, finish, error, seconds, recorded=ok)

    # Housekeeping

    def _tick(self) -> None:
        now = time.monotonic()
        if now < self._next_tick:
            return
        self._next_tick = now + TICK_SECONDS
        self._runner.enforce_timeouts()
        if now < self._next_heartbeat:
            return
        self._next_heartbeat = now + 1.0
        self.heartbeat()
        self._suspended = bool(is_suspended(self.connection))
        busy = WorkerStatus.BUSY if self._running else WorkerStatus.IDLE
        self.set_state(WorkerStatus.SUSPENDED if self._suspended else busy)

    def _leases(self) -> list[tuple[str, int]]:
        return [(each.delivery, each.fence) for each in list(self._running.values())]

    def _call(self, call: Any) -> Any:
        return run(self._client, self._keys, call)
