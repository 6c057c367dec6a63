"""`hookline worker`: an RQ worker that claims, runs and finishes deliveries in batches.

For RQ it is a worker like any other (`presence.py`). Inside, one script call claims a batch and one
finishes it (`leases.py`, `turns.py`), where RQ makes some thirty commands a job. What is taken on next
is for `intake.py` to say; how an attempt is begun, and what its end means, for `attempts.py`. Here is
the loop that holds them together, how it is left, and what is done beside it a few times a second.
"""

import time
from collections.abc import Iterable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final

from redis.exceptions import RedisError

from gateway.adapters.ledger.calls import Internal, NotClaimed
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.worker.attempt_log import note_attempt, note_unclaimed
from gateway.adapters.worker.attempts import Attempts, End
from gateway.adapters.worker.bell import Bell, BellRinger
from gateway.adapters.worker.farewell import Farewell
from gateway.adapters.worker.intake import Intake
from gateway.adapters.worker.keeper import Keeper
from gateway.adapters.worker.leases import Ending, Leases
from gateway.adapters.worker.presence import Presence
from gateway.adapters.worker.suspects import TRYING, left_running
from gateway.adapters.worker.turns import Turns
from gateway.adapters.worker.watchdog import Watchdog
from gateway.application import Application
from gateway.core.delivery import Claimed
from gateway.core.retry import Done
from gateway.logs import logger, together
from gateway.routes import build_router

TICK_SECONDS: Final = 0.25
BEAT_SECONDS: Final = 1.0
STRAYS_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 1.0  # after an error of the server
EXIT_SECONDS: Final = 1.0
CLOSE_SECONDS: Final = 10.0


