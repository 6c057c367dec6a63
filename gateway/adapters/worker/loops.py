"""An event loop in a thread of its own, for processors that are `async def`.

It goes on whatever a processor does: `sys.exit()` in a task that one has started ends `run_forever`,
and with it would end all the others. What blocks it is noticed from outside.
"""

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

from gateway.logs import logger


class LoopThread:
    """Runs what is submitted to it, all at once, until the process ends."""

    def __init__(self) -> None:
        """Raises RuntimeError or OSError when the machine gives no further thread or descriptor."""
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio itself keeps weak references only
        self._asked_at: float | None = None
        self._retired = False
        try:
            threading.Thread(target=self._run, name="processors-loop", daemon=True).start()
        except BaseException:
            self._loop.close()
            raise

    def submit(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._loop.call_soon_threadsafe(self._begin, coroutine)

    def ask(self) -> None:
        """Expects a sign of life."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            self._loop.call_soon_threadsafe(self._answer)

    def silent_seconds(self) -> float:
        """For how long something has kept it from answering."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else time.monotonic() - asked_at

    def retire(self) -> None:
        """Nothing more will be submitted: it ends with what it runs."""
        self._retired = True
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _answer(self) -> None:
        self._asked_at = None

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._retired:
            self._loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        while self._tasks or not self._retired:
            try:
                self._loop.run_forever()
            except BaseException as error:  # SystemExit, KeyboardInterrupt: asyncio lets them out
                logger().error("processors.loop_interrupted", error=type(error).__name__)
        self._loop.close()
