"""Time limits that cost next to nothing: one clock for all, looked at twenty times a second.

`asyncio.timeout` starts and stops a timer of the event loop each time, 3.5 µs of a request's 100.
Nearly no limit is ever reached, and none of ours has to be exact: a block ends at most 50 ms late.
"""

import asyncio
from types import TracebackType
from typing import Final, Self

TICK_SECONDS: Final = 0.05


class Limit:
    """A time that is up after so many `seconds` of holding, unless it is lifted before."""

    __slots__ = ("_watch", "until")

    def __init__(self, seconds: float) -> None:
        self._watch = watch = _watch()
        self.until = watch.loop.time() + seconds

    def hold(self) -> None:
        self._watch.add(self)

    def lift(self) -> None:
        self._watch.open.discard(self)

    def expire(self) -> None:
        """It is up, and no longer held."""
        raise NotImplementedError


class within(Limit):  # noqa: N801 - reads as a word where it is used, as asyncio.timeout does
    """`with within(seconds):` around awaits. Raises TimeoutError in the task when they take longer."""

    __slots__ = ("_cancelling", "_expired", "_task")

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self._expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None, "a time limit needs a task that it can stop"
        self._task = task
        self._cancelling = task.cancelling()
        self.hold()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.lift()
        # Cancelled from outside as well: then that goes on, as with asyncio.timeout.
        if (
            self._expired
            and self._task.uncancel() <= self._cancelling
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError from error

    def expire(self) -> None:
        self._expired = True
        self._task.cancel()


class _Watch:
    """The open limits of one event loop. While there are any, it looks at them every tick."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ticking = False
        self.open: set[Limit] = set()

    def add(self, limit: Limit) -> None:
        self.open.add(limit)
        if not self._ticking:
            self._ticking = True
            self.loop.call_later(TICK_SECONDS, self._look)

    def _look(self) -> None:
        now = self.loop.time()
        for limit in [each for each in self.open if each.until <= now]:
            self.open.discard(limit)
            limit.expire()
        self._ticking = bool(self.open)
        if self._ticking:
            self.loop.call_later(TICK_SECONDS, self._look)


def _watch() -> _Watch:
    """Of the running loop. A process has one loop at a time."""
    global _latest  # noqa: PLW0603 - a lookup by loop would cost what is saved here
    loop = asyncio.get_running_loop()
    if _latest is None or _latest.loop is not loop:
        _latest = _Watch(loop)
    return _latest


_latest: _Watch | None = None