class HooklineWorker(Presence):
    """One process. `concurrency` is how many deliveries it runs at once.

    `watchdog`: ends the process when nothing moves in it any more, which is for the process to allow.
    """

    def __init__(
        self,
        app: Application,
        url: str,
        queues: Sequence[str],
        concurrency: int,
        *,
        isolate: bool = False,
        watchdog: Watchdog | None = None,
    ) -> None:
        super().__init__(url, queues, app.config.settings.redis.timeout)
        worker = app.config.settings.worker
        self._app = app
        self._watchdog = watchdog
        self._inbox: SimpleQueue[End | Bell] = SimpleQueue()
        keys = Keys(app.prefix)
        self._ringer = BellRinger(url, keys, self._inbox.put)
        self._intake = Intake(app, self.connection, queues, concurrency, self._ringer)
        lease_ms, look_ms = int(worker.lease * 1000), int(worker.look_interval * 1000)
        internal = Internal(app.config.internal, build_router(app.processors))
        self._leases = Leases(
            self.connection, keys, self.name, lease_ms, look_ms, internal, worker.abandon_after
        )
        self._turns = Turns(self._intake, self._leases)
        self._attempts = Attempts(
            app, url, concurrency, isolate=isolate, report=self._inbox.put, keep=self._leases.ended
        )
        self._keeper = Keeper(app, url, self._leases.keys)
        self.farewell = Farewell(worker.grace, self._ringer.stop)
        self._trying = False
        self._next_tick = self._next_beat = self._next_strays = 0.0

    def open(self) -> None:
        """What processors need for longer than one event; `work` does it where nobody has before.

        Raises LifespanFailed.
        """
        self._attempts.open()

    def work(self, burst: bool = False, *_: Any, **__: Any) -> bool:
        """Until stopped; with `burst` until nothing is left to do. True when anything was run.

        RQ's other arguments tune a loop that this worker does not have. Raises LifespanFailed.
        """
        self.open()
        self.bootstrap(logging_level="WARNING")
        suspects = self._attempts.suspects
        suspects.accuse(left_running(self.connection, self._intake.queues()))
        if suspects.open:
            self.connection.hset(self.key, TRYING, 1)
            self._trying = True
        self._keeper.start()
        if not burst:
            self._ringer.start()
        with self.farewell.signals():
            try:
                self._work_until_stopped(burst)
            finally:
                self._leave()
        return bool(self.successful_job_count or self.failed_job_count)

    def _work_until_stopped(self, burst: bool) -> None:
        while not self._finished_stopping():
            try:
                self._tick()
                taken = self._turn()
                if self._leases.under_way:
                    continue
                if burst and not taken and self._drained():
                    return
                self._collect(wait=not (burst and not self._leases.held()))
            except RedisError as error:
                logger().error("worker.redis_unavailable", error=type(error).__name__)
                self._turns.in_doubt = True
                time.sleep(PAUSE_SECONDS)
                self._collect(wait=False)

    # Stopping

    def request_stop(self, *_: Any) -> None:
        """RQ's name for it."""
        self.farewell.request()

    def _finished_stopping(self) -> bool:
        idle = not (self._leases.held() or self._leases.under_way)
        return self.farewell.begun and (idle or self.farewell.overdue)

    def _leave(self) -> None:
        """Leases are given back last: from then on what still runs here runs elsewhere as well.

        Then what processors were lent is closed: nothing that counts uses it any more.
        """
        if self._watchdog:
            self._watchdog.stop()
        self._ringer.stop()
        self._ringer.join()
        self._keeper.stop()
        try:
            self.teardown()  # type: ignore[no-untyped-call]  # rq's
            self._note(self._turns.hear_the_last())
            self._collect(wait=False)
            self._note(self._leases.record())
            self._leases.give_up_crashed()
            self._intake.ring_again()
            self._leases.release()
        except RedisError as error:  # the leases end by themselves
            logger().error("worker.release_failed", error=type(error).__name__)
        self._ringer.close()
        self.connection.close()
        # In this thread, which has opened them. One that hangs keeps no process that is to end.
        at_last = self.farewell.exit_at_last(CLOSE_SECONDS)
        self._attempts.close()
        at_last.cancel()
        # Threads that processors left behind would keep the process, and what was given back would
        # run on beside whoever takes it over.
        self.farewell.exit_at_last(EXIT_SECONDS)

    # Turns

    def _turn(self) -> int:
        """Hears what the server did, asks it for the next, and only then begins what it has leased: so
        both work at the same time. Returns how much was taken from the queues."""
        first = not self._leases.under_way
        endings, rows = self._turns.hear()
        self._collect(wait=False)
        try:
            if not self._turns.in_doubt and (first or rows or self._leases.unrecorded):
                self._turns.ask(accepting=not self.farewell.begun and not self.suspended)
        finally:  # what is leased to us runs also where the server can not be asked for more
            self._begin_all(rows)
            self._note(endings)
        self._intake.bells += self._leases.give_up_crashed()
        return len(rows)

    def _begin_all(self, rows: Iterable[Claimed | NotClaimed]) -> None:
        for row in rows:
            if isinstance(row, NotClaimed):
                note_unclaimed(row, self._app.processors.get(row.processor))
            else:
                self._attempts.start(row)

    def _drained(self) -> bool:
        idle = not (self._leases.held() or self._turns.in_doubt)
        return idle and (self.suspended or self._intake.is_empty())

    def _collect(self, *, wait: bool) -> None:
        """Takes what came in: bells, and attempts that ended. Waits a moment when asked to.

        Nothing here talks to the server: what came in must not get lost in an error.
        """
        if wait and not self.farewell.begun and not self.suspended:
            self._intake.ask(self._leases.held())
        try:
            item = self._inbox.get(timeout=TICK_SECONDS) if wait else self._inbox.get_nowait()
            while True:
                if isinstance(item, Bell):
                    self._intake.bells.append(item)
                else:
                    self._attempts.ended(item)
                item = self._inbox.get_nowait()
        except Empty:
            return

    def _note(self, endings: Iterable[Ending]) -> None:
        with together():
            for ending in endings:
                done = isinstance(ending.finish.decision, Done)
                self.successful_job_count += done
                self.failed_job_count += not done
                note_attempt(ending.claimed, ending.finish, ending.seconds, recorded=ending.recorded)

    # Housekeeping

    def _tick(self) -> None:
        now = time.monotonic()
        if now >= self._next_tick:
            self._next_tick = now + TICK_SECONDS
            if self._watchdog:  # before what asks the server: one that is away is no standstill
                self._watchdog.feed()
            self._attempts.enforce_timeouts()
            self.farewell.rehearse()
            if self._attempts.memory.exceeded():
                self.farewell.start_anew()
        if self._turns.in_doubt:
            self._turns.recover()
        if now >= self._next_beat:
            self._next_beat = now + BEAT_SECONDS
            self.beat(busy=bool(self._leases.held()))
            if self._trying and not self._attempts.suspects.open:
                self.connection.hdel(self.key, TRYING)
                self._trying = False
        if now >= self._next_strays:
            self._next_strays = now + STRAYS_SECONDS
            self._intake.look_for_strays()
