"""What an author calls on an event besides reading it: `emit` and `once`."""

import asyncio
import json
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from gateway.core.event import INTERNAL
from gateway.core.outcomes import AttemptOutcome
from gateway.core.retry import Wait
from gateway.plugins import Event
from gateway.plugins.outbox import DEEPEST, MOST_EVENTS
from gateway.plugins.steps import MemorySteps, Outdated, Steps, StepsUnavailable
from gateway.process import conclude, prepare
from tests.adapters.worker_rig import AT_ONCE, a_claim, a_processor

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def an_event(**changes: Any) -> Event:
    values: dict[str, Any] = {"id": "evt_1", "source": "stripe", "type": "t", "provider_id": "1"}
    values |= {"headers": {}, "body": b"{}", "received_at": NOW, "delivery": "dlv_1-1"}
    return Event(**values | changes)


# emit


def test_what_is_emitted_is_kept_in_order_with_its_cause_and_its_depth() -> None:
    event = an_event()
    event.emit("invoice.booked", {"n": 1})
    event.emit("invoice.printed")
    first, second = event.outbox.events(5.0)
    assert (first.source, first.type, first.body) == (INTERNAL, "invoice.booked", b'{"n":1}')
    assert (second.type, second.body, second.received_at) == ("invoice.printed", b"null", 5.0)
    assert dict(first.headers)[b"hookline-cause"] == b"dlv_1-1"
    assert dict(first.headers)[b"hookline-depth"] == b"1"


def test_the_same_place_in_the_same_delivery_is_the_same_event_in_every_run() -> None:
    runs = [an_event(attempt=attempt) for attempt in (1, 2)] + [an_event(delivery="dlv_2-1")]
    for each in runs:
        each.emit("a")
        each.emit("a")
    ids = [[event.id for event in each.outbox.events(0.0)] for each in runs]
    assert ids[0] == ids[1] != ids[2]
    assert len(set(ids[0])) == 2


@pytest.mark.parametrize(
    ("type", "payload", "words"),
    [
        ("", {}, "1 to 200 printable characters"),
        ("x" * 201, {}, "1 to 200 printable characters"),
        ("a\nb", {}, "1 to 200 printable characters"),
        (7, {}, "1 to 200 printable characters"),
        ("a", {"at": NOW}, "must be JSON"),
        ("a", float("nan"), "must be JSON"),
        ("a", "x" * (256 * 1024), "262144 are the most"),
    ],
)
def test_a_wrong_use_is_refused_at_the_call_and_adds_nothing(
    type: Any, payload: Any, words: str
) -> None:
    event = an_event()
    with pytest.raises(ValueError, match=words):
        event.emit(type, payload)
    assert event.outbox.emitted == []


def test_an_attempt_emits_no_more_than_it_may() -> None:
    event = an_event()
    for _ in range(MOST_EVENTS):
        event.emit("a")
    with pytest.raises(ValueError, match="at most 100 events"):
        event.emit("a")
    large = an_event()
    for _ in range(16):
        large.emit("a", "x" * (255 * 1024))
    with pytest.raises(ValueError, match="bytes together"):
        large.emit("a", "x" * (255 * 1024))


def test_a_chain_comes_to_an_end() -> None:
    event, depth = an_event(), 0
    while depth < DEEPEST:
        event.emit("a")
        (emitted,) = event.outbox.events(0.0)
        headers = {name.decode(): value.decode() for name, value in emitted.headers}
        event, depth = an_event(source=INTERNAL, headers=headers), depth + 1
        assert event.depth == depth
    with pytest.raises(ValueError, match="number 16 of a chain"):
        event.emit("a")


def test_what_a_sender_says_about_the_depth_does_not_count() -> None:
    assert an_event(headers={"hookline-depth": "16"}).depth == 0


@pytest.mark.parametrize("error", [None, ValueError("no")])
def test_only_an_attempt_that_is_done_emits(error: Exception | None) -> None:
    def book(event: Event) -> None: ...

    claimed = a_claim("book")
    ready = prepare(claimed, {"book": a_processor(book)}, 1.0)
    assert not isinstance(ready, Exception)
    ready.event.emit("a")
    finish = conclude(
        claimed, error, AT_ONCE, jitter=0.0, seconds=0.0, at=NOW, outbox=ready.event.outbox
    )
    assert [each.type for each in finish.emitted] == ([] if error else ["a"])
    assert ready.event.outbox.cause == claimed.delivery


