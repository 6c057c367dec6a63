"""The kit that authors of processors test with."""

from datetime import timedelta

import pytest
from pydantic import BaseModel

from gateway.catalogue import load_preset
from gateway.core.outcomes import AttemptOutcome, DeadReason
from gateway.core.retry import Dead, Done, RetryPolicy, Wait
from gateway.core.verification import VerifiedRequest, verify
from gateway.plugins import Discard, Event, Registry, RetryAfter
from gateway.samples import UnknownSample
from gateway.testing import make_event, run_delivery, signed_request

registry = Registry()
seen: list[int] = []


class Invoice(BaseModel):
    id: str
    total: int


@registry.processor(source="test")
def third_time_lucky(event: Event) -> None:
    if event.attempt < 3:
        raise ConnectionError("busy")


@registry.processor(source="test")
async def asks_for_time(event: Event) -> None:
    raise RetryAfter(timedelta(minutes=5))


@registry.processor(source="test")
def refuses(event: Event) -> None:
    raise Discard("not for us")


@registry.processor(source="test")
def takes_an_invoice(event: Event, invoice: Invoice) -> None:
    seen.append(invoice.total)


def test_an_event_is_made_from_a_payload_a_body_or_a_sample() -> None:
    assert make_event("github", "push", {"ref": "main"}).payload == {"ref": "main"}
    assert make_event("github", "push", body=b"\xff").body == b"\xff"
    assert "repository" in make_event("github", "push").payload
    with pytest.raises(UnknownSample, match="push"):
        make_event("github", "no_such_type")


def test_the_same_event_has_the_same_key_for_every_attempt() -> None:
    first, second = (make_event("github", "push", {}, attempt=n, processor="p") for n in (1, 2))
    assert first.idempotency_key == second.idempotency_key
    assert first.idempotency_key != make_event("github", "push", {}, provider_id="2").idempotency_key


def test_a_delivery_runs_through_its_attempts_to_done() -> None:
    results = run_delivery(third_time_lucky, make_event("test", "x", {}), registry)
    assert [result.outcome for result in results] == ["failed", "failed", "done"]
    assert isinstance(results[0].decision, Wait)
    assert results[-1].decision == Done()
    assert results[0].error == "busy"


def test_a_delivery_that_never_works_ends_as_a_dead_letter() -> None:
    results = run_delivery(
        third_time_lucky, make_event("test", "x", {}), registry, policy=RetryPolicy(attempts=2)
    )
    assert results[-1].decision == Dead(DeadReason.EXHAUSTED)


def test_what_a_processor_asks_for_is_kept() -> None:
    (first, *_) = run_delivery(asks_for_time, make_event("test", "x", {}), registry)
    assert first.decision == Wait(300.0)
    assert first.outcome is AttemptOutcome.RETRY_ASKED
    (only,) = run_delivery(refuses, make_event("test", "x", {}), registry)
    assert only.decision == Dead(DeadReason.DISCARDED)


def test_a_payload_that_does_not_fit_names_the_field_and_not_the_value() -> None:
    run_delivery(takes_an_invoice, make_event("test", "x", {"id": "in_1", "total": 5}), registry)
    assert seen == [5]
    event = make_event("test", "x", {"id": "in_1", "total": "canary"})
    (only,) = run_delivery(takes_an_invoice, event, registry)
    assert only.decision == Dead(DeadReason.PAYLOAD_MISMATCH)
    assert "total" in only.error
    assert "canary" not in only.error


def test_a_function_that_is_not_registered_is_named() -> None:
    with pytest.raises(LookupError, match="make_event"):
        run_delivery(make_event, make_event("test", "x", {}), registry)


def test_a_signed_request_is_what_the_gate_believes() -> None:
    secret = b"whsec_0123456789abcdef"
    request = signed_request("stripe", secret, b'{"id": "evt_1"}', now=1e9, provider_id="evt_1")
    scheme = load_preset("stripe").verify.build()
    assert isinstance(verify(request, scheme, (scheme.load_key(secret),), 1e9), VerifiedRequest)
