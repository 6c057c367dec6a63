"""A registered function, and what makes a declaration one that is refused."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.conditions import parse_condition
from gateway.core.condition import Condition, ConditionError
from gateway.core.ordering import Order
from gateway.core.routing import Route
from gateway.plugins.answers import Defer, Discard, RetryAfter
from gateway.plugins.lifespan import Lifespan
from gateway.plugins.order import OrderWish
from gateway.plugins.parameters import Taken, parameters_of
from gateway.plugins.payload import Payload
from gateway.plugins.places import ProcessorError, origin_of
from gateway.plugins.retry import Retry
from gateway.plugins.transform import Transform

__all__ = ["Processor", "ProcessorError", "declare"]

Kinds = tuple[type[Exception], ...]
ANSWERS: Final = (RetryAfter, Defer, Discard)
UNORDERED: Final = OrderWish()


@dataclass(frozen=True, slots=True)
class Processor:
    """A registered function. `timeout` in seconds; None: the source's. `retry` None: the source's.

    `takes` is what is passed after the event, in order. `lifespans` are those that must be open.
    `retry_on`: when there is one, any other exception is permanent, as those of `give_up_on` are.
    """

    name: str
    function: Callable[..., Any]
    source: str
    events: tuple[str, ...]
    origin: str
    timeout: float | None = None
    takes: Taken = ()
    when: Condition | None = None
    retry: Retry | None = None
    retry_on: Kinds = ()
    give_up_on: Kinds = ()
    transform: Transform | None = None
    lifespans: tuple[Lifespan, ...] = ()
    order: Order | None = None

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    @property
    def payload(self) -> Payload | None:
        return next((each for each in self.takes if isinstance(each, Payload)), None)

    @property
    def model(self) -> Any:
        """The type of the payload; None: the processor reads `event.payload`."""
        return self.payload.annotation if self.payload else None

    @property
    def route(self) -> Route:
        return Route(self.name, self.source, self.events)

    def gives_up_on(self, error: BaseException) -> bool:
        """Whether trying again is of no use. A group of exceptions is what its members are."""
        if isinstance(error, BaseExceptionGroup):
            return any(self.gives_up_on(each) for each in error.exceptions)
        if isinstance(error, self.give_up_on):
            return True
        # What is no Exception (SystemExit, a cancellation) says nothing about the event.
        said = bool(self.retry_on) and isinstance(error, Exception)
        return said and not isinstance(error, self.retry_on)


def declare(
    function: Callable[..., Any],
    source: str,
    events: Sequence[str],
    name: str | None,
    timeout: float | None,
    *,
    when: Mapping[str, Any] | str | None = None,
    retry: Retry | None = None,
    retry_on: type[Exception] | Iterable[type[Exception]] = (),
    give_up_on: type[Exception] | Iterable[type[Exception]] = (),
    lifespans: Sequence[Lifespan] = (),
    transform: Transform | None = None,
    order: OrderWish = UNORDERED,
) -> Processor:
    """`lifespans` and `transform` are the registry's so far. Raises ProcessorError."""
    origin = _origin(function)
    if isinstance(events, str):  # a sequence too: of letters, none of which ever matches
        raise ProcessorError(f"{origin}: events must be a list: [{events!r}]")
    if not events or any(not pattern for pattern in events):
        raise ProcessorError(f"{origin}: events must name at least one event type (or '*')")
    if timeout is not None and not timeout > 0:  # NaN too
        raise ProcessorError(f"{origin}: timeout must be more than 0 seconds")
    takes = parameters_of(function, origin, lifespans)
    kinds = {"retry_on": _kinds(retry_on, "retry_on", origin)}
    kinds["give_up_on"] = _kinds(give_up_on, "give_up_on", origin)
    _refuse_contradiction(**kinds, origin=origin)
    return Processor(
        name=name or function.__name__,
        function=function,
        source=source,
        events=tuple(events),
        origin=origin,
        timeout=timeout,
        takes=takes,
        when=_condition(when, origin),
        retry=retry,
        **kinds,
        transform=transform,
        order=order.read(origin),
        lifespans=tuple(each for each in lifespans if each.sets_up or each in takes),
    )


def _origin(function: Callable[..., Any]) -> str:
    origin = origin_of(function)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ProcessorError(f"{origin}: a function with yield would never run: return instead")
    return origin


def _kinds(given: Any, key: str, origin: str) -> Kinds:
    """A single class, too."""
    kinds = (given,) if isinstance(given, type) else tuple(given)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise ProcessorError(f"{origin}: {key} names classes of exceptions, and {kind!r} is none")
        if issubclass(kind, ANSWERS):
            raise ProcessorError(f"{origin}: {key} has {kind.__name__}, which says itself what happens")
    return kinds


def _refuse_contradiction(retry_on: Kinds, give_up_on: Kinds, origin: str) -> None:
    for again in retry_on:
        for never in give_up_on:
            if issubclass(again, never) or issubclass(never, again):
                raise ProcessorError(
                    f"{origin}: {never.__name__} of give_up_on and {again.__name__} of retry_on are"
                    " of one family: name classes of which none is the other's parent"
                )


def _condition(when: Mapping[str, Any] | str | None, origin: str) -> Condition | None:
    if when is None:
        return None
    try:
        return parse_condition(when, at="when")
    except ConditionError as error:
        raise ProcessorError(f"{origin}: {error}") from None
