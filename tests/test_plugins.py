"""What a team writes: declared with a decorator that changes nothing, and refused with a place."""

import inspect
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from gateway.core.retry import RetryPolicy
from gateway.core.routing import Route
from gateway.plugins import (
    Defer,
    Discard,
    Event,
    Processor,
    ProcessorError,
    Registry,
    Retry,
    RetryAfter,
)

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
    assert "define the payload's type at module level, above the processor" in message


def _dictionary(event: Event, invoice: dict[str, Any]) -> None: ...
def _optional(event: Event, invoice: Invoice | None) -> None: ...
def _bare(event, invoice): ...  # type: ignore[no-untyped-def]
def _plain_class(event: Event, invoice: Path) -> None: ...


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (_dictionary, "with dict[str, Any]"),
        (_optional, "with Invoice | NoneType"),
        (_bare, "with nothing"),
        (_plain_class, "with Path"),
    ],
)
def test_a_further_parameter_of_another_kind_is_refused(
    function: Callable[..., Any], said: str
) -> None:
    message = refused(function)
    assert re.match(rf"{HERE}:\d+: the parameter 'invoice' is annotated ", message)
    assert f"annotated {said}: annotate it with the payload's type" in message
    assert "what a lifespan of this registry, declared above, yields" in message


@pytest.mark.parametrize(
    "function",
    [
        lambda: None,
        lambda *events: None,
        lambda *, event: None,
        lambda event, **more: None,
    ],
)
def test_parameters_that_an_attempt_could_not_fill_are_refused(function: Callable[..., Any]) -> None:
    message = refused(function)
    assert re.match(rf"{HERE}:\d+: a processor takes \(event\), and after it a payload", message)
    assert message.endswith(f"not {inspect.signature(function)}")


def test_there_is_one_payload() -> None:
    def two(event: Event, invoice: Invoice, other: Invoice) -> None: ...

    assert "there is one payload, and two parameters" in refused(two)


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


# When it is tried again


def test_what_to_retry_on_and_what_to_give_up_on_is_kept_one_class_or_several() -> None:
    one = declared(lambda event: None, retry_on=ConnectionError, give_up_on=[LookupError, TypeError])
    assert (one.retry_on, one.give_up_on) == ((ConnectionError,), (LookupError, TypeError))


@pytest.mark.parametrize(
    ("retry_on", "give_up_on"),
    [(OSError, OSError), (OSError, FileNotFoundError), (FileNotFoundError, OSError)],
)
def test_one_family_in_both_is_refused(retry_on: type, give_up_on: type) -> None:
    message = refused(lambda event: None, retry_on=[retry_on], give_up_on=[ValueError, give_up_on])
    assert re.match(
        rf"{HERE}:\d+: {give_up_on.__name__} of give_up_on and {retry_on.__name__}", message
    )


@pytest.mark.parametrize("kind", ["ConnectionError", ValueError("x"), int, BaseException, SystemExit])
def test_what_is_no_class_of_exceptions_is_refused(kind: Any) -> None:
    assert "give_up_on names classes of exceptions" in refused(lambda event: None, give_up_on=[kind])


@pytest.mark.parametrize("kind", [RetryAfter, Defer, Discard])
def test_what_says_itself_what_happens_is_refused_as_a_class_to_retry_on(kind: type) -> None:
    message = refused(lambda event: None, retry_on=kind)
    assert f"retry_on has {kind.__name__}, which says itself what happens" in message


def test_a_processors_retry_goes_over_its_sources() -> None:
    source = RetryPolicy(attempts=8, first_delay=10.0, factor=3.0, longest_delay=3600.0)
    assert Retry().over(source) == source
    assert Retry(attempts=2).over(source) == RetryPolicy(2, 10.0, 3.0, 3600.0)
    own = Retry(first_delay=timedelta(minutes=1), factor=2, longest_delay=90).over(source)
    assert own == RetryPolicy(8, 60.0, 2, 90.0)


