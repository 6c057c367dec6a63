"""The providers' own libraries agree: they accept what we sign, and we accept what they sign."""

import base64
from datetime import UTC, datetime

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import Clock, SignatureVerifier
from standardwebhooks import Webhook, WebhookVerificationError

from gateway.core.outcomes import Refusal
from gateway.core.request import InboundRequest
from gateway.core.verification import VerifiedRequest, verify

from .examples import NOW, SCHEMES, header, request

STRIPE, SLACK, STANDARD = SCHEMES["stripe"], SCHEMES["slack"], SCHEMES["standard-webhooks"]
SLACK_TIME = b"x-slack-request-timestamp"

bodies = st.text().map(str.encode)  # the libraries take text
# Printable, and no library strips it: providers' secrets are random letters.
texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=64)
raw_keys = st.binary(min_size=24, max_size=64)
ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


def judge(name: str, incoming: InboundRequest, secret: str, now: float = NOW) -> object:
    scheme = SCHEMES[name]
    found = verify(incoming, scheme, [scheme.load_key(secret.encode())], now)
    return "accepted" if isinstance(found, VerifiedRequest) else found


def changed(body: bytes) -> bytes:
    """One byte longer or one bit different."""
    return body[:-1] + bytes([body[-1] ^ 1]) if body else b"\x01"


class FixedClock(Clock):
    def now(self) -> float:
        return NOW


# Stripe


@given(bodies, texts)
def test_accepts_what_stripe_signs_and_refuses_it_changed(body: bytes, secret: str) -> None:
    text = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, int(NOW))
    name = b"stripe-signature"
    assert judge("stripe", request((name, text.encode()), body=body), secret) == "accepted"
    incoming = request((name, text.encode()), body=changed(body))
    assert judge("stripe", incoming, secret) is Refusal.SIGNATURE_MISMATCH
    assert judge("stripe", request((name, text.encode()), body=body), secret + "x") is (
        Refusal.SIGNATURE_MISMATCH
    )
    later = text.replace(f"t={int(NOW)}", f"t={int(NOW) + 1}")
    assert judge("stripe", request((name, later.encode()), body=body), secret) is (
        Refusal.SIGNATURE_MISMATCH
    )


@given(bodies, texts)
def test_stripe_accepts_what_we_sign_and_refuses_it_changed(body: bytes, secret: str) -> None:
    outgoing = STRIPE.sign(request(body=body), STRIPE.load_key(secret.encode()), NOW)
    text = header(outgoing, b"stripe-signature").decode()
    assert stripe.WebhookSignature.verify_header(body.decode(), text, secret)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(body.decode() + " ", text, secret)


def test_stripe_makes_its_event_of_a_request_that_we_signed_just_now() -> None:
    body, secret = b'{"id": "evt_1", "object": "event", "type": "invoice.paid"}', "whsec_" + "ab" * 16
    now = datetime.now(UTC).timestamp()
    outgoing = STRIPE.sign(request(body=body), STRIPE.load_key(secret.encode()), now)
    text = header(outgoing, b"stripe-signature").decode()
    assert stripe.Webhook.construct_event(body, text, secret).id == "evt_1"


# Slack


@given(bodies, texts)
def test_accepts_what_slack_signs_and_refuses_it_changed(body: bytes, secret: str) -> None:
    verifier = SignatureVerifier(secret)
    time = str(int(NOW))
    signature = verifier.generate_signature(timestamp=time, body=body) or ""
    headers = [(SLACK_TIME, time.encode()), (b"x-slack-signature", signature.encode())]
    assert judge("slack", request(*headers, body=body), secret) == "accepted"
    assert judge("slack", request(*headers, body=changed(body)), secret) is Refusal.SIGNATURE_MISMATCH
    assert judge("slack", request(*headers, body=body), secret + "x") is Refusal.SIGNATURE_MISMATCH
    other = [(SLACK_TIME, str(int(NOW) + 1).encode()), headers[1]]
    assert judge("slack", request(*other, body=body), secret) is Refusal.SIGNATURE_MISMATCH


@given(bodies, texts)
def test_slack_accepts_what_we_sign_and_refuses_it_changed(body: bytes, secret: str) -> None:
    outgoing = SLACK.sign(request(body=body), SLACK.load_key(secret.encode()), NOW)
    headers = {name.decode(): value.decode() for name, value in outgoing.headers.raw}
    verifier = SignatureVerifier(secret, FixedClock())
    assert verifier.is_valid_request(body, headers)
    assert not verifier.is_valid_request(body + b" ", headers)
    assert not SignatureVerifier(secret + "x", FixedClock()).is_valid_request(body, headers)


# Standard Webhooks


@given(bodies, raw_keys, ids, st.booleans())
def test_accepts_what_standard_webhooks_signs_and_refuses_it_changed(
    body: bytes, key: bytes, identifier: str, padded: bool
) -> None:
    text = base64.b64encode(key).decode()
    secret = "whsec_" + (text if padded else text.rstrip("="))
    signature = Webhook(secret).sign(identifier, datetime.fromtimestamp(NOW, UTC), body.decode())
    time = (b"webhook-timestamp", str(int(NOW)).encode())
    proof = (b"webhook-signature", signature.encode())
    headers = [(b"webhook-id", identifier.encode()), time, proof]
    name = "standard-webhooks"
    assert judge(name, request(*headers, body=body), secret) == "accepted"
    assert judge(name, request(*headers, body=changed(body)), secret) is Refusal.SIGNATURE_MISMATCH
    renamed = [(b"webhook-id", identifier.encode() + b"x"), time, proof]
    assert judge(name, request(*renamed, body=body), secret) is Refusal.SIGNATURE_MISMATCH
    other = "whsec_" + base64.b64encode(key + b"x").decode()
    assert judge(name, request(*headers, body=body), other) is Refusal.SIGNATURE_MISMATCH


@given(bodies, raw_keys, ids)
def test_standard_webhooks_accepts_what_we_sign_and_refuses_it_changed(
    body: bytes, key: bytes, identifier: str
) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    now = datetime.now(UTC).timestamp()  # the library asks the clock itself
    unsigned = request((b"webhook-id", identifier.encode()), body=body)
    outgoing = STANDARD.sign(unsigned, STANDARD.load_key(secret.encode()), now)
    headers = {name.decode(): value.decode() for name, value in outgoing.headers.raw}
    Webhook(secret).verify(body, headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers, json_parse=False)


# GitHub: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries


def test_accepts_and_makes_the_signature_in_githubs_documentation() -> None:
    secret = "It's a Secret to Everybody"
    documented = b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    name = b"x-hub-signature-256"
    assert judge("github", request((name, documented), body=b"Hello, World!"), secret) == "accepted"
    refused = Refusal.SIGNATURE_MISMATCH
    assert judge("github", request((name, documented), body=b"Hello, World?"), secret) is refused
    github = SCHEMES["github"]
    outgoing = github.sign(request(body=b"Hello, World!"), github.load_key(secret.encode()), NOW)
    assert header(outgoing, name) == documented
