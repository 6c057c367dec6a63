"""Where something was declared, for every message about it."""

import inspect
from collections.abc import Callable
from typing import Any


class ProcessorError(ValueError):
    """A processor was declared wrongly: the message names the file, the line and the mend."""


def origin_of(function: Callable[..., Any]) -> str:
    """`file:line`. Raises ProcessorError for what is no function."""
    inner = inspect.unwrap(function)
    if not inspect.isfunction(inner):
        raise ProcessorError(f"{function!r} is no function: register a def or an async def")
    return f"{inner.__code__.co_filename}:{inner.__code__.co_firstlineno}"
