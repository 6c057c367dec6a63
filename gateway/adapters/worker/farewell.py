"""When a worker stops: on a signal, within a grace; and whether it is to be started anew.

RQ's own handler raises StopRequested wherever the main thread happens to be, between a pop and its
record for one. Here a signal sets a flag, and loses nothing.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from gateway.logs import logger

REHEARSAL: Final = (sys.executable, "-m", "gateway", "check", "--offline")


class Farewell:
    """`grace` in seconds; `on_request` is called when stopping begins, in a signal handler."""

    def __init__(self, grace: float, on_request: Callable[[], None]) -> None:
        self._grace = grace
        self._on_request = on_request
        self._stop_at: float | None = None
        self._reload_asked = False
        self._rehearsal: subprocess.Popen[bytes] | None = None
        self.signalled = False
        """Whether the process itself was told to end, not only this worker in it."""
        self.restart = False
        """Whether it stops in order to be started anew."""

    @property
    def begun(self) -> bool:
        return self._stop_at is not None

    @property
    def overdue(self) -> bool:
        return self._stop_at is not None and time.monotonic() >= self._stop_at

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop, SIGHUP reloads; as it was before, afterwards."""
        handlers: dict[int, Any] = {
            signal.SIGINT: self._on_signal,
            signal.SIGTERM: self._on_signal,
            signal.SIGHUP: self._request_reload,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def request(self, *_: object) -> None:
        """First: claim no more, let running processors end within the grace. Second: now."""
        self._stop_at = time.monotonic() + (0.0 if self.begun else self._grace)
        self._on_request()

    def _on_signal(self, *_: object) -> None:
        """An end that is asked for while a reload ends the work is an end, and the first request."""
        reloading, self.restart = self.restart, False
        self.signalled = True
        if not reloading:
            self.request()

    def _request_reload(self, *_: object) -> None:
        self._reload_asked = True

    def rehearse(self) -> None:
        """After a SIGHUP: stops, to be started anew, once a fresh process has found no fault.

        This process would not do: it does not see that a module it has imported has changed. Call
        it a few times a second.
        """
        if self._reload_asked and self._rehearsal is None:
            self._reload_asked = False
            self._rehearsal = subprocess.Popen(REHEARSAL, stdout=sys.stderr.fileno())
        status = self._rehearsal.poll() if self._rehearsal else None
        if status is None:
            return
        self._rehearsal = None
        if status:
            logger().error("reload.refused", problem="hookline check found the faults above")
        else:
            self.start_anew()

    def start_anew(self) -> None:
        """Stops, in order to be started again."""
        if not self.begun:
            self.restart = True
            self.request()

    def exit_at_last(self, seconds: float) -> threading.Timer:
        """Ends the process then, whatever still runs in it, where the process itself was told to end;
        unless it is cancelled before."""
        at_last = threading.Timer(seconds, os._exit, [0])
        at_last.daemon = True
        if self.signalled:
            at_last.start()
        return at_last
