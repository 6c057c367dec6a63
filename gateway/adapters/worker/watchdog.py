"""Ends a worker that stands still, and says at which lines.

C code that keeps the interpreter to itself (a regular expression that never comes to an end) stops
every thread of Python: no limit is enforced, no lease renewed, no signal answered. A thread of C sees
it.
"""

import faulthandler
import sys
from contextlib import suppress
from typing import Final

SHORTEST: Final = 10.0


class Watchdog:
    """For the whole process: there can be one. `seconds`: for how long it may stand still."""

    def __init__(self, seconds: float) -> None:
        self._seconds = max(seconds, SHORTEST)

    def feed(self) -> None:
        """Call it every few seconds. Without that: each thread's lines on stderr, and exit status 1."""
        with suppress(RuntimeError):  # no further thread just now: what runs must not be cut off for it
            faulthandler.dump_traceback_later(self._seconds, exit=True, file=sys.__stderr__ or 2)

    def stop(self) -> None:
        faulthandler.cancel_dump_traceback_later()
