"""What each parameter of a processor gets: the event, then the payload and what lifespans yield."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final, get_type_hints

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from gateway.plugins.lifespan import Lifespan
from gateway.plugins.payload import Payload, is_payload, type_name
from gateway.plugins.places import ProcessorError

POSITIONAL: Final = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
Taken = tuple[Payload | Lifespan, ...]


def parameters_of(function: Callable[..., Any], origin: str, lifespans: Sequence[Lifespan]) -> Taken:
    """What to pass after the event, in order. Raises ProcessorError."""
    _, *others = _positional(function, origin)
    hints = _hints(function, origin) if others else {}
    taken = tuple(_one(each, hints.get(each), function, origin, lifespans) for each in others)
    if sum(isinstance(each, Payload) for each in taken) > 1:
        raise ProcessorError(
            f"{origin}: there is one payload, and two parameters are annotated with one"
        )
    return taken


def _positional(function: Callable[..., Any], origin: str) -> list[str]:
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or not {each.kind for each in parameters} <= POSITIONAL:
        raise ProcessorError(
            f"{origin}: a processor takes (event), and after it a payload and what lifespans yield,"
            f" such as (event, invoice: Invoice, database: Database), not {inspect.signature(function)}"
        )
    return [each.name for each in parameters]


def _hints(function: Callable[..., Any], origin: str) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ProcessorError(
            f"{origin}: {error}: define the payload's type at module level, above the processor"
        ) from None


def _one(
    name: str,
    annotation: Any,
    function: Callable[..., Any],
    origin: str,
    lifespans: Sequence[Lifespan],
) -> Payload | Lifespan:
    for lifespan in lifespans:
        if annotation is not None and lifespan.yields == annotation:
            return _checked(lifespan, name, function, origin)
    if annotation is None or not is_payload(annotation):
        said = f"with {type_name(annotation)}" if annotation else "with nothing"
        raise ProcessorError(
            f"{origin}: the parameter {name!r} is annotated {said}: annotate it with the payload's type"
            " (a pydantic model, a dataclass, a TypedDict), or with what a lifespan of this registry,"
            " declared above, yields"
        )
    return Payload(annotation, _adapter(annotation, origin), origin)


def _checked(lifespan: Lifespan, name: str, function: Callable[..., Any], origin: str) -> Lifespan:
    if lifespan.is_async and not inspect.iscoroutinefunction(function):
        raise ProcessorError(
            f"{origin}: the parameter {name!r} lives on the event loop, as {lifespan.origin} is async:"
            " make the processor an async def"
        )
    return lifespan


def _adapter(annotation: Any, origin: str) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation)
    except (PydanticUserError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ProcessorError(f"{origin}: {type_name(annotation)} cannot be checked: {reason}") from None
