"""A delivery through all of its attempts to its end, without a queue and without waiting."""

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from gateway.core.delivery import Claimed, Finish
from gateway.core.event import delivery_id
from gateway.core.retry import RetryPolicy, Wait
from gateway.isolated import opened, run_to_end
from gateway.plugins import Event, Processor, Registry
from gateway.plugins.lifespan import Lifespan
from gateway.plugins.steps import Steps
from gateway.process import Ready, conclude, prepare
from gateway.testing.clock import Clock
from gateway.testing.results import AttemptResult, DeliveryResult, attempt_result

DEFAULT_POLICY: Final = RetryPolicy()
MOST_RUNS: Final = 1000
NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})

Given = Mapping[Any, Any]


def run_delivery(
    processor: Callable[..., Any] | str,
    event: Event,
    registry: Registry | None = None,
    *,
    policy: RetryPolicy = DEFAULT_POLICY,
    jitter: float = 0.5,
    timeout: float = 10.0,
    clock: Clock | None = None,
    given: Given = NOTHING,
) -> DeliveryResult:
    """Every attempt until the delivery is done or dead; what it waits moves `clock` and nobody waits.

    `processor` is the function or its name, of `registry` or else of this deployment. The clock begins
    at the event's arrival. `given`: objects in the place of lifespans, by the type that those yield.
    `policy` is the source's, `jitter` in [0, 1) the share of a delay that is waited, `timeout` in
    seconds of one attempt where the processor does not say.

    Raises LookupError for what is not registered.
    """
    if registry is None:
        from gateway.testing.loading import this_deployment

        processors = list(this_deployment().processors.values())
    else:
        processors = registry.processors
    found = with_given(_registered(processor, processors), given)
    clock = clock or Clock(event.received_at)
    with opened(found):
        return _to_the_end(found, event, policy, jitter, timeout, clock)


def with_given(processor: Processor, given: Given) -> Processor:
    """The processor with objects in the place of lifespans. Raises LookupError for an unknown type."""
    known = {each.yields: each for each in processor.lifespans}
    if strange := [each for each in given if each not in known]:
        names = ", ".join(getattr(each, "__name__", str(each)) for each in strange)
        raise LookupError(f"{processor.name} has no lifespan that yields {names}")
    made = {known[each]: _held(known[each], value) for each, value in given.items()}
    return replace(
        processor,
        takes=tuple(
            made.get(each, each) if isinstance(each, Lifespan) else each for each in processor.takes
        ),
        lifespans=tuple(made.get(each, each) for each in processor.lifespans),
    )


def _held(lifespan: Lifespan, value: Any) -> Lifespan:
    return replace(lifespan, open=lambda: nullcontext(value), is_async=False)


def _registered(wanted: Callable[..., Any] | str, processors: list[Processor]) -> Processor:
    for processor in processors:
        if wanted in (processor.function, processor.name):
            return processor
    name = wanted if isinstance(wanted, str) else wanted.__name__
    known = ", ".join(sorted(each.name for each in processors)) or "none"
    raise LookupError(f"{name} is not in this registry; there are: {known}")


def _to_the_end(
    processor: Processor, event: Event, policy: RetryPolicy, jitter: float, timeout: float, clock: Clock
) -> DeliveryResult:
    results: list[AttemptResult] = []
    attempt, fence = event.attempt, event.fence
    while True:
        claimed = _claimed(event, processor.name, attempt, fence)
        finish = _attempt(claimed, processor, event.steps, policy, jitter, timeout, clock)
        results.append(attempt_result(attempt, finish, clock.now))
        if not isinstance(finish.decision, Wait):
            steps = {name: json.loads(text) for name, text in event.steps.load().result().items()}
            return DeliveryResult(processor.name, event.id, tuple(results), finish.emitted, steps)
        if len(results) == MOST_RUNS:
            raise AssertionError(f"{processor.name} still waits after {MOST_RUNS} runs: {results[-1]}")
        clock.advance(finish.decision.delay)
        attempt, fence = attempt + finish.decision.counted, fence + 1


def _claimed(event: Event, processor: str, attempt: int, fence: int) -> Claimed:
    return Claimed(
        delivery=event.delivery or delivery_id(event.id, 1),
        fence=fence,
        attempt=attempt,
        crashes=0,
        source=event.source,
        type=event.type,
        provider_id=event.provider_id,
        received_ms=int(event.received_at.timestamp() * 1000),
        processor=processor,
        event=event.id,
        headers=tuple(event.headers.items()),
        body=event.body,
    )


def _attempt(
    claimed: Claimed,
    processor: Processor,
    steps: Steps,
    policy: RetryPolicy,
    jitter: float,
    timeout: float,
    clock: Clock,
) -> Finish:
    ready = prepare(claimed, {processor.name: processor}, timeout, policy, steps)
    assert isinstance(ready, Ready)
    ended = run_to_end(ready)
    return conclude(
        claimed,
        ended.error,
        policy,
        jitter=jitter,
        seconds=ended.seconds,
        at=clock.now,
        processor=processor,
        outbox=ready.event.outbox,
    )
