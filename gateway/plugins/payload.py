"""The type that a processor is annotated with, and the payload as an object of it."""

import dataclasses
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from gateway.plugins.mismatch import mismatches
from gateway.plugins.shapes import shortened


class PayloadMismatch(Exception):  # noqa: N818 - an outcome
    """The payload does not fit the type that the processor is annotated with."""

    def __init__(self, text: str, origin: str = "") -> None:
        self.origin = origin
        super().__init__(text)


@dataclass(frozen=True, slots=True, eq=False)
class Payload:
    """A parameter for the payload: `annotation` is its type. `origin`: of the processor."""

    annotation: Any
    adapter: TypeAdapter[Any]
    origin: str = ""

    @property
    def name(self) -> str:
        return type_name(self.annotation)

    def from_body(self, body: bytes, parsed: Callable[[], Any]) -> Any:
        """The body's JSON as an object. `parsed` tells what was found where it does not fit.

        Raises PayloadMismatch, which names fields and what was expected, and never a value.
        """
        try:
            return self.adapter.validate_json(body)
        except ValidationError as error:
            raise self._mismatch(error, parsed) from None

    def from_object(self, value: Any) -> Any:
        """What a transform made, as an object. Raises PayloadMismatch."""
        try:
            return self.adapter.validate_python(value)
        except ValidationError as error:
            raise self._mismatch(error, lambda: value) from None

    def _mismatch(self, error: ValidationError, parsed: Callable[[], Any]) -> PayloadMismatch:
        try:
            root = parsed()
        except ValueError:  # a body that is no JSON
            root = None
        text = f"{shortened(self.name)}: {'; '.join(mismatches(error, root))}"
        return PayloadMismatch(text, self.origin)


def is_payload(annotation: Any) -> bool:
    """Models, dataclasses and TypedDicts; unions and lists of them."""
    annotation = getattr(annotation, "__value__", annotation)  # type X = A | B
    origin = get_origin(annotation)
    if origin is Annotated:
        return is_payload(get_args(annotation)[0])
    if origin in (Union, types.UnionType, list):
        return all(is_payload(each) for each in get_args(annotation))
    kind = origin or annotation
    if not isinstance(kind, type):
        return False
    typed_dict = issubclass(kind, dict) and hasattr(kind, "__total__")
    return issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind) or typed_dict


def type_name(annotation: Any) -> str:
    """`Invoice`, `Opened | Closed`: for people."""
    name = getattr(annotation, "__name__", "")
    if isinstance(annotation, type) and name and not get_args(annotation):
        return str(name)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_name(arguments[0])
    if origin in (Union, types.UnionType):
        return " | ".join(map(type_name, arguments))
    if origin and arguments:
        return f"{type_name(origin)}[{', '.join(map(type_name, arguments))}]"
    return str(name or annotation)
