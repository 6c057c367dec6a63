"""Typed payloads: what may be a type of one, and what is told of a payload that does not fit."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, field_validator
from typing_extensions import TypedDict

from gateway.plugins import Event, ProcessorError, Registry
from gateway.plugins.payload import PayloadMismatch, is_payload, type_name
from gateway.plugins.shapes import shape
from gateway.process import Ready
from tests.adapters.worker_rig import a_ready

CANARY = "Zwx7secret"


class Issue(BaseModel):
    id: int
    title: str


class Opened(BaseModel):
    action: Literal["opened"]
    issue: Issue


class Closed(BaseModel):
    action: Literal["closed"]
    amount: int | str = 0
    note: str = ""

    @field_validator("note")
    @classmethod
    def _refuse(cls, value: str) -> str:
        if value:
            raise ValueError(f"no note such as {value}")  # it quotes the value
        return value


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    prices: dict[str, int] = {}


@dataclass
class Order:
    number: int
    issue: Issue


class Cart(TypedDict):
    items: list[Issue]


Tagged = Annotated[Opened | Closed, Field(discriminator="action")]


def of_issue(event: Event, payload: Issue) -> None: ...
def of_either(event: Event, payload: Opened | Closed) -> None: ...
def of_closed(event: Event, payload: Closed) -> None: ...
def of_tagged(event: Event, payload: Tagged) -> None: ...
def of_strict(event: Event, payload: Strict) -> None: ...
def of_order(event: Event, payload: Order) -> None: ...
def of_cart(event: Event, payload: Cart) -> None: ...
def of_list(event: Event, payload: list[Issue]) -> None: ...


def mismatch(function: Callable[..., Any], payload: Any) -> str:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    with pytest.raises(PayloadMismatch) as error:
        a_ready(function, body=body).arguments()
    return str(error.value)


@pytest.mark.parametrize(
    ("function", "payload", "kind"),
    [
        (of_issue, {"id": 1, "title": "t"}, Issue),
        (of_either, {"action": "closed"}, Closed),
        (of_tagged, {"action": "opened", "issue": {"id": 1, "title": "t"}}, Opened),
        (of_order, {"number": 1, "issue": {"id": 1, "title": "t"}}, Order),
        (of_cart, {"items": []}, dict),
        (of_list, [{"id": 1, "title": "t"}], list),
    ],
)
def test_a_payload_is_an_object_of_its_type(
    function: Callable[..., Any], payload: Any, kind: type
) -> None:
    _, made = a_ready(function, body=json.dumps(payload).encode()).arguments()
    assert isinstance(made, kind)


A_STRING = "found a string of 10 characters"
MISMATCHES: list[tuple[Callable[..., Any], Any, list[str]]] = [
    (
        of_issue,
        {"id": CANARY, "title": 7},
        [
            f"Issue: id: expected a valid integer, {A_STRING}",
            "title: expected a valid string, found a whole number",
        ],
    ),
    (of_issue, {"title": "t"}, ["Issue: id: is missing; there is an object with key title"]),
    (of_issue, [], ["Issue: body: expected an object, found an empty array"]),
    (of_issue, b"\xff", ["Issue: body: expected JSON, found something else (expected value at line"]),
    (
        of_list,
        [{"id": None, "title": ""}],
        ["[0].id: expected a valid integer, found null"],
    ),
    (of_cart, {"items": [{"title": "t"}]}, ["Cart: items[0].id: is missing"]),
    (
        of_order,
        {"number": 1.5, "issue": {}},
        ["number: expected a valid integer, got a number with a fractional part, found a number"],
    ),
    (
        of_closed,
        {"action": "closed", "amount": {"a": 1}},
        ["amount: expected a valid integer or a valid string, found an object with key a"],
    ),
    (
        of_tagged,
        {"action": CANARY},
        ["body: expected 'action' to be one of 'opened', 'closed', found an object with key action"],
    ),
    (of_tagged, {"action": "opened"}, ["Opened | Closed: issue: is missing"]),
    (
        of_either,
        {"action": "opened", "issue": {"id": CANARY}},
        [
            "as Opened (the nearest of Opened, Closed): issue.id: expected a valid integer",
            "; issue.title: is missing; there is an object with key id",
        ],
    ),
    (of_strict, {CANARY: CANARY}, [f"Strict: …: expected no such key, {A_STRING}"]),
    (of_strict, {"prices": {CANARY: CANARY}}, [f"prices.…: expected a valid integer, {A_STRING}"]),
]


@pytest.mark.parametrize(("function", "payload", "told"), MISMATCHES)
def test_a_mismatch_tells_field_expectation_and_shape_and_never_a_value(
    function: Callable[..., Any], payload: Any, told: list[str]
) -> None:
    text = mismatch(function, payload)
    assert all(each in text for each in told), text
    assert CANARY not in text


def test_the_authors_own_check_is_named_by_its_line_for_its_words_may_quote_the_value() -> None:
    line = (
        inspect.getsource(Closed)
        .split("\n")
        .index('            raise ValueError(f"no note such as {value}")  # it quotes the value')
        + inspect.getsourcelines(Closed)[1]
    )
    text = mismatch(of_closed, {"action": "closed", "note": CANARY})
    assert text == (f"Closed: note: expected what the check at {__file__}:{line} accepts, {A_STRING}")


def test_ten_fields_are_told_and_the_rest_is_counted() -> None:
    text = mismatch(of_list, [{}] * 10)
    assert text.count("is missing") == 10
    assert text.endswith("; and 10 more")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(CANARY) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["action", "issue", "id", "title", "note", "items", "prices", CANARY, "opened"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
TYPED = (of_issue, of_either, of_closed, of_tagged, of_strict, of_order, of_cart, of_list)


@given(st.sampled_from(TYPED), JSON)
def test_any_json_fits_or_is_a_mismatch_without_a_value(
    function: Callable[..., Any], payload: Any
) -> None:
    ready = a_ready(function, body=json.dumps(payload).encode())
    told = ""
    try:
        ready.arguments()
    except PayloadMismatch as error:
        told = str(error)
    assert CANARY not in told


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true or false"),
        (7, "a whole number"),
        (0.5, "a number"),
        ("", "an empty string"),
        ("x", "a string of 1 character"),
        ([1, 2], "an array of 2 items"),
        ({}, "an empty object"),
        ({"id": 1, "address_line1": 2}, "an object with keys id, address_line1"),
        ({"cus_Nx12AbQ": 1}, "an object of 1 key"),
        ({"id": 1, "joe@example.com": 2}, "an object with keys id and 1 more"),
        (
            {f"{chr(97 + n)}": n for n in range(20)},
            "an object with keys a, b, c, d, e, f, g, h and 12 more",
        ),
        (Issue(id=1, title="t"), "a Python object of class Issue"),
    ],
)
def test_a_shape_is_a_type_and_a_size(value: Any, text: str) -> None:
    assert shape(value) == text


@pytest.mark.parametrize(
    "kind", [Issue, Order, Cart, Opened | Closed, Tagged, list[Issue], list[Opened | Closed]]
)
def test_models_dataclasses_and_typed_dicts_are_payloads(kind: Any) -> None:
    assert is_payload(kind)


@pytest.mark.parametrize(
    "kind", [dict, dict[str, Any], int, str, Any, None, Issue | None, list[int], list, len]
)
def test_other_types_are_none(kind: Any) -> None:
    assert not is_payload(kind)


def test_types_are_named_as_they_are_written() -> None:
    names = [type_name(each) for each in (Issue, Opened | Closed, Tagged, list[Issue], dict[str, Any])]
    assert names == ["Issue", "Opened | Closed", "Opened | Closed", "list[Issue]", "dict[str, Any]"]


def test_a_type_that_pydantic_cannot_check_is_refused_at_the_declaration() -> None:
    @dataclass
    class Holder:
        thing: Ready  # its fields are classes of no schema

    def process(event: Event, payload: Holder) -> None: ...

    process.__annotations__["payload"] = Holder
    with pytest.raises(ProcessorError, match=r"test_payloads.py:\d+: Holder cannot be checked: "):
        Registry().processor(source="s")(process)


# With a transform


def transformed(transform: Callable[[Event], Any], function: Callable[..., Any], body: bytes) -> Ready:
    from gateway.process import prepare
    from tests.adapters.worker_rig import a_claim

    registry = Registry()
    registry.transform(source="github")(transform)
    registry.processor(source="github", name="archive")(function)
    ready = prepare(a_claim(body=body), {"archive": registry.processors[0]}, 1.0)
    assert isinstance(ready, Ready)
    return ready


def test_what_a_transform_makes_is_the_payload_and_the_body_stays() -> None:
    body = b'{"data": {"id": 1, "title": "t"}}'
    event, issue = transformed(lambda event: event.payload["data"], of_issue, body).arguments()
    assert event.payload == {"id": 1, "title": "t"}
    assert event.body == body
    assert issue == Issue(id=1, title="t")


def test_a_transform_may_make_the_object_itself() -> None:
    made = Issue(id=1, title="t")
    _, issue = transformed(lambda event: made, of_issue, b"no json at all").arguments()
    assert issue is made


def test_what_a_transform_makes_may_not_fit_either() -> None:
    with pytest.raises(
        PayloadMismatch, match=r"Issue: title: is missing; there is an object with key id"
    ):
        transformed(lambda event: {"id": 1}, of_issue, b"{}").arguments()
