"""The Stripe examples: books that count once, order that nobody promised, what cannot be done."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway import samples
from gateway.plugins import Discard, Event, RetryAfter
from processors import journal
from processors.stripe import (
    InvoicePaid,
    dunning,
    open_dispute,
    record_invoice,
    registry,
    remember_charge,
    revoke_access,
    thank_customer,
)


@pytest.fixture(autouse=True)
def _journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKLINE_JOURNAL_DIR", str(tmp_path))


def event_of(event_type: str, **changes: Any) -> Event:
    """The sample's event, with `changes` to the object that it is about."""
    payload = json.loads(samples.load("stripe", event_type).body)
    payload["data"]["object"].update(changes)
    return Event(
        id="evt_k7m4hs2w3cqvzt5yabn6dxre4u",
        source="stripe",
        type=event_type,
        provider_id=payload["id"],
        headers={},
        body=json.dumps(payload).encode(),
        received_at=datetime(2026, 11, 19, 7, 0, 17, tzinfo=UTC),
        processor="tested",
    )


def paid(event: Event) -> InvoicePaid:
    return InvoicePaid.model_validate(event.payload)


def test_a_paid_invoice_is_booked_once() -> None:
    event = event_of("invoice.paid")
    record_invoice(event, paid(event))
    record_invoice(event, paid(event))
    (booked,) = journal.entries("invoice")
    assert booked["invoice"].startswith("in_")
    assert (booked["amount"], booked["currency"]) == (4900, "gbp")


def test_the_customer_is_thanked_once() -> None:
    event = event_of("invoice.paid")
    thank_customer(event, paid(event))
    thank_customer(event, paid(event))
    (letter,) = journal.entries("letter")
    assert letter["text"].startswith("Dear Marigold Bakery, thank you")


def test_nobody_is_thanked_for_an_invoice_over_nothing() -> None:
    event = event_of("invoice.paid", amount_paid=0)
    thank_customer(event, paid(event))
    assert journal.entries("letter") == []


def test_an_invoice_without_a_customer_does_not_fit_the_model() -> None:
    with pytest.raises(ValidationError, match=r"data\.object\.customer"):
        paid(event_of("invoice.paid", customer=None))


@pytest.mark.parametrize(
    ("next_attempt", "tone"), [(1_795_252_840, "We could not charge"), (None, "Last reminder")]
)
def test_a_failed_payment_is_followed_by_one_reminder(next_attempt: int | None, tone: str) -> None:
    event = event_of("invoice.payment_failed", next_payment_attempt=next_attempt)
    dunning(event)
    dunning(event)
    (letter,) = journal.entries("letter")
    assert letter["text"].startswith(tone)


def test_a_deleted_subscription_closes_its_account_once() -> None:
    event = event_of("customer.subscription.deleted")
    revoke_access(event)
    revoke_access(event)
    assert journal.entries("access_revoked") == [{"account": "acc_2207"}]


def test_a_subscription_without_an_account_is_discarded_with_its_id() -> None:
    with pytest.raises(Discard, match=r"sub_\w+ has no metadata.account_id") as discarded:
        revoke_access(event_of("customer.subscription.deleted", metadata={}))
    assert "by hand" in discarded.value.reason


def test_a_dispute_waits_until_its_charge_is_known() -> None:
    event = event_of("charge.dispute.created")
    with pytest.raises(RetryAfter) as later:
        open_dispute(event)
    assert later.value.seconds == 30
    remember_charge(event_of("payment_intent.succeeded"))
    open_dispute(event)
    open_dispute(event)
    (dispute,) = journal.entries("dispute")
    assert dispute["reason"] == "product_not_received"


def test_two_processors_want_a_paid_invoice() -> None:
    wanted = [each.name for each in registry.processors if "invoice.paid" in each.events]
    assert wanted == ["record_invoice", "thank_customer"]
    assert all(each.model is InvoicePaid for each in registry.processors if each.name in wanted)
