"""Where log lines go: what one turn of the event loop logs is written in one call."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Self, TextIO

from pydantic_core import to_json


class Lines:
    """To `out`, which may be a full disk or a closed pipe: that costs lines, never a request.

    structlog's logger, and used past it by `logs.line_writer` where lines are `plain`: JSON, and of
    every level from info on.
    """

    def __init__(self, out: TextIO, *, plain: bool = False) -> None:
        self.plain = plain
        self._out = out
        self._waiting: deque[str] = deque()  # threads add to it while another one takes from it
        self._held = 0

    def __call__(self, *_: Any) -> Self:
        """As structlog's factory."""
        return self

    def msg(self, line: str) -> None:
        first = not self._waiting
        self._waiting.append(line)
        if self._held:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if first:
            loop.call_soon(self.flush)

    def debug(self, line: str) -> None:
        self.msg(line)

    def info(self, line: str) -> None:
        self.msg(line)

    def warning(self, line: str) -> None:
        self.msg(line)

    def error(self, line: str) -> None:
        self.msg(line)

    def json_info(self, event: str, **fields: Any) -> None:
        """What `logger().info` writes when lines are JSON, without the steps of structlog."""
        fields["event"] = event
        self.msg(as_json(stamped("info", fields)))

    @contextmanager
    def together(self) -> Iterator[None]:
        """What the block logs is written at its end."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            self.flush()

    def flush(self) -> None:
        lines = []
        while self._waiting:
            with suppress(IndexError):  # another thread was quicker
                lines.append(self._waiting.popleft())
        if lines:
            with suppress(OSError, ValueError):  # ValueError: it was closed
                self._out.write("\n".join(lines) + "\n")
                self._out.flush()


def stamped(level: str, event: Any) -> Any:
    """With level and time, as structlog's own processors add them in five times the time."""
    event["level"] = level
    event["time"] = as_text(time.time_ns())
    return event


def as_text(nanoseconds: int) -> str:
    """Since 1970, as ISO 8601 with microseconds."""
    second, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{_second(second)}.{rest // 1000:06d}Z"


@lru_cache(maxsize=2)  # thousands of lines share one
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[: -len("+00:00")]


def as_json(event: Any) -> str:
    """A third of the time of the standard library's encoder, which takes what this one refuses."""
    try:
        return to_json(event, fallback=str).decode()
    except ValueError:  # half a surrogate pair, for one
        return json.dumps(event, default=str)
