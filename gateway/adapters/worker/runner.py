"""Runs processors: `def` in threads, `async def` on one event loop, each under its own time limit.

A thread cannot be killed. At its limit an exception is put into it; what does not listen to that
(it sits in C code, it blocks the event loop) is abandoned after a grace: reported as timed out, its
place filled anew, and its late result dropped, which the fence would refuse anyway.
"""

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from queue import SimpleQueue
from types import TracebackType
from typing import Final

from gateway.adapters.worker.interrupts import Interrupt
from gateway.adapters.worker.loops import LoopThread
from gateway.process import AttemptTimeout, Ready

ABANDON_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How one attempt ended; `error` None: it returned."""

    ready: Ready
    error: BaseException | None
    seconds: float


Report = Callable[[Ended], None]


@dataclass(slots=True, eq=False)
class _Attempt:
    """`started` None: it waits for its thread or its loop to come to it."""

    ready: Ready
    report: Report
    loop: LoopThread | None = None
    started: float | None = None
    ended: bool = False
    interrupt: Interrupt = field(default_factory=lambda: Interrupt(AttemptTimeout))

    def seconds(self) -> float:
        """How long it has been running."""
        return 0.0 if self.started is None else time.monotonic() - self.started

    def timed_out(self, trace: TracebackType | None) -> AttemptTimeout:
        """`trace`: where it was when it was stopped."""
        return AttemptTimeout(f"took longer than {self.ready.timeout:g} s").with_traceback(trace)


class Runner:
    """Any number of attempts at once. How many is for the caller to say."""

    def __init__(self, abandon_seconds: float = ABANDON_SECONDS) -> None:
        self._abandon_seconds = abandon_seconds
        self._tasks: SimpleQueue[_Attempt] = SimpleQueue()
        self._attempts: set[_Attempt] = set()
        self._guard = threading.Lock()
        self._idle = 0
        self._loop: LoopThread | None = None
        self.abandoned = 0
        """How many attempts that were given up on still run."""

    def start(self, ready: Ready, report: Report) -> None:
        """Returns at once. `report` is called once, from any thread.

        Raises RuntimeError when the machine gives no further thread; nothing is reported then.
        """
        attempt = _Attempt(ready, report)
        with self._guard:
            self._attempts.add(attempt)
        try:
            if ready.processor.is_async:
                self._submit(attempt)
            else:
                self._hand_over(attempt)
        except BaseException:
            self._take_out(attempt)
            raise

    def enforce_timeouts(self) -> None:
        """Call it a few times a second."""
        with self._guard:
            attempts = list(self._attempts)
        for attempt in attempts:
            late = attempt.seconds() - attempt.ready.timeout
            if late > self._abandon_seconds:
                self._abandon(attempt)
            elif late > 0:
                attempt.interrupt.send()
        self._watch_loop()

    # Threads

    def _hand_over(self, attempt: _Attempt) -> None:
        """To an idle thread, else to a new one: never behind one that is busy."""
        with self._guard:
            idle = self._idle > 0
            self._idle -= idle
        if idle:
            self._tasks.put(attempt)
        else:
            threading.Thread(target=self._work, args=(attempt,), name="processor", daemon=True).start()

    def _work(self, attempt: _Attempt) -> None:
        """One thread: takes attempts until it is abandoned in one."""
        while self._run(attempt):
            with self._guard:
                self._idle += 1
            attempt = self._tasks.get()

    def _run(self, attempt: _Attempt) -> bool:
        """False when the attempt was given up on meanwhile: its thread ends here."""
        error: BaseException | None = None
        attempt.started = time.monotonic()
        try:
            with attempt.interrupt.allowed():
                function, arguments = attempt.ready.processor.function, attempt.ready.arguments()
                # A context of its own: what one attempt sets there is not for the thread's next one.
                _refuse_unrun(copy_context().run(function, *arguments))
        except BaseException as caught:  # sys.exit() in a processor must not end our thread
            error = caught
        return self._end(attempt, error, late=attempt.interrupt.sent)

    # The event loop

    def _submit(self, attempt: _Attempt) -> None:
        self._loop = self._loop or LoopThread()
        attempt.loop = self._loop
        self._loop.submit(self._run_async(attempt, self._loop))

    async def _run_async(self, attempt: _Attempt, loop: LoopThread) -> None:
        with self._guard:
            if attempt.loop is not loop or attempt.ended:  # it was moved to another loop
                return
            attempt.started = time.monotonic()
        limit = asyncio.timeout(attempt.ready.timeout)
        error: BaseException | None = None
        try:
            async with limit:
                await attempt.ready.processor.function(*attempt.ready.arguments())
        except BaseException as caught:
            # Where it was when it was stopped is told by what stopped it: the cause, or in the
            # first releases of 3.11 no more than the context.
            stopped_by = (caught.__cause__ or caught.__context__) if limit.expired() else None
            error = stopped_by or caught
        self._end(attempt, error, late=limit.expired())

    def _watch_loop(self) -> None:
        """Attempts that wait behind one that blocks the loop begin on a new one."""
        blocked = self._loop
        if blocked is None:
            return
        if blocked.silent_seconds() <= self._abandon_seconds:
            blocked.ask()
            return
        self._loop = None
        blocked.retire()
        with self._guard:
            stuck = [each for each in self._attempts if each.loop is blocked and each.started is None]
            for attempt in stuck:
                attempt.loop = None
        for attempt in stuck:
            self._submit(attempt)

    # Both

    def _take_out(self, attempt: _Attempt) -> bool:
        """True for the first who asks: an attempt ends once."""
        with self._guard:
            first, attempt.ended = not attempt.ended, True
            self._attempts.discard(attempt)
        return first

    def _end(self, attempt: _Attempt, error: BaseException | None, *, late: bool) -> bool:
        """`late`: it was interrupted. It may have swallowed that, and a part of its work with it."""
        if not self._take_out(attempt):
            with self._guard:
                self.abandoned -= 1
            return False
        if late:
            error = attempt.timed_out(error.__traceback__ if error else None)
        attempt.report(Ended(attempt.ready, error, attempt.seconds()))
        return True

    def _abandon(self, attempt: _Attempt) -> None:
        if not self._take_out(attempt):
            return
        with self._guard:
            self.abandoned += 1
        error = attempt.timed_out(attempt.interrupt.trace(__file__))
        attempt.report(Ended(attempt.ready, error, attempt.seconds()))


def _refuse_unrun(result: object) -> None:
    """A `def` that returns a coroutine or a generator, as a careless decorator's does, did nothing."""
    if inspect.isawaitable(result) or inspect.isgenerator(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError(
            f"the processor returned a {type(result).__name__} that nobody runs:"
            " make what wraps it an `async def` that awaits it"
        )