@pytest.mark.parametrize("error", [StepsUnavailable("away"), Outdated("lost")])
def test_what_is_no_fault_of_the_processor_is_no_reason_to_give_up(error: BaseException) -> None:
    def book(event: Event) -> None: ...

    processor = a_processor(book, retry_on=[KeyError])
    finish = conclude(
        a_claim("book"), error, AT_ONCE, jitter=0.0, seconds=0.0, at=NOW, processor=processor
    )
    assert (finish.outcome, type(finish.decision)) == (AttemptOutcome.FAILED, Wait)


# once


class Charge:
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, amount: int, *, currency: str = "eur") -> dict[str, Any]:
        self.calls += 1
        return {"id": self.calls, "of": (amount, currency)}

    async def later(self, amount: int) -> dict[str, Any]:
        await asyncio.sleep(0)
        return self(amount)


def test_a_step_runs_once_for_all_attempts_of_a_delivery() -> None:
    charge, steps = Charge(), MemorySteps()
    given = [
        an_event(steps=steps, attempt=attempt).once("charge", charge, 7, currency="usd")
        for attempt in (1, 2)
    ]
    assert given == [{"id": 1, "of": [7, "usd"]}] * 2, "the first run, too, sees what is recorded"
    assert charge.calls == 1


def test_an_async_step_is_awaited_and_runs_once() -> None:
    charge, steps = Charge(), MemorySteps()

    async def process(event: Event) -> Any:
        return await event.once("charge", charge.later, 7)

    given = [asyncio.run(process(an_event(steps=steps))) for _ in range(2)]
    assert given == [{"id": 1, "of": [7, "eur"]}] * 2
    assert asyncio.run(process(an_event(steps=steps))) == given[0]


@pytest.mark.parametrize("kind", ["lambda", "partial", "plain"])
def test_in_async_code_every_step_is_awaited_whatever_the_function_is(kind: str) -> None:
    charge = Charge()
    functions: dict[str, Any] = {
        "lambda": lambda amount: charge.later(amount=amount),
        "partial": partial(charge.later),
        "plain": charge,
    }

    async def process() -> Any:
        return await an_event().once("charge", functions[kind], 7)

    assert asyncio.run(process()) == {"id": 1, "of": [7, "eur"]}


def test_steps_that_run_beside_each_other_do_not_lose_one_another() -> None:
    steps = MemorySteps({"old": b"1"})

    async def process() -> list[Any]:
        event, charge = an_event(steps=steps), Charge()
        return await asyncio.gather(
            *(event.once(name, charge.later, 1) for name in ("a", "b")),
            event.once("old", charge.later, 1),
        )

    assert [each["id"] for each in asyncio.run(process())[:2]] == [1, 2]
    assert set(steps.recorded) == {"a", "b", "old"}


def test_a_step_that_fails_is_not_recorded() -> None:
    def fails() -> None:
        raise KeyError("x")

    steps = MemorySteps()
    with pytest.raises(KeyError):
        an_event(steps=steps).once("a", fails)
    assert an_event(steps=steps).once("a", lambda: 1) == 1


@pytest.mark.parametrize("name", ["", "a\n", "x" * 201, 7])
def test_a_step_needs_a_name(name: Any) -> None:
    with pytest.raises(ValueError, match="name of a step"):
        an_event().once(name, lambda: 1)


def test_a_name_stands_for_one_step_of_an_attempt() -> None:
    event = an_event()
    event.once("a", lambda: 1)
    with pytest.raises(ValueError, match="'a' was used in this attempt already"):
        event.once("a", lambda: 2)


@pytest.mark.parametrize("result", [NOW, {1, 2}, "x" * 65536])
def test_what_a_step_gives_must_be_json_that_is_not_too_long(result: Any) -> None:
    with pytest.raises(ValueError, match="what step 'a' gives"):
        an_event().once("a", lambda: result)


def test_an_author_who_catches_everything_does_not_catch_that_the_run_is_outdated() -> None:
    class Refuses(Steps):
        def load(self) -> "Future[Any]":
            return self.record("", b"{}")

        def record(self, name: str, value: bytes) -> "Future[Any]":
            future: Future[Any] = Future()
            if name:
                future.set_exception(Outdated("the lease was lost"))
            else:
                future.set_result(json.loads(value))
            return future

    def process(event: Event) -> None:
        with suppress(Exception):
            event.once("a", lambda: 1)

    with pytest.raises(Outdated):
        process(an_event(steps=Refuses()))
