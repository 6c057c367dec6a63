"""What processors need for longer than one event: opened once a worker, closed at its end."""

import inspect
from collections.abc import Callable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from gateway.plugins.places import ProcessorError, origin_of

Opener = Callable[[], AbstractContextManager[Any] | AbstractAsyncContextManager[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Lifespan:
    """`yields`: the type of its object; None: it only sets something up, for everybody.

    An async one lives on the event loop on which processors run that are `async def`.
    """

    name: str
    open: Opener
    yields: Any
    origin: str
    is_async: bool

    @property
    def sets_up(self) -> bool:
        return self.yields is None


def declare_lifespan(function: Callable[..., Any]) -> Lifespan:
    """Of a function with one `yield`, as it stands or under (async)contextmanager.

    Raises ProcessorError.
    """
    origin, inner = origin_of(function), inspect.unwrap(function)
    is_async = inspect.isasyncgenfunction(inner)
    if not (is_async or inspect.isgeneratorfunction(inner)):
        raise ProcessorError(
            f"{origin}: a lifespan is a function that opens, yields what it opened, and closes"
        )
    if inspect.signature(function).parameters:
        raise ProcessorError(f"{origin}: a lifespan takes no parameters")
    manager: Any = asynccontextmanager if is_async else contextmanager
    return Lifespan(
        name=inner.__name__,
        open=manager(function) if function is inner else function,
        yields=_yielded(inner, origin, "AsyncIterator" if is_async else "Iterator"),
        origin=origin,
        is_async=is_async,
    )


def _yielded(function: Callable[..., Any], origin: str, kind: str) -> Any:
    try:
        arguments = get_args(get_type_hints(function, include_extras=True).get("return"))
    except NameError as error:
        raise ProcessorError(
            f"{origin}: {error}: define what it yields above, at module level"
        ) from None
    if not arguments or arguments[0] in (Any, object):
        raise ProcessorError(
            f"{origin}: say what the lifespan yields, a type of its own: -> {kind}[Database]"
        )
    return None if arguments[0] is type(None) else arguments[0]
