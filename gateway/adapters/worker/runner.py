"""Runs processors: `def` in threads, `async def` on one event loop, each under its own time limit.

A thread cannot be killed. At its limit an exception is put into it; what does not listen to that
(it sits in C code, it blocks the event loop) is abandoned after a grace: reported as timed out, its
place filled anew, and its late result dropped, which the fence would refuse anyway.
"""

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Iterable
from contextvars import copy_context
from dataclasses import dataclass, field
from queue import SimpleQueue
from types import TracebackType
from typing import Final

from gateway.adapters.worker.interrupts import Interrupt
from gateway.adapters.worker.lifespans import ThreadLifespans
from gateway.adapters.worker.loops import LoopThread
from gateway.logs import logger
from gateway.plugins.lifespan import Lifespan
from gateway.process import AttemptTimeout, Ready, authors_place, place_in

ABANDON_SECONDS: Final = 5.0
BLOCKS_SECONDS: Final = 1.0  # an event loop that answers later than this holds all of its others up


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
        self._lifespans = ThreadLifespans()
        self._loop_lifespans: tuple[Lifespan, ...] = ()
        self.abandoned = 0
        """How many attempts that were given up on still run."""

    def open(self, lifespans: Iterable[Lifespan]) -> None:
        """What attempts need that are started from now on. Raises LifespanFailed: none is open then."""
        wanted = tuple(lifespans)
        self._lifespans.open(wanted)
        self._loop_lifespans = tuple(each for each in wanted if each.is_async)
        if not self._loop_lifespans:
            return
        try:
            self._loop = LoopThread(self._loop_lifespans)
            self._loop.open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes what `open` has opened, in that thread; cancels what runs on the loop."""
        loop, self._loop = self._loop, None
        if loop:
            loop.end()
        self._loop_lifespans = ()
        self._lifespans.close()

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
                function = attempt.ready.processor.function
                arguments = attempt.ready.arguments(self._lifespans.objects)
                # A context of its own: what one attempt sets there is not for the thread's next one.
                _refuse_unrun(copy_context().run(function, *arguments))
        except BaseException as caught:  # sys.exit() in a processor must not end our thread
            error = caught
        return self._end(attempt, error, late=attempt.interrupt.sent)

    # The event loop

    def _submit(self, attempt: _Attempt) -> None:
        self._loop = self._loop or LoopThread(self._loop_lifespans)
        attempt.loop = self._loop
        self._loop.submit(self._run_async(attempt, self._loop), attempt.ready.processor.name)

    async def _run_async(self, attempt: _Attempt, loop: LoopThread) -> None:
        limit = asyncio.timeout(None)
        error: BaseException | None = None
        try:
            opened = {**self._lifespans.objects, **await loop.opened()}
            with self._guard:
                if attempt.loop is not loop or attempt.ended:  # it was moved to another loop
                    return
                attempt.started = time.monotonic()
            async with limit:
                limit.reschedule(asyncio.get_running_loop().time() + attempt.ready.timeout)
                await attempt.ready.processor.function(*attempt.ready.arguments(opened))
        except BaseException as caught:
            if attempt.loop is not loop:  # it was moved while this one opened its lifespans
                return
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
        silent = blocked.silent_seconds()
        if silent > min(BLOCKS_SECONDS, self._abandon_seconds) and not blocked.noted:
            blocked.noted = self._note_who_blocks(blocked, silent)
        if silent <= self._abandon_seconds:
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

    def _note_who_blocks(self, loop: LoopThread, silent: float) -> bool:
        """Says whose work keeps the loop busy, and at which line. False: the machine is slow so far."""
        processor, trace = loop.runs(__file__)
        # A task that a processor has started has no name of ours, but it has a line.
        place = place_in(trace) if processor else authors_place(trace)
        if not place:
            return False
        logger().error(
            "processor.blocks_loop",
            processor=processor,
            where=place,
            seconds=round(silent, 1),
            mend="await, or make it a def: that runs in a thread",
        )
        return True

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
