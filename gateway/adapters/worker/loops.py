"""An event loop in a thread of its own, for processors that are `async def`.

It goes on whatever a processor does: `sys.exit()` in a task that one has started ends `run_forever`,
and with it would end all the others. What blocks it is noticed from outside.
"""

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterable
from types import TracebackType
from typing import Any

from gateway.adapters.worker.interrupts import stands_at
from gateway.adapters.worker.lifespans import CLOSE_SECONDS, LoopLifespans, Opened
from gateway.logs import logger
from gateway.plugins.lifespan import Lifespan


class LoopThread:
    """Runs what is submitted to it, all at once, until the process ends.

    `lifespans`: those whose objects live on this loop.
    """

    def __init__(self, lifespans: Iterable[Lifespan] = ()) -> None:
        """Raises RuntimeError or OSError when the machine gives no further thread or descriptor."""
        self._loop = asyncio.new_event_loop()
        self._lifespans = LoopLifespans(lifespans)
        # asyncio itself keeps weak references only. By whose work it is, which has a name.
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._asked_at: float | None = None
        self._retired = False
        self.noted = False
        """Whether it has been told who keeps this loop from answering."""
        self._thread = threading.Thread(target=self._run, name="processors-loop", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self._loop.close()
            raise

    def submit(self, coroutine: Coroutine[Any, Any, None], whose: str = "") -> None:
        self._loop.call_soon_threadsafe(self._begin, coroutine, whose)

    def open(self) -> None:
        """Waits for its lifespans. Raises LifespanFailed."""
        asyncio.run_coroutine_threadsafe(self.opened(), self._loop).result()

    async def opened(self) -> Opened:
        """On the loop: the objects of its lifespans. Raises LifespanFailed."""
        return await self._lifespans.objects()

    def ask(self) -> None:
        """Expects a sign of life."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            self._loop.call_soon_threadsafe(self._answer)

    def silent_seconds(self) -> float:
        """For how long something has kept it from answering."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else time.monotonic() - asked_at

    def runs(self, outside: str) -> tuple[str, TracebackType | None]:
        """Whose work runs on it right now ("" when nobody's), and where that stands, from its first
        frame that is not of file `outside`."""
        task: Any = asyncio.current_task(self._loop)
        return self._tasks.get(task, ""), stands_at(self._thread.ident, outside)

    def retire(self) -> None:
        """Nothing more will be submitted: it ends with what it runs."""
        self._loop.call_soon_threadsafe(self._retire)

    def end(self) -> None:
        """Cancels what it runs, closes its lifespans and waits for that, but not for ever."""
        self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join(2 * CLOSE_SECONDS)

    def _retire(self) -> None:
        self._retired = True
        self._loop.stop()

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._retire()

    def _answer(self) -> None:
        self._asked_at = None
        self.noted = False

    def _begin(self, coroutine: Coroutine[Any, Any, None], whose: str) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks[task] = whose
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if self._retired:
            self._loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        while self._tasks or not self._retired:
            self._run_on()
        closing = self._loop.create_task(self._lifespans.close())
        closing.add_done_callback(lambda _: self._loop.stop())
        while not closing.done():
            self._run_on()
        self._loop.close()

    def _run_on(self) -> None:
        try:
            self._loop.run_forever()
        except BaseException as error:  # SystemExit, KeyboardInterrupt: asyncio lets them out
            logger().error("processors.loop_interrupted", error=type(error).__name__)
