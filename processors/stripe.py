"""Stripe: invoices, reminders, access, disputes.

Shown here: a payload model, two processors for one event, RetryAfter, Discard.
"""

from datetime import timedelta

from pydantic import BaseModel

from gateway.plugins import Discard, Event, Registry, RetryAfter
from processors import journal

registry = Registry()


class Invoice(BaseModel):
    """What we use of an invoice. Amounts in the currency's smallest unit."""

    id: str
    customer: str
    customer_name: str | None = None
    amount_paid: int
    currency: str


class InvoiceData(BaseModel):
    object: Invoice


class InvoicePaid(BaseModel):
    """The body of invoice.paid. A body that does not fit is a dead letter before we run."""

    data: InvoiceData


@registry.processor(source="stripe", events=["invoice.paid"])
def record_invoice(event: Event, paid: InvoicePaid) -> None:
    """The invoice in the books: once, however often this runs."""
    invoice = paid.data.object
    journal.record(
        "invoice",
        event.idempotency_key,
        invoice=invoice.id,
        customer=invoice.customer,
        amount=invoice.amount_paid,
        currency=invoice.currency,
    )


# A delivery of its own for the same event: when writing the letter fails, the books do not wait.
@registry.processor(source="stripe", events=["invoice.paid"])
def thank_customer(event: Event, paid: InvoicePaid) -> None:
    """A letter of thanks, unless nothing was paid."""
    invoice = paid.data.object
    if invoice.amount_paid == 0:
        return
    text = f"Dear {invoice.customer_name or 'customer'}, thank you: invoice {invoice.id} is paid."
    journal.record("letter", event.idempotency_key, customer=invoice.customer, text=text)


@registry.processor(source="stripe", events=["invoice.payment_failed"])
def dunning(event: Event) -> None:
    """A reminder, sterner when Stripe will not try again."""
    invoice = event.payload["data"]["object"]
    last = invoice["next_payment_attempt"] is None
    text = "Last reminder: please pay" if last else "We could not charge your card for"
    journal.record(
        "letter",
        event.idempotency_key,
        customer=invoice["customer"],
        text=f"{text} invoice {invoice['id']}.",
    )


@registry.processor(source="stripe", events=["customer.subscription.deleted"])
def revoke_access(event: Event) -> None:
    """Closes the account that our checkout named in the subscription's metadata."""
    subscription = event.payload["data"]["object"]
    account = subscription["metadata"].get("account_id")
    if account is None:
        # No later attempt will find one: say so now, and let a person look.
        raise Discard(f"{subscription['id']} has no metadata.account_id: revoke access by hand")
    journal.record("access_revoked", event.idempotency_key, account=account)


@registry.processor(source="stripe", events=["payment_intent.succeeded"])
def remember_charge(event: Event) -> None:
    """The charge behind a payment, for `open_dispute` to find; the charge's id is the key."""
    intent = event.payload["data"]["object"]
    journal.record("charge", intent["latest_charge"], payment=intent["id"])


@registry.processor(source="stripe", events=["charge.dispute.created"])
def open_dispute(event: Event) -> None:
    """A case to answer. Stripe keeps no order: the dispute may come before its payment."""
    dispute = event.payload["data"]["object"]
    if not journal.knows("charge", dispute["charge"]):
        raise RetryAfter(timedelta(seconds=30))
    journal.record("dispute", event.idempotency_key, charge=dispute["charge"], reason=dispute["reason"])
