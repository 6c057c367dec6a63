"""Puts an exception into a running thread, and never into what that thread does next."""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType


class Interrupt:
    """One piece of work in one thread, which another thread may cut short, once."""

    def __init__(self, exception: type[BaseException]) -> None:
        self.sent = False
        self._exception = exception
        self._lock = threading.Lock()
        self._thread: int | None = None

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """The work stands inside. The interrupt may come out of it after its last line, too."""
        try:
            self._thread = threading.get_ident()
            yield
        finally:
            with self._lock:
                self._thread = None
                if self.sent:  # perhaps too late to be raised
                    _raise_in(threading.get_ident(), None)

    def send(self) -> None:
        """No effect outside the work, and none the second time."""
        with self._lock:
            if self._thread is not None and not self.sent:
                self.sent = True
                _raise_in(self._thread, self._exception)

    def trace(self, outside: str) -> TracebackType | None:
        """Where the work stands right now, from its first frame that is not of file `outside`."""
        return stands_at(self._thread, outside)


def stands_at(thread: int | None, outside: str) -> TracebackType | None:
    """Where a thread stands right now, from its first frame that is not of file `outside`."""
    frame: FrameType | None = sys._current_frames().get(thread or -1)
    trace = None
    while frame and frame.f_code.co_filename != outside:
        trace = TracebackType(trace, frame, frame.f_lasti, frame.f_lineno)
        frame = frame.f_back
    return trace


def _raise_in(thread: int, exception: type[BaseException] | None) -> None:
    # https://docs.python.org/3/c-api/init.html#c.PyThreadState_SetAsyncExc
    target = ctypes.py_object(exception) if exception else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), target)
