"""What every model of a file shares."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.core.template import Reference, Template, TemplateError, compile_template, reference_of

Options = Mapping[str, bytes]
NO_OPTIONS: Final[Options] = MappingProxyType({})


class Strict(BaseModel):
    """Unknown keys are refused: a mistyped key must never be a silently missing protection."""

    # No input in errors: what stands in the wrong place may be a secret.
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )


def check_place(value: str) -> str:
    try:
        reference_of(value)
    except TemplateError as error:
        problem, _, known = str(error).partition("; known: ")
        raise ValueError(f"{problem} → write a place such as header.X-Id; known: {known}") from None
    return value


def _listed(value: object) -> object:
    """One or several: a single text stands for a list of it."""
    return (value,) if isinstance(value, str) else value


# What RFC 9110 calls a token: any other name would never match, and so never be found.
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
Text = Annotated[str, Field(min_length=1)]
Place = Annotated[str, BeforeValidator(check_place)]
Headers = Annotated[tuple[HeaderName, ...], BeforeValidator(_listed), Field(min_length=1)]
Places = Annotated[tuple[Place, ...], BeforeValidator(_listed), Field(min_length=1)]


def places(headers: Iterable[str] | None, at: Iterable[str] | None) -> tuple[Reference, ...]:
    """The places that `header` and `at` of a table name."""
    named = tuple(Reference("header", name.lower()) for name in headers or ())
    return named + tuple(reference_of(each) for each in at or ())


def template(text: str, options: Options) -> Template:
    return compile_template(text).bind(options)


def bound_text(text: str, options: Options) -> bytes:
    """A text that may name options and nothing else; what is not given is as good as empty."""
    parts = template(text, options).parts
    return b"".join(part for part in parts if isinstance(part, bytes))
