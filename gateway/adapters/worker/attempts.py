"""Attempts: what was leased is begun, in the way that is safe for what runs beside it, and concluded.

Most run in threads and on an event loop of the worker's process (`runner.py`). Alone, in a process of
its own (`isolation.py`), runs what may take that process down (`suspects.py`).
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime

from gateway.adapters.ledger.redis_clients import blocking_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.steps import StepStore
from gateway.adapters.worker.isolation import IsolatedEnd, run_isolated
from gateway.adapters.worker.memory import MemoryLimit
from gateway.adapters.worker.runner import Ended, Runner
from gateway.adapters.worker.suspects import Suspects, Way
from gateway.application import Application
from gateway.core.delivery import Claimed, Finish
from gateway.logs import logger
from gateway.plugins.outbox import Outbox
from gateway.process import NotBegun, Ready, conclude, prepare

End = Ended | IsolatedEnd


class Attempts:
    """Of one worker, in whose own thread every method is to be called. Steps are kept at `url`.

    `report` is called with the end of each, from any thread: bring it to `ended`. That calls `keep`,
    with what is to be recorded and how many seconds it took. Once `concurrency` of them do not listen
    to their time limit, those that follow run alone; with `isolate`, all do.
    """

    def __init__(
        self,
        app: Application,
        url: str,
        concurrency: int,
        *,
        isolate: bool,
        report: Callable[[End], None],
        keep: Callable[[Finish, float], None],
    ) -> None:
        self._app = app
        self._steps = StepStore(
            lambda: blocking_client(url, app.config.settings.redis.timeout), Keys(app.prefix), url
        )
        self._concurrency = concurrency
        self._isolate = isolate
        self._report = report
        self._keep = keep
        self._runner = Runner()
        self._waiting: dict[str, list[Ready]] = {}
        self._opened = False
        self.suspects = Suspects()
        """Whose deliveries run alone."""
        self.memory = MemoryLimit(app.config.settings.worker.max_memory)
        """It is told what runs in the worker's own process."""

    def open(self) -> None:
        """What processors need for longer than one event; once. Raises LifespanFailed."""
        if not (self._opened or self._isolate):
            self._runner.open(self._app.lifespans)
            self._opened = True

    def close(self) -> None:
        """What `open` has opened, in that thread."""
        self._runner.close()

    def enforce_timeouts(self) -> None:
        """Call it a few times a second."""
        self._runner.enforce_timeouts()

    def start(self, claimed: Claimed) -> None:
        """Returns at once. Whatever goes wrong here is how the attempt ended: the worker and its other
        work go on."""
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

    def ended(self, end: End) -> None:
        """Keeps how it ended, and begins what waited for that."""
        match end:
            case IsolatedEnd(ready, finish, seconds):
                self._keep(finish, seconds)
                self._judge(ready, finish)
            case Ended(ready, error, seconds):
                self.suspects.not_tried(ready.processor.name)
                self._conclude(ready.claimed, error, seconds, ready.event.outbox)
        self._go_on(end.ready.processor.name)

    def _begin(self, ready: Ready) -> None:
        try:
            match self._way_of(ready.claimed):
                case Way.ALONE:
                    run_isolated(ready, self._report)
                case Way.LATER:  # leased meanwhile, as what runs is
                    self._waiting.setdefault(ready.processor.name, []).append(ready)
                case Way.BESIDE:
                    self.memory.note_run(ready.processor.name)
                    self._runner.start(ready, self._report)
        except Exception as error:  # no further thread, for one
            self.suspects.not_tried(ready.processor.name)
            self._conclude(ready.claimed, NotBegun(f"{type(error).__name__}: {error}"), 0.0)

    def _way_of(self, claimed: Claimed) -> Way:
        """Alone also where it is suspected of a crash itself, or too many here do not listen to their
        time limit."""
        if self._isolate or self._runner.abandoned >= self._concurrency:
            return Way.ALONE
        way = self.suspects.way_of(claimed.processor)
        return Way.ALONE if claimed.alone and way is Way.BESIDE else way

    def _go_on(self, processor: str) -> None:
        """With those that waited for how another one of this processor ends."""
        for ready in self._waiting.pop(processor, ()):
            self._begin(ready)

    def _judge(self, ready: Ready, finish: Finish) -> None:
        """The processor, by how its process ended."""
        if finish.decision is not None:
            self.suspects.ended(ready.processor.name)
            return
        self.suspects.crashed(ready.processor.name)
        logger().error(
            "attempt.crashed",
            delivery=finish.delivery,
            processor=ready.processor.name,
            where=ready.processor.origin,
        )

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
        self._keep(finish, seconds)
