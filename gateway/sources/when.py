"""The form of a condition (`when`) in a source's file, for editors.

It is not what checks one: `gateway/conditions.py` does, and says more of what is wrong.
"""

from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from gateway.catalogue import Strict

Scalar = str | bool | int | float
Ordered = str | int | float
Choices = Annotated[tuple[Scalar, ...], Field(min_length=1)]
Group = Annotated[tuple["Condition | str", ...], Field(min_length=1)]
Text = Annotated[str, Field(min_length=1)]


class Condition(Strict):
    """`field` with operators, which must all hold; or `all`, `any` or `not` of further conditions."""

    field: Text | None = None
    """A path into the JSON body (data.object.status, items.0.sku, labels.*.name; $.type for its own
    `type`), header:NAME, or type for the event's type."""
    equals: Scalar | None = None
    """The same value of the same kind: the text "1" is not the number 1."""
    not_equals: Scalar | None = None
    """Holds also where nothing is there."""
    in_: Choices | None = Field(None, alias="in")
    """One of these values."""
    not_in: Choices | None = None
    """None of these values; holds also where nothing is there."""
    exists: bool | None = None
    """Whether a value is there. Null counts as absent."""
    greater: Ordered | None = None
    """Numbers with numbers, text with text (dates of one form)."""
    less: Ordered | None = None
    at_least: Ordered | None = None
    at_most: Ordered | None = None
    starts_with: Text | None = None
    ends_with: Text | None = None
    contains: Scalar | None = None
    """A part of a text, or an element of a list."""
    matches: Text | None = None
    """A whole text, in which * stands for any run of characters, and everything else for itself."""
    all: Group | None = None
    """Every one of these conditions."""
    any: Group | None = None
    """At least one of these conditions."""
    not_: "Condition | str | None" = Field(None, alias="not")
    """This condition must not hold."""


class _Form:
    """Shows editors the table or the text of an expression, where anything may come in."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: CoreSchema, show: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        table = show(Condition.__pydantic_core_schema__)
        return {"anyOf": [table, {"type": "string", "description": "A CEL expression."}]}


When = Annotated[Any, _Form]
"""A condition as it stands in a file: a table, or the text of a CEL expression."""
