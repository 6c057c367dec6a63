"""A registered function, and what makes a declaration one that is refused."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel

from gateway.core.routing import Route


class ProcessorError(ValueError):
    """A processor was declared wrongly: the message names the file, the line and the mend."""


@dataclass(frozen=True, slots=True)
class Processor:
    """A registered function. `timeout` in seconds; None: the source's."""

    name: str
    function: Callable[..., Any]
    source: str
    events: tuple[str, ...]
    origin: str
    timeout: float | None = None
    model: type[BaseModel] | None = None

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    @property
    def route(self) -> Route:
        return Route(self.name, self.source, self.events)


def declare(
    function: Callable[..., Any],
    source: str,
    events: Sequence[str],
    name: str | None,
    timeout: float | None,
) -> Processor:
    origin = _origin(function)
    if isinstance(events, str):  # a sequence too: of letters, none of which ever matches
        raise ProcessorError(f"{origin}: events must be a list: [{events!r}]")
    if not events or any(not pattern for pattern in events):
        raise ProcessorError(f"{origin}: events must name at least one event type (or '*')")
    if timeout is not None and not timeout > 0:  # NaN too
        raise ProcessorError(f"{origin}: timeout must be more than 0 seconds")
    return Processor(
        name=name or function.__name__,
        function=function,
        source=source,
        events=tuple(events),
        origin=origin,
        timeout=timeout,
        model=_model(function, origin),
    )


def _origin(function: Callable[..., Any]) -> str:
    inner = inspect.unwrap(function)
    if not inspect.isfunction(inner):
        raise ProcessorError(f"{function!r} is no function: register a def or an async def")
    code = inner.__code__
    origin = f"{code.co_filename}:{code.co_firstlineno}"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ProcessorError(f"{origin}: a function with yield would never run: return instead")
    return origin


def _model(function: Callable[..., Any], origin: str) -> type[BaseModel] | None:
    """The payload model that the second parameter is annotated with, if there is one."""
    parameters = list(inspect.signature(function).parameters.values())
    named = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    if not 1 <= len(parameters) <= 2 or not {each.kind for each in parameters} <= named:
        raise ProcessorError(
            f"{origin}: a processor takes (event) or (event, payload: Model),"
            f" not {inspect.signature(function)}"
        )
    if len(parameters) == 1:
        return None
    try:
        annotation = get_type_hints(function).get(parameters[1].name)
    except NameError as error:
        raise ProcessorError(
            f"{origin}: {error}: define the payload's model at module level, above the processor"
        ) from None
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        raise ProcessorError(
            f"{origin}: the second parameter must be annotated with a pydantic model of the payload"
        )
    return annotation
