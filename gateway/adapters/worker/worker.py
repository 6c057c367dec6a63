"""`hookline worker`: an RQ worker that claims, runs and finishes deliveries in batches.

For RQ it is a worker like any other (`presence.py`). Inside, one script call claims a batch and one
finishes it (`leases.py`), where RQ makes some thirty commands a job; processors run in threads and
on an event loop (`runner.py`), those of a delivery that took its worker down in a process of its own.
"""

import os
import random
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Any, Final

from redis.exceptions import RedisError

from gateway.adapters.ledger.calls import Internal, NotClaimed
from gateway.adapters.ledger.redis_clients import blocking_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.steps import StepStore
from gateway.adapters.worker.attempt_log import note_attempt
from gateway.adapters.worker.bell import Bell, BellRinger
from gateway.adapters.worker.farewell import Farewell
from gateway.adapters.worker.intake import Intake
from gateway.adapters.worker.isolation import IsolatedEnd, run_isolated
from gateway.adapters.worker.keeper import Keeper
from gateway.adapters.worker.leases import Ending, Leases
from gateway.adapters.worker.memory import MemoryLimit
from gateway.adapters.worker.presence import Presence
from gateway.adapters.worker.runner import Ended, Runner
from gateway.adapters.worker.suspects import TRYING, Suspects, Way, left_running
from gateway.adapters.worker.watchdog import Watchdog
from gateway.application import Application
from gateway.core.delivery import Claimed
from gateway.core.retry import Done
from gateway.logs import logger, together
from gateway.plugins.outbox import Outbox
from gateway.process import NotBegun, Ready, conclude, prepare
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
        self._concurrency = concurrency
        self._isolate = isolate
        self._watchdog = watchdog
        self._memory = MemoryLimit(worker.max_memory)
        self._inbox: SimpleQueue[Ended | IsolatedEnd | Bell] = SimpleQueue()
        keys = Keys(app.prefix)
        self._ringer = BellRinger(url, keys, self._inbox.put)
        self._suspects = Suspects()
        self._waiting: dict[str, list[Ready]] = {}
        self._answered: list[Bell] = []  # by what the server was asked for last
        self._intake = Intake(app, self.connection, queues, concurrency, self._ringer)
        lease_ms, look_ms = int(worker.lease * 1000), int(worker.look_interval * 1000)
        internal = Internal(app.config.internal, build_router(app.processors))
        self._leases = Leases(
            self.connection, keys, self.name, lease_ms, look_ms, internal, worker.abandon_after
        )
        self._steps = StepStore(
            lambda: blocking_client(url, app.config.settings.redis.timeout), keys, url
        )
        self._runner = Runner()
        self._keeper = Keeper(app, url, self._leases.keys)
        self.farewell = Farewell(worker.grace, self._ringer.stop)
        self._in_doubt = self._opened = self._trying = False
        self._next_tick = self._next_beat = self._next_strays = 0.0

    def open(self) -> None:
        """What processors need for longer than one event; `work` does it where nobody has before.

        Raises LifespanFailed.
        """
        if not (self._opened or self._isolate):
            self._runner.open(self._app.lifespans)
            self._opened = True

    def work(self, burst: bool = False, *_: Any, **__: Any) -> bool:
        """Until stopped; with `burst` until nothing is left to do. True when anything was run.

        RQ's other arguments tune a loop that this worker does not have. Raises LifespanFailed.
        """
        self.open()
        self.bootstrap(logging_level="WARNING")
        self._suspects.accuse(left_running(self.connection, self._intake.queues()))
        if self._suspects.open:
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
                self._in_doubt = True
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
            self._hear_the_last()
            self._collect(wait=False)
            self._note(self._leases.record())
            self._leases.give_up_crashed()
            self._intake.ring_again()
            self._leases.release()
        except RedisError as error:  # the leases end by themselves
            logger().error("worker.release_failed", error=type(error).__name__)
        self._ringer.close()
        self.connection.close()
        self._close_lifespans()
        if self.farewell.signalled:
            # Threads that processors left behind would keep the process, and what was given back
            # would run on beside whoever takes it over.
            exit_at_last = threading.Timer(EXIT_SECONDS, os._exit, [0])
            exit_at_last.daemon = True
            exit_at_last.start()

    def _hear_the_last(self) -> None:
        """Of a call under way. Where its reply is lost, the next one records what it was to record, and
        what it may have leased is given back: for that nothing is to run again."""
        try:
            self._note(self._hear()[0])
        except RedisError:
            self._leases.recover(self._intake.queues())

    def _close_lifespans(self) -> None:
        """In this thread, which has opened them. One that hangs keeps no process that is to end."""
        at_last = threading.Timer(CLOSE_SECONDS, os._exit, [0])
        at_last.daemon = True
        if self.farewell.signalled:
            at_last.start()
        self._runner.close()
        at_last.cancel()

    # Claiming

    def _turn(self) -> int:
        """Hears what the server did, asks it for the next, and only then begins what it has leased: so
        both work at the same time. Returns how much was taken from the queues."""
        first = not self._leases.under_way
        endings, rows = self._hear()
        self._collect(wait=False)
        try:
            if not self._in_doubt and (first or rows or self._leases.unrecorded):
                self._ask()
        finally:  # what is leased to us runs also where the server can not be asked for more
            self._begin_all(rows)
            self._note(endings)
        self._intake.bells += self._leases.give_up_crashed()
        return len(rows)

    def _ask(self) -> None:
        """To record what ended, and for what there is room for."""
        accepting = not self.farewell.begun and not self.suspended
        shares, self._answered = self._intake.choose(self._leases.running()) if accepting else ({}, [])
        try:
            self._intake.ring_again()
            self._leases.ask(shares, self._answered)
        except RedisError:
            self._intake.bells += self._answered
            raise

    def _hear(self) -> tuple[list[Ending], list[Claimed | NotClaimed]]:
        try:
            return self._leases.hear()
        except RedisError:
            self._intake.bells += self._answered
            raise

    def _begin_all(self, rows: Iterable[Claimed | NotClaimed]) -> None:
        for row in rows:
            if isinstance(row, NotClaimed):
                self._note_unclaimed(row)
            else:
                self._start(row)

    def _note_unclaimed(self, row: NotClaimed) -> None:
        known = self._app.processors.get(row.processor)
        facts = {"delivery": row.delivery, "processor": row.processor, "source": row.source}
        if row.word in ("poison", "abandoned", "body_missing"):
            # What kills a process leaves no traceback: where the processor stands is all we know.
            where = known.origin if known and row.word != "body_missing" else None
            logger().error("delivery.dead", reason=row.word, where=where, **facts)
        elif row.word == "overtaken":
            logger().info("delivery.overtaken", **facts)
        elif row.word == "foreign":
            logger().warning("queue.foreign_job", job=row.delivery)

    def _drained(self) -> bool:
        idle = not (self._leases.held() or self._in_doubt)
        return idle and (self.suspended or self._intake.is_empty())

    # Running

    def _start(self, claimed: Claimed) -> None:
        """Whatever goes wrong here is how the attempt ended: the worker and its other work go on."""
        source = self._app.config.source(claimed.source)
        ready: Ready | Exception
        try:
            policy, limit = self._app.retry_of(source), self._app.timeout_of(source)
            steps = self._steps.of(claimed.delivery, claimed.fence)
            ready = prepare(claimed, self._app.processors, limit, policy, steps)
        except Exception as error:
            ready = NotBegun(f"{type(error).__name__}: {error}")
        if isinstance(ready, Ready):
            self._begin(ready)
        else:
            self._conclude(claimed, ready, 0.0)

    def _begin(self, ready: Ready) -> None:
        try:
            match self._way_of(ready.claimed):
                case Way.ALONE:
                    run_isolated(ready, self._inbox.put)
                case Way.LATER:  # leased meanwhile, as what runs is
                    self._waiting.setdefault(ready.processor.name, []).append(ready)
                case Way.BESIDE:
                    self._memory.note_run(ready.processor.name)
                    self._runner.start(ready, self._inbox.put)
        except Exception as error:  # no further thread, for one
            self._suspects.not_tried(ready.processor.name)
            self._conclude(ready.claimed, NotBegun(f"{type(error).__name__}: {error}"), 0.0)

    def _way_of(self, claimed: Claimed) -> Way:
        """Alone also where it is suspected of a crash itself, or too many here do not listen to their
        time limit."""
        if self._isolate or self._runner.abandoned >= self._concurrency:
            return Way.ALONE
        way = self._suspects.way_of(claimed.processor)
        return Way.ALONE if claimed.alone and way is Way.BESIDE else way

    def _go_on(self, processor: str) -> None:
        """With those that waited for how another one of this processor ends."""
        for ready in self._waiting.pop(processor, ()):
            self._begin(ready)

    def _collect(self, *, wait: bool) -> None:
        """Takes what came in: bells, and attempts that ended. Waits a moment when asked to.

        Nothing here talks to the server: what came in must not get lost in an error.
        """
        if wait and not self.farewell.begun and not self.suspended:
            self._intake.ask(self._leases.held())
        try:
            item = self._inbox.get(timeout=TICK_SECONDS) if wait else self._inbox.get_nowait()
            while True:
                match item:
                    case Bell():
                        self._intake.bells.append(item)
                    case IsolatedEnd(ready, finish, seconds):
                        self._leases.ended(finish, seconds)
                        if finish.decision is not None:
                            self._suspects.ended(ready.processor.name)
                        else:
                            self._suspects.crashed(ready.processor.name)
                            logger().error(
                                "attempt.crashed",
                                delivery=finish.delivery,
                                processor=ready.processor.name,
                                where=ready.processor.origin,
                            )
                        self._go_on(ready.processor.name)
                    case Ended(ready, error, seconds):
                        self._suspects.not_tried(ready.processor.name)
                        self._conclude(ready.claimed, error, seconds, ready.event.outbox)
                        self._go_on(ready.processor.name)
                item = self._inbox.get_nowait()
        except Empty:
            return

    def _conclude(
        self,
        claimed: Claimed,
        error: BaseException | None,
        seconds: float,
        outbox: Outbox | None = None,
    ) -> None:
        policy = self._app.retry_of(self._app.config.source(claimed.source))
        finish = conclude(
            claimed,
            error,
            policy,
            jitter=random.random(),
            seconds=seconds,
            at=datetime.now(UTC),
            processor=self._app.processors.get(claimed.processor),
            outbox=outbox,
        )
        self._leases.ended(finish, seconds)

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
            self._runner.enforce_timeouts()
            self.farewell.rehearse()
            if self._memory.exceeded():
                self.farewell.start_anew()
        if self._in_doubt and not self._leases.under_way:  # what that call leases is not unheard of
            self._leases.recover(self._intake.queues())
            self._in_doubt = False
        if now >= self._next_beat:
            self._next_beat = now + BEAT_SECONDS
            self.beat(busy=bool(self._leases.held()))
            if self._trying and not self._suspects.open:
                self.connection.hdel(self.key, TRYING)
                self._trying = False
        if now >= self._next_strays:
            self._next_strays = now + STRAYS_SECONDS
            self._intake.look_for_strays()
