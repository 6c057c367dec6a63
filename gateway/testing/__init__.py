"""Public: what an author's tests need.

    def test_records_a_paid_invoice():
        record_invoice(make_event("stripe", "invoice.paid"))

    def test_githubs_push_reaches_it_once():
        request = signed_request("github", type="push")
        assert receive("github", request, request).outcomes == ["accepted", "duplicate"]

`make_event` makes an event, `run_delivery` takes it through every attempt to its end, `receive` sends a
request down the whole path: without a server, without a queue, without waiting.
"""

from gateway.fixture import Fixture, FixtureError
from gateway.testing.app import App, Received
from gateway.testing.clock import NOON, Clock
from gateway.testing.deliveries import run_delivery
from gateway.testing.events import make_event
from gateway.testing.loading import load_for_tests, this_deployment
from gateway.testing.receiving import receive
from gateway.testing.requests import SECRET, signed_request
from gateway.testing.results import AttemptResult, DeliveryResult, Emitted

__all__ = [
    "NOON",
    "SECRET",
    "App",
    "AttemptResult",
    "Clock",
    "DeliveryResult",
    "Emitted",
    "Fixture",
    "FixtureError",
    "Received",
    "load_for_tests",
    "make_event",
    "receive",
    "run_delivery",
    "signed_request",
    "this_deployment",
]
