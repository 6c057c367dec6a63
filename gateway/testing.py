"""Public: what an author's tests need.

    def test_records_a_paid_invoice():
        record_invoice(make_event("stripe", "invoice.paid"))

`run_delivery` takes an event through every attempt to its end, without a queue and without waiting.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway import samples
from gateway.catalogue import load_preset
from gateway.core.delivery import Claimed, Finish
from gateway.core.event import event_id
from gateway.core.outcomes import AttemptOutcome
from gateway.core.request import InboundRequest
from gateway.core.retry import Dead, Decision, Done, RetryPolicy
from gateway.core.source import Source
from gateway.isolated import run_to_end
from gateway.plugins import Event, Processor, Registry
from gateway.process import Ready, conclude, prepare
from gateway.signing import Draft, new_event_id
from gateway.signing import signed_request as sign

__all__ = ["AttemptResult", "make_event", "run_delivery", "signed_request"]

DEFAULT_POLICY = RetryPolicy()
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make_event(
    source: str,
    type: str = "",
    payload: Any = None,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    provider_id: str = "1",
    attempt: int = 1,
    received_at: datetime = NOON,
    processor: str = "",
) -> Event:
    """An event as a processor gets it.

    With neither `payload` nor `body`, the sample of preset `source` for `type` is taken. Raises
    gateway.samples.UnknownSample when there is none.
    """
    if body is None:
        wanted = payload is not None
        body = json.dumps(payload).encode() if wanted else samples.load(source, type).body
    return Event(
        id=event_id(source, "id", provider_id.encode()),
        source=source,
        type=type,
        provider_id=provider_id,
        headers=dict(headers or {}),
        body=body,
        received_at=received_at,
        attempt=attempt,
        fence=attempt,
        processor=processor,
    )


def signed_request(
    preset: str,
    secret: bytes,
    body: bytes,
    *,
    now: float,
    type: str | None = None,
    provider_id: str | None = None,
    path: str = "/hooks/test",
    content_type: str = "application/json",
) -> InboundRequest:
    """The request that the preset's provider would send at `now` (Unix seconds)."""
    found = load_preset(preset)
    scheme = found.verify.build()
    source = Source(
        name="test",
        path=path,
        queue="test",
        scheme=scheme,
        keys=(scheme.load_key(secret),),
        identity=found.identity.build(),
    )
    draft = Draft(body, content_type, type, provider_id or new_event_id(preset))
    return sign(source, draft, now)


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """One attempt: how it ended and what was decided."""

    attempt: int
    outcome: AttemptOutcome
    decision: Decision | None
    error: str = ""


def run_delivery(
    processor: Callable[..., Any],
    event: Event,
    registry: Registry,
    *,
    policy: RetryPolicy = DEFAULT_POLICY,
    jitter: float = 0.5,
    timeout: float = 10.0,
) -> list[AttemptResult]:
    """Every attempt until the delivery is done or dead; delays are decided but not waited for."""
    registered = _registered(processor, registry)
    results: list[AttemptResult] = []
    for attempt in range(1, policy.attempts + 1):
        claimed = _claimed(event, registered.name, attempt)
        finish = _attempt(claimed, registered, policy, jitter, timeout)
        note = json.loads(finish.error)["message"] if finish.error else ""
        results.append(AttemptResult(attempt, finish.outcome, finish.decision, note))
        if isinstance(finish.decision, Done | Dead):
            break
    return results


def _registered(function: Callable[..., Any], registry: Registry) -> Processor:
    for processor in registry.processors:
        if processor.function is function:
            return processor
    raise LookupError(f"{function.__name__} is not in this registry")


def _claimed(event: Event, processor: str, attempt: int) -> Claimed:
    return Claimed(
        delivery="dlv_test-1",
        fence=attempt,
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
    claimed: Claimed, processor: Processor, policy: RetryPolicy, jitter: float, timeout: float
) -> Finish:
    ready = prepare(claimed, {processor.name: processor}, timeout)
    assert isinstance(ready, Ready)
    ended = run_to_end(ready)
    return conclude(claimed, ended.error, policy, jitter=jitter, seconds=ended.seconds, at=NOON)
