"""What a team writes: declared with a decorator that changes nothing, and refused with a place."""

import inspect
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from gateway.core.routing import Route
from gateway.plugins import Discard, Event, Processor, ProcessorError, Registry, RetryAfter

HERE = re.escape(str(Path(__file__)))


class Invoice(BaseModel):
    number: str


def event(**more: Any) -> Event:
    fields: dict[str, Any] = {
        "id": "evt_1",
        "source": "stripe",
        "type": "invoice.paid",
        "provider_id": "in_1",
        "headers": {},
        "body": b'{"number": "7"}',
        "received_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Event(**fields | more)


def declared(function: Callable[..., Any], **options: Any) -> Processor:
    registry = Registry()
    registry.processor(source="s", **options)(function)
    (processor,) = registry.processors
    return processor


def refused(function: Callable[..., Any], **options: Any) -> str:
    with pytest.raises(ProcessorError) as error:
        declared(function, **options)
    return str(error.value)


# The decorator


def test_the_decorator_returns_the_function_itself_so_that_a_test_is_a_plain_call() -> None:
    def record(event: Event, invoice: Invoice) -> None:
        raise Discard(f"{event.id} {invoice.number}")

    assert Registry().processor(source="stripe")(record) is record
    with pytest.raises(Discard, match="evt_1 7"):
        record(event(), Invoice(number="7"))


def test_a_processor_is_registered_with_what_the_decorator_says() -> None:
    registry = Registry()

    @registry.processor(source="stripe", events=["invoice.*"], name="old", timeout=timedelta(minutes=2))
    def new(event: Event) -> None: ...

    @registry.processor(source="github", timeout=0.5)
    async def other(event: Event) -> None: ...

    first, second = registry.processors
    assert (first.name, first.source, first.events) == ("old", "stripe", ("invoice.*",))
    assert (first.timeout, first.model, first.is_async) == (120.0, None, False)
    assert first.function is new
    assert first.route == Route("old", "stripe", ("invoice.*",))
    assert (second.name, second.events, second.timeout, second.is_async) == ("other", ("*",), 0.5, True)


def test_an_origin_is_the_file_and_the_line_of_the_function() -> None:
    def here(event: Event) -> None: ...

    line = inspect.getsourcelines(here)[1]
    assert declared(here).origin == f"{__file__}:{line}"


def test_two_processors_of_one_name_are_refused_naming_both_places() -> None:
    registry = Registry()

    def one(event: Event) -> None: ...

    def two(event: Event) -> None: ...

    registry.processor(source="s", name="same")(one)
    with pytest.raises(ProcessorError) as error:
        registry.processor(source="s", name="same")(two)
    lines = [inspect.getsourcelines(each)[1] for each in (two, one)]
    places = rf"{HERE}:{lines[0]}: the name 'same' is taken by {HERE}:{lines[1]}; give one .* name="
    assert re.match(places, str(error.value))
    assert [each.function for each in registry.processors] == [one]


def test_one_function_may_serve_several_sources_under_several_names() -> None:
    registry = Registry()

    @registry.processor(source="b", name="for-b")
    @registry.processor(source="a", name="for-a")
    def both(event: Event) -> None: ...

    assert [(each.name, each.source) for each in registry.processors] == [
        ("for-a", "a"),
        ("for-b", "b"),
    ]


# The payload's model


def test_the_second_parameter_names_the_payloads_model() -> None:
    def plain(event: Event) -> None: ...

    def with_model(event: Event, invoice: Invoice) -> None: ...

    def in_quotes(event: "Event", invoice: "Invoice") -> None: ...

    async def with_default(event: Event, invoice: Invoice = Invoice(number="")) -> None: ...  # noqa: B008

    models = [declared(each).model for each in (plain, with_model, in_quotes, with_default)]
    assert models == [None, Invoice, Invoice, Invoice]


def test_an_annotation_that_means_nothing_is_refused_saying_where_the_model_belongs() -> None:
    def lost(event: Event, invoice: "Nowhere") -> None:  # type: ignore[name-defined]  # noqa: F821
        ...

    message = refused(lost)
    assert re.match(rf"{HERE}:\d+: name 'Nowhere' is not defined", message)
    assert "define the payload's model at module level, above the processor" in message


def _dictionary(event: Event, invoice: dict[str, Any]) -> None: ...
def _optional(event: Event, invoice: Invoice | None) -> None: ...
def _bare(event, invoice): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize("function", [_dictionary, _optional, _bare])
def test_a_second_parameter_of_another_kind_is_refused(function: Callable[..., Any]) -> None:
    message = refused(function)
    assert re.match(rf"{HERE}:\d+: the second parameter must be annotated with a pydantic", message)


@pytest.mark.parametrize(
    "function",
    [
        lambda: None,
        lambda a, b, c: None,
        lambda *events: None,
        lambda *, event: None,
        lambda event, **more: None,
    ],
)
def test_parameters_that_an_attempt_could_not_fill_are_refused(function: Callable[..., Any]) -> None:
    message = refused(function)
    assert re.match(rf"{HERE}:\d+: a processor takes \(event\) or \(event, payload: Model\)", message)
    assert message.endswith(f"not {inspect.signature(function)}")


@pytest.mark.parametrize("events", [(), [], [""], ["a", ""]])
def test_a_processor_for_no_event_is_refused(events: list[str]) -> None:
    assert "at least one event type" in refused(lambda event: None, events=events)


def test_a_single_text_for_events_is_refused_because_it_is_a_list_of_letters() -> None:
    assert "events must be a list: ['invoice.paid']" in refused(
        lambda event: None, events="invoice.paid"
    )


def _yielding(event: Event) -> Any:
    yield


async def _yielding_later(event: Event) -> Any:
    yield


@pytest.mark.parametrize("function", [_yielding, _yielding_later])
def test_a_function_whose_body_would_never_run_is_refused(function: Callable[..., Any]) -> None:
    assert "would never run" in refused(function)


@pytest.mark.parametrize("function", [print, Registry(), partial(_yielding)])
def test_what_is_no_function_is_refused(function: Callable[..., Any]) -> None:
    assert "is no function" in refused(function)


@pytest.mark.parametrize("timeout", [0, -1, math.nan, timedelta(0), timedelta(seconds=-1)])
def test_a_timeout_that_leaves_no_time_is_refused(timeout: float | timedelta) -> None:
    assert "timeout must be more than 0" in refused(lambda event: None, timeout=timeout)


# What a processor is given, and what it may raise


def test_the_idempotency_key_is_the_same_for_every_attempt_and_differs_by_processor() -> None:
    first = event(processor="a", attempt=1, fence=1)
    assert first.idempotency_key == event(processor="a", attempt=5, fence=9).idempotency_key
    assert first.idempotency_key != event(processor="b").idempotency_key
    assert event().idempotency_key == "evt_1"


def test_a_payload_is_the_body_as_json_parsed_once() -> None:
    one = event()
    assert one.payload == {"number": "7"}
    assert one.payload is one.payload


@pytest.mark.parametrize("body", [b"", b"a=1", b"{", b"\xff", b"[" * 100_000, b"9" * 5000])
def test_a_body_that_is_no_json_raises_a_value_error_and_nothing_else(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        _ = event(body=body).payload


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        event().type = "other"  # type: ignore[misc]


def test_asking_for_a_later_attempt_takes_seconds_or_a_timedelta() -> None:
    assert RetryAfter(90).seconds == RetryAfter(timedelta(minutes=1.5)).seconds == 90.0
    assert str(RetryAfter(0.5)) == "retry after 0.5 s"
    assert Discard("no such customer").reason == "no such customer"


@pytest.mark.parametrize("delay", [-1, math.nan, math.inf, timedelta(seconds=-1)])
def test_a_delay_that_is_no_time_is_refused_in_the_processor_itself(delay: float | timedelta) -> None:
    with pytest.raises(ValueError, match="finite delay"):
        RetryAfter(delay)
