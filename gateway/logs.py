"""structlog set-up: one wide line per request and per attempt, JSON or, on a terminal, for people.

What never goes into a line: a body, a secret, a header's value, an exception's message (it may quote
a body). Ids, outcomes, reasons, times and sizes do. Libraries' lines are held to that too.
"""

import atexit
import logging
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TextIO

import structlog

from gateway.lines import Lines, as_json, stamped

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logs(
    style: Literal["auto", "json", "console"], level: str, stream: TextIO | None = None
) -> None:
    """Lines go to stderr: stdout is for data. "auto" is console on a terminal, else JSON."""
    out = stream or sys.stderr
    console = style == "console" or (style == "auto" and out.isatty())
    shared: list[structlog.typing.Processor] = [lambda _, method, event: stamped(method, event)]
    renderer: structlog.typing.Processor = _render
    if console:
        stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=False)
        shared = [structlog.processors.add_log_level, stamp]
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=22)
    lines = Lines(out, plain=not console and LEVELS[level] <= LEVELS["info"])
    atexit.register(lines.flush)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lines,
        cache_logger_on_first_use=True,
    )
    _configure_libraries(shared, renderer, out)


def _render(_: Any, __: str, event: structlog.typing.EventDict) -> str:
    return as_json(event)


def _configure_libraries(
    shared: list[structlog.typing.Processor], renderer: structlog.typing.Processor, out: TextIO
) -> None:
    """Libraries' own lines: only what needs a person, and in the form of ours."""
    lines = logging.StreamHandler(out)
    lines.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared, _less_exception],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[lines], level=logging.WARNING)
    # One warning for every malformed request: anybody can cause them.
    budget = LineBudget()
    logging.getLogger("uvicorn.error").addFilter(
        lambda record: record.levelno > logging.WARNING or budget.take() is not None
    )


def _less_exception(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The exception's type and place instead of its text; asyncio quotes it below its first line."""
    record: logging.LogRecord = event["_record"]
    error = record.exc_info[1] if record.exc_info else None
    record.exc_info = None
    event.pop("exc_info", None)
    event["event"] = str(event["event"]).partition("\n")[0]
    return {**event, "error": type(error).__name__, "where": place_of(error)} if error else event


def place_of(error: BaseException) -> str:
    """`file:line` where it was raised."""
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    return f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else ""


def together() -> AbstractContextManager[None]:
    """What the block logs is written in one call, at its end."""
    lines = structlog.get_config()["logger_factory"]
    return lines.together() if isinstance(lines, Lines) else nullcontext()


def line_writer() -> Callable[..., object]:
    """`logger().info`, where every request or attempt is logged: for JSON in a third of its time.

    Ask for it after `configure_logs`.
    """
    lines = structlog.get_config()["logger_factory"]
    if isinstance(lines, Lines) and lines.plain:
        return lines.json_info
    return lambda event, **fields: logger().info(event, **fields)


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
