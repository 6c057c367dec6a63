"""Which processors want an event."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.routing import Route, route


@pytest.mark.parametrize(
    ("patterns", "event_type", "wanted"),
    [
        (("*",), "anything", True),
        (("*",), "", True),
        (("invoice.paid",), "invoice.paid", True),
        (("invoice.paid",), "Invoice.paid", False),  # types are compared as the provider writes them
        (("invoice.paid",), "invoice.paid.later", False),
        (("invoice.paid",), "an invoice.paid", False),
        (("invoice.*",), "invoice.paid", True),
        (("invoice.*",), "invoice", False),
        (("a", "b.*"), "b.c", True),
        (("v?",), "v1", True),
        (("[ab]",), "a", True),
        (("[",), "[", True),
        ((), "anything", False),
    ],
)
def test_matches_types_by_glob(patterns: tuple[str, ...], event_type: str, wanted: bool) -> None:
    assert Route("p", "s", patterns).wants("s", event_type) is wanted


def test_a_source_name_is_never_a_pattern() -> None:
    assert not Route("p", "*").wants("stripe", "x")
    assert not Route("p", "stripe").wants("stripe2", "x")


def test_names_every_processor_that_wants_it_in_order_of_registration() -> None:
    routes = [Route("b", "s"), Route("a", "s", ("x.*",)), Route("c", "s", ("y",)), Route("d", "t")]
    assert route(routes, "s", "x.1").processors == ("b", "a")
    assert route(routes, "t", "x.1").processors == ("d",)
    assert route(routes, "u", "x.1").processors == ()


@given(st.text(max_size=30), st.text(max_size=200))
def test_no_pattern_and_no_type_raises(pattern: str, event_type: str) -> None:
    Route("p", "s", (pattern,)).wants("s", event_type)
