"""An event loop whose time passes only while nothing else happens: limits in seconds are tested at
once, to the millisecond, and however long the machine stands still.

For what runs on the loop alone: a thread that is waited for takes no time here.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`. Raises TimeoutError after an hour of the loop's time: nothing came any more."""
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(asyncio.wait_for(main, 3600))


class _Leaping(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; if that is nothing, the whole time-out has passed."""
        ready = super().select(0 if timeout else timeout)
        self.now += 0.0 if ready else timeout or 0.0
        return ready


class LeapingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._passed = _Leaping()
        super().__init__(self._passed)

    def time(self) -> float:
        return self._passed.now
