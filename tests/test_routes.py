"""Routing of a deployment: who takes an event, and in which order."""

from typing import Any

import pytest

from gateway.core.event import INTERNAL, Event
from gateway.plugins import Processor, ProcessorError, Registry
from gateway.routes import build_router


def an_event(body: bytes = b'{"customer": "cus_1"}', type: str = "paid") -> Event:
    return Event("evt_1", "stripe", type, "1", (), body, 0.0)


def processors(**options: dict[str, Any]) -> dict[str, Processor]:
    registry = Registry()
    for name, more in options.items():
        registry.processor(source="stripe", name=name, **more)(lambda event: None)
    return {each.name: each for each in registry.processors}


def test_those_that_keep_an_order_get_a_turn_each() -> None:
    route = build_router(
        processors(
            free={},
            lined={"order_by": "customer", "on_dead": "block"},
            newest={"order_by": "customer", "latest_only": True},
        )
    )
    routing = route(an_event())
    assert routing.processors == ("free", "lined", "newest")
    assert [(each.number, each.blocks, each.version) for each in routing.turns] == [
        (2, True, ""),
        (3, False, "a"),
    ]


def test_a_turn_has_the_number_that_its_processor_has_after_filtering() -> None:
    never = {"field": "customer", "equals": "nobody"}
    route = build_router(processors(out={"when": never}, lined={"order_by": "customer"}))
    routing = route(an_event())
    assert (routing.processors, routing.turns[0].number) == (("lined",), 1)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"customer": null}', b"\xff"])
def test_a_body_without_a_place_in_line_is_routed_without_one(body: bytes) -> None:
    routing = build_router(processors(lined={"order_by": "customer"}))(an_event(body))
    assert (routing.processors, routing.turns) == (("lined",), ())


def test_the_body_is_parsed_only_where_somebody_needs_it() -> None:
    """And once, whoever does."""
    parsed: list[int] = []

    def parse() -> Any:
        parsed.append(1)
        return {"customer": 1}

    route = build_router(
        processors(
            free={},
            one={"events": ["paid"], "order_by": "customer"},
            two={"events": ["paid"], "order_by": "customer"},
        )
    )
    assert route(an_event(type="other"), parse).turns == ()
    assert parsed == []
    assert len(route(an_event(), parse).turns) == 2
    assert parsed == [1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order_by": "a..b"}, "order_by: 'a..b' has an empty step"),
        ({"on_dead": "block"}, "on_dead needs order_by"),
        ({"order_by": "a", "version": "b"}, "needs latest_only=True"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_place(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ProcessorError) as caught:
        processors(wrong=options)
    assert words in str(caught.value)
    assert f"{__file__}:" in str(caught.value)


def test_emitted_events_are_routed_as_all_others() -> None:
    registry = Registry()
    registry.processor(source=INTERNAL, events=["booked"], name="mail")(lambda event: None)
    route = build_router({each.name: each for each in registry.processors})
    emitted = Event("evt_1", INTERNAL, "booked", "", (), b"{}", 0.0)
    assert route(emitted).processors == ("mail",)
