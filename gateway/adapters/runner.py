"""Runs processors: `def` in threads, `async def` on one event loop, each under its own time limit.

A thread cannot be killed. At its limit an exception is put into it; a thread that does not listen
(it sits in C code) is abandoned after a grace, its slot is filled anew, and its late result is
dropped: the fence would refuse it.
"""

import asyncio
import ctypes
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Final

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
    ready: Ready
    started: float
    thread: int | None = None
    interrupted: bool = False
    ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Runner:
    """`report` is called once for each started attempt, from any thread."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._tasks: SimpleQueue[_Attempt | None] = SimpleQueue()
        self._attempts: set[_Attempt] = set()
        self._guard = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, ready: Ready) -> None:
        attempt = _Attempt(ready, time.monotonic())
        if ready.processor.is_async:
            asyncio.run_coroutine_threadsafe(self._run_async(attempt), self._event_loop())
            return
        with self._guard:
            self._attempts.add(attempt)
            spawn = self._idle < self._tasks.qsize() + 1
            self._threads += spawn
        if spawn:
            name = f"processor-{self._threads}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        self._tasks.put(attempt)

    def enforce_timeouts(self) -> None:
        """Call it a few times a second."""
        now = time.monotonic()
        with self._guard:
            attempts = [each for each in self._attempts if each.thread is not None]
        for attempt in attempts:
            late = now - attempt.started - attempt.ready.timeout
            if late > ABANDON_SECONDS:
                self._abandon(attempt)
            elif late > 0:
                _interrupt(attempt)

    def _work(self) -> None:
        """One thread: takes attempts until it is abandoned in one."""
        while True:
            with self._guard:
                self._idle += 1
            attempt = self._tasks.get()
            with self._guard:
                self._idle -= 1
            if attempt is None or not self._run(attempt):
                return

    def _run(self, attempt: _Attempt) -> bool:
        """False when the attempt was given up on meanwhile: its thread ends here."""
        attempt.started = time.monotonic()
        attempt.thread = threading.get_ident()
        error: BaseException | None = None
        try:
            try:
                attempt.ready.processor.function(*attempt.ready.arguments())
            finally:
                with attempt.lock:
                    attempt.thread = None
                    _clear_interrupt()
        except BaseException as caught:  # sys.exit() in a processor must not end our thread
            error = caught
        return self._end(attempt, error)

    async def _run_async(self, attempt: _Attempt) -> None:
        ready = attempt.ready
        error: BaseException | None = None
        try:
            async with asyncio.timeout(ready.timeout):
                await ready.processor.function(*ready.arguments())
        except TimeoutError as caught:
            late = time.monotonic() - attempt.started >= ready.timeout
            error = _timed_out(attempt) if late else caught
        except BaseException as caught:
            error = caught
        self._end(attempt, error)

    def _end(self, attempt: _Attempt, error: BaseException | None) -> bool:
        with self._guard:
            if attempt.ended:
                return False
            attempt.ended = True
            self._attempts.discard(attempt)
        if attempt.interrupted and not isinstance(error, AttemptTimeout):
            error = _timed_out(attempt)
        self._report(Ended(attempt.ready, error, time.monotonic() - attempt.started))
        return True

    def _abandon(self, attempt: _Attempt) -> None:
        with self._guard:
            if attempt.ended:
                return
            self._threads -= 1
        self._end(attempt, _timed_out(attempt))

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="processors-loop", daemon=True).start()
        return self._loop


def _timed_out(attempt: _Attempt) -> AttemptTimeout:
    return AttemptTimeout(f"took longer than {attempt.ready.timeout:g} s")


def _interrupt(attempt: _Attempt) -> None:
    """Once, and only while the attempt still holds its thread."""
    with attempt.lock:
        if attempt.thread is not None and not attempt.interrupted:
            attempt.interrupted = True
            _set_async_exception(attempt.thread, AttemptTimeout)


def _clear_interrupt() -> None:
    """An interrupt that comes too late must not hit the thread's next attempt."""
    _set_async_exception(threading.get_ident(), None)


def _set_async_exception(thread: int, exception: type[BaseException] | None) -> None:
    # https://docs.python.org/3/c-api/init.html#c.PyThreadState_SetAsyncExc
    target = ctypes.py_object(exception) if exception else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), target)
