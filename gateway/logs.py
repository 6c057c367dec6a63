"""structlog set-up: one wide line per request and per attempt, JSON or, on a terminal, for people.

What never goes into a line: a body, a secret, a header's value, an exception's message (it may quote
a body). Ids, outcomes, reasons, times and sizes do.
"""

import logging
import sys
import time
from collections.abc import Callable
from typing import Literal, TextIO

import structlog

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logs(
    style: Literal["auto", "json", "console"], level: str, stream: TextIO | None = None
) -> None:
    """Lines go to stderr: stdout is for data. "auto" is console on a terminal, else JSON."""
    out = stream or sys.stderr
    console = style == "console" or (style == "auto" and out.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=22)
        if console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _without_blanks,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(
                fmt="%H:%M:%S.%f" if console else "iso",
                utc=not console,
                key="time" if not console else "timestamp",
            ),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    # Libraries' own lines: only what needs a person, and never through the root's default format.
    logging.basicConfig(stream=out, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")


def _without_blanks(
    _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """A field that says nothing is left out."""
    return {key: value for key, value in event.items() if value is not None}


def logger() -> structlog.typing.FilteringBoundLogger:
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return log


class LineBudget:
    """At most so many lines a second of one kind: a flood must not fill a disk.

    `take` answers None when the line must be left out, else how many were left out before it.
    """

    def __init__(self, per_second: int = 20, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._second = 0
        self._used = 0
        self._left_out = 0

    def take(self) -> int | None:
        second = int(self._clock())
        if second != self._second:
            self._second, self._used = second, 0
        if self._used >= self._per_second:
            self._left_out += 1
            return None
        self._used += 1
        left_out, self._left_out = self._left_out, 0
        return left_out
