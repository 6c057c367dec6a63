"""A function that reshapes a source's payload before its processors see it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.plugins.places import ProcessorError, origin_of


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """Called with the event; what it returns is `event.payload`. The body stays as it was signed."""

    function: Callable[..., Any]
    source: str
    origin: str


def declare_transform(function: Callable[..., Any], source: str) -> Transform:
    """Raises ProcessorError."""
    origin = origin_of(function)
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(inspect.unwrap(function)):
        raise ProcessorError(
            f"{origin}: a transform is a plain def that returns: it reshapes and calls nobody"
        )
    if len(inspect.signature(function).parameters) != 1:
        raise ProcessorError(f"{origin}: a transform takes (event), not {inspect.signature(function)}")
    return Transform(function, source, origin)
