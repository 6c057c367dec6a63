"""Public: all that a processor imports.

    from gateway.plugins import Discard, Event, Registry, RetryAfter

    registry = Registry()

    @registry.processor(source="stripe", events=["invoice.paid"])
    def record_invoice(event: Event) -> None: ...

A processor is a plain function and stays one: a test calls it. It must be idempotent
(`event.idempotency_key` helps): a worker that dies between an effect and its record runs it again.
"""

import inspect
import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel

from gateway.core.routing import Route

__all__ = ["Discard", "Event", "Processor", "ProcessorError", "Registry", "RetryAfter"]

F = TypeVar("F", bound=Callable[..., None] | Callable[..., Awaitable[None]])


class RetryAfter(Exception):  # noqa: N818 - a request, not an error
    """Raise it to ask for the next attempt after `delay`; it counts as an attempt."""

    def __init__(self, delay: timedelta | float) -> None:
        self.seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
        if not 0 <= self.seconds < math.inf:  # NaN too
            raise ValueError("RetryAfter takes a finite delay of 0 seconds or more")
        super().__init__(f"retry after {self.seconds:g} s")


class Discard(Exception):  # noqa: N818 - a decision, not an error
    """Raise it when this event can never be processed: a dead letter at once, with `reason`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class ProcessorError(ValueError):
    """A processor was declared wrongly: the message names the file, the line and the mend."""


@dataclass(frozen=True)
class Event:
    """A verified webhook, for one attempt of one processor.

    `body` is byte for byte what the provider sent; `payload` is it as JSON. `attempt` counts from
    1 and starts again after a replay. `fence` only ever grows: a store that remembers the highest
    one it saw can refuse a stalled, outdated run.
    """

    id: str
    source: str
    type: str
    provider_id: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    attempt: int = 1
    fence: int = 1
    processor: str = ""

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt and replay of this event by this processor."""
        return f"{self.id}:{self.processor}" if self.processor else self.id

    @cached_property
    def payload(self) -> Any:
        """The body as JSON. Raises ValueError when it is none."""
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("the body is JSON nested too deeply") from None


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


@dataclass(slots=True)
class Registry:
    """What a module of processors exports. Several are merged at start; a clash of names is refused."""

    processors: list[Processor] = field(default_factory=list)

    def processor(
        self,
        *,
        source: str,
        events: Sequence[str] = ("*",),
        name: str | None = None,
        timeout: timedelta | float | None = None,
    ) -> Callable[[F], F]:
        """Register a function for events of `source` whose type matches one of `events` (globs).

        The function is returned unchanged. `name` (default: the function's) identifies it in the
        ledger: keep it when you rename the function. `timeout` bounds one attempt. Raises
        ProcessorError for a wrong signature or a name already taken in this registry.
        """

        def register(function: F) -> F:
            seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
            self._add(_declare(function, source, events, name, seconds))
            return function

        return register

    def _add(self, processor: Processor) -> None:
        for other in self.processors:
            if other.name == processor.name:
                raise ProcessorError(
                    f"{processor.origin}: the name {processor.name!r} is taken by {other.origin};"
                    " give one of them name=..."
                )
        self.processors.append(processor)


def _declare(
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