def test_a_schedule_is_the_delays_themselves_and_its_last_goes_on() -> None:
    policy = Retry(schedule=[1, timedelta(minutes=1), 600]).over(RetryPolicy())
    assert policy.attempts == 4
    assert [policy.delay(attempt, 0.25) for attempt in (1, 2, 3, 9)] == [1.0, 60.0, 600.0, 600.0]
    assert Retry(attempts=9, schedule=[1]).over(RetryPolicy()).attempts == 9


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"attempts": 0}, "attempts must be from 1 to 100"),
        ({"attempts": 101}, "attempts must be from 1 to 100"),
        ({"factor": 0.5}, "factor must be from 1 to 10"),
        ({"first_delay": -1}, "a delay must be from 0 seconds to 365 days"),
        ({"longest_delay": timedelta(days=366)}, "a delay must be"),
        ({"schedule": [1, math.nan]}, "a delay must be"),
        ({"schedule": ["1m"]}, "a delay must be"),
        ({"schedule": [1], "factor": 2}, "leave the growing ones out"),
    ],
)
def test_a_retry_that_cannot_be_is_refused_where_it_is_made(options: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Retry(**options)


def test_a_condition_that_is_no_condition_is_refused_with_the_place() -> None:
    message = refused(lambda event: None, when={"field": "action", "equal": "opened"})
    assert re.match(rf"{HERE}:\d+: when", message)
    good = declared(lambda event: None, when={"field": "action", "equals": "opened"})
    assert str(good.when) == 'action equals "opened"'


# Lifespans and transforms


class Database:
    """What a lifespan yields."""


@contextmanager
def open_database() -> Iterator[Database]:
    yield Database()


def bare() -> Iterator[Database]:
    yield Database()


async def open_later() -> AsyncIterator[Database]:
    yield Database()


def prepare_all() -> Iterator[None]:
    yield


@pytest.mark.parametrize("function", [open_database, bare])
def test_a_parameter_gets_what_a_lifespan_of_its_type_yields(function: Callable[..., Any]) -> None:
    registry = Registry()
    assert registry.lifespan(function) is function

    @registry.processor(source="s")
    def keep(event: Event, database: Database, invoice: Invoice) -> None: ...

    (lifespan,), (processor,) = registry.lifespans, registry.processors
    assert (lifespan.yields, lifespan.is_async) == (Database, False)
    assert processor.takes[0] is lifespan
    assert processor.model is Invoice
    assert processor.lifespans == (lifespan,)
    assert lifespan.origin == f"{__file__}:{inspect.getsourcelines(function)[1]}"


def test_a_lifespan_that_yields_nothing_is_open_for_every_processor_below_it() -> None:
    registry = Registry()
    registry.processor(source="s", name="above")(lambda event: None)
    registry.lifespan(prepare_all)
    registry.lifespan(open_database)
    registry.processor(source="s", name="below")(lambda event: None)
    above, below = registry.processors
    assert [each.name for each in below.lifespans] == ["prepare_all"]
    assert not above.lifespans


def test_what_lives_on_the_event_loop_is_for_async_processors_only() -> None:
    registry = Registry()
    registry.lifespan(open_later)

    @registry.processor(source="s")
    async def good(event: Event, database: Database) -> None: ...

    def bad(event: Event, database: Database) -> None: ...

    with pytest.raises(ProcessorError, match=r"'database' lives on the event loop, as .*: make the"):
        registry.processor(source="s")(bad)


def _returns() -> Database:
    return Database()


def _unsaid():  # type: ignore[no-untyped-def]
    yield Database()


def _anything() -> Iterator[Any]:
    yield Database()


def _with_parameter(url: str) -> Iterator[Database]:
    yield Database()


def _lost() -> "Iterator[Nowhere]":  # type: ignore[name-defined]  # noqa: F821
    yield


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (_returns, "opens, yields what it opened, and closes"),
        (_unsaid, r"say what the lifespan yields, a type of its own: -> Iterator\[Database\]"),
        (_anything, "say what the lifespan yields"),
        (_with_parameter, "takes no parameters"),
        (_lost, "name 'Nowhere' is not defined: define what it yields above"),
        (print, "is no function"),
    ],
)
def test_a_lifespan_that_could_not_be_opened_is_refused(function: Callable[..., Any], why: str) -> None:
    with pytest.raises(ProcessorError, match=why):
        Registry().lifespan(function)


def test_two_lifespans_of_one_type_are_refused_naming_both_places() -> None:
    registry = Registry()
    registry.lifespan(open_database)
    first, second = (inspect.getsourcelines(each)[1] for each in (open_database, bare))
    with pytest.raises(ProcessorError, match=rf"{HERE}:{second}: {HERE}:{first} yields the same type"):
        registry.lifespan(bare)


def test_a_lifespan_below_the_processor_that_takes_it_is_refused_naming_both_places() -> None:
    """Of a type that could be a payload's: else the processor itself is refused."""
    registry = Registry()

    @registry.processor(source="s")
    def early(event: Event, invoice: Invoice) -> None: ...

    def late() -> Iterator[Invoice]:
        yield Invoice(number="1")

    with pytest.raises(ProcessorError, match=rf"{HERE}:\d+: takes what the lifespan {HERE}:\d+ yields"):
        registry.lifespan(late)


def test_a_transform_is_of_the_processors_of_its_source_below_it() -> None:
    registry = Registry()
    registry.processor(source="other", name="other")(lambda event: None)

    @registry.transform(source="github")
    def flatten(event: Event) -> Any:
        return event.payload["data"]

    registry.processor(source="github", name="one")(lambda event: None)
    other, one = registry.processors
    assert other.transform is None
    assert one.transform is registry.transforms[0]
    assert flatten(event(body=b'{"data": 1}')) == 1


def test_two_transforms_of_one_source_are_refused_naming_both_places() -> None:
    registry = Registry()
    registry.transform(source="s")(lambda event: 1)
    with pytest.raises(ProcessorError, match=rf"{HERE}:\d+: {HERE}:\d+ transforms the events of 's'"):
        registry.transform(source="s")(lambda event: 2)


def test_a_transform_below_a_processor_of_its_source_is_refused_naming_both_places() -> None:
    registry = Registry()
    registry.processor(source="s")(lambda event: None)
    with pytest.raises(ProcessorError, match=rf"{HERE}:\d+: stands above the transform .*{HERE}:\d+"):
        registry.transform(source="s")(lambda event: 1)


async def _async_transform(event: Event) -> Any: ...


@pytest.mark.parametrize("function", [_async_transform, _yielding, lambda: 1, lambda a, b: 1, print])
def test_a_transform_of_another_kind_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(ProcessorError):
        Registry().transform(source="s")(function)


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


def test_the_last_attempt_is_known_where_the_budget_is() -> None:
    assert [event(attempt=number, attempts=3).last_attempt for number in (1, 2, 3, 4)] == [
        *(False, False),
        *(True, True),
    ]
    assert not event(attempt=9).last_attempt


def test_the_age_is_counted_from_the_arrival() -> None:
    assert event().age(datetime(2026, 1, 1, 0, 5, tzinfo=UTC)) == timedelta(minutes=5)


def test_deferring_takes_a_time_or_how_long() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert Defer(timedelta(hours=1)).seconds_from(now) == 3600.0
    assert (
        Defer(datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=1)))).seconds_from(now) == 3600
    )
    assert str(Defer(timedelta(hours=1))) == "deferred for 1:00:00"
    assert str(Defer(now)) == "deferred until 2026-01-01 12:00:00+00:00"


@pytest.mark.parametrize("until", [timedelta(seconds=-1), datetime(2026, 1, 1), 60, "tomorrow"])
def test_deferring_to_no_point_in_time_is_refused_in_the_processor_itself(until: Any) -> None:
    with pytest.raises(ValueError, match="Defer takes a datetime"):
        Defer(until)


@pytest.mark.parametrize("delay", [-1, math.nan, math.inf, timedelta(seconds=-1)])
def test_a_delay_that_is_no_time_is_refused_in_the_processor_itself(delay: float | timedelta) -> None:
    with pytest.raises(ValueError, match="finite delay"):
        RetryAfter(delay)
