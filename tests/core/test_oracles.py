"""The providers' own libraries agree: they accept what we sign, and we accept what they sign."""

import base64
import binascii
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import jwt
import nacl.exceptions
import nacl.signing
import pytest
import stripe
import svix
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from jwt.types import Options
from sendgrid.helpers.eventwebhook import EventWebhook
from slack_sdk.signature import Clock, SignatureVerifier
from standardwebhooks import Webhook, WebhookVerificationError
from twilio.request_validator import RequestValidator

from gateway.catalogue import load_preset, preset_names
from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.placing import put
from gateway.core.request import InboundRequest
from gateway.core.schemes.jwt import JwtScheme
from gateway.core.verification import VerifiedRequest, verify

from .examples import NOW, header, key_format, private_key, public_algorithm, request, secret
from .providers import provider
from .providers import unsigned as of_unsigned

STRIPE, SLACK, STANDARD = (provider(name).scheme for name in ("stripe", "slack", "standard-webhooks"))
SLACK_TIME = b"x-slack-request-timestamp"

bodies = st.text().map(str.encode)  # the libraries take text
# Printable, and no library strips it: providers' secrets are random letters.
texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=64)
raw_keys = st.binary(min_size=24, max_size=64)
ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


def judge(name: str, incoming: InboundRequest, secret: str, now: float = NOW) -> object:
    scheme = provider(name).scheme
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


# Svix


@given(bodies, raw_keys, ids)
def test_svix_and_we_agree_in_both_directions(body: bytes, key: bytes, identifier: str) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    now = datetime.now(UTC)  # the library asks the clock itself
    theirs = svix.Webhook(secret)
    proof = theirs.sign(identifier, now, body.decode()).encode()
    time = (b"svix-timestamp", str(int(now.timestamp())).encode())
    headers = [(b"svix-id", identifier.encode()), time, (b"svix-signature", proof)]
    assert judge("svix", request(*headers, body=body), secret, now.timestamp()) == "accepted"
    refused = judge("svix", request(*headers, body=changed(body)), secret, now.timestamp())
    assert refused is Refusal.SIGNATURE_MISMATCH

    scheme = provider("svix").scheme
    unsigned = request((b"svix-id", identifier.encode()), body=body)
    ours = scheme.sign(unsigned, scheme.load_key(secret.encode()), now.timestamp())
    sent = {name.decode(): value.decode() for name, value in ours.headers.raw}
    theirs.verify(body, sent)
    with pytest.raises(svix.WebhookVerificationError):
        theirs.verify(body + b" ", sent)


# Twilio

FORM = (b"content-type", b"application/x-www-form-urlencoded")
TWILIO_URLS = [
    "https://hooks.example.com/twilio",
    "https://hooks.example.com:8443/twilio?a=1&b=%20x",
    "http://hooks.example.com/",
]
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
forms = st.dictionaries(words.filter(bool), words, min_size=1, max_size=6)


def twilio_request(
    url: str, signature: str, *headers: tuple[bytes, bytes], body: bytes
) -> InboundRequest:
    base, _, query = url.partition("?")
    proof = (b"x-twilio-signature", signature.encode())
    return request(*headers, proof, body=body, query=query.encode(), url=base)


@given(st.sampled_from(TWILIO_URLS), forms, texts)
def test_accepts_what_twilio_signs_and_refuses_it_changed(
    url: str, form: dict[str, str], secret: str
) -> None:
    theirs, body = RequestValidator(secret), urlencode(form).encode()
    signature = theirs.compute_signature(url, form)
    assert judge("twilio", twilio_request(url, signature, FORM, body=body), secret) == "accepted"
    refused = Refusal.SIGNATURE_MISMATCH
    for more in (b"&added=1", b"&%00=", b"&" + body + b"x"):
        other = twilio_request(url, signature, FORM, body=body + more)
        assert judge("twilio", other, secret) is refused
    elsewhere = twilio_request(url + "x", signature, FORM, body=body)
    assert judge("twilio", elsewhere, secret) is refused
    assert judge("twilio", twilio_request(url, signature, FORM, body=body), secret + "x") is refused


@given(st.sampled_from(TWILIO_URLS), forms, texts)
def test_twilio_accepts_what_we_sign_and_refuses_it_changed(
    url: str, form: dict[str, str], secret: str
) -> None:
    theirs, scheme = RequestValidator(secret), provider("twilio").scheme
    unsigned = twilio_request(url, "", FORM, body=urlencode(form).encode())
    ours = scheme.sign(unsigned, scheme.load_key(secret.encode()), NOW)
    signature = header(ours, b"x-twilio-signature").decode()
    assert theirs.validate(url, form, signature)
    assert not theirs.validate(url, form | {"added": "1"}, signature)
    assert not theirs.validate(url + "x", form, signature)


@given(words, texts)
def test_twilio_and_we_agree_on_a_body_that_is_no_form(body: str, secret: str) -> None:
    """Its digest stands in the URL, which is signed."""
    theirs = RequestValidator(secret)
    url = f"https://hooks.example.com/t?bodySHA256={theirs.compute_hash(body)}"
    signature, kind = theirs.compute_signature(url, {}), (b"content-type", b"application/json")
    good = twilio_request(url, signature, kind, body=body.encode())
    assert theirs.validate(url, body, signature)
    assert judge("twilio", good, secret) == "accepted"
    if body:
        other = twilio_request(url, signature, kind, body=changed(body.encode()))
        assert not theirs.validate(url, body + "x", signature)
        assert judge("twilio", other, secret) is Refusal.MISSING_SIGNED_PART
    scheme = provider("twilio").scheme
    ours = scheme.sign(good, scheme.load_key(secret.encode()), NOW)
    assert theirs.validate(url, body, header(ours, b"x-twilio-signature").decode())


# SendGrid

SENDGRID = "x-twilio-email-event-webhook-"


@given(bodies)
def test_sendgrid_and_we_agree_in_both_directions(body: bytes) -> None:
    key, public = private_key("p256"), secret(provider("sendgrid").scheme).decode()
    time, theirs = str(int(NOW)), EventWebhook(public)
    proof = key.sign(time.encode() + body, ec.ECDSA(hashes.SHA256()))
    stamp = (f"{SENDGRID}timestamp".encode(), time.encode())
    headers = [stamp, (f"{SENDGRID}signature".encode(), base64.b64encode(proof))]
    assert judge("sendgrid", request(*headers, body=body), public) == "accepted"
    refused = judge("sendgrid", request(*headers, body=changed(body)), public)
    assert refused is Refusal.SIGNATURE_MISMATCH

    ours = provider("sendgrid").scheme.sign(request(stamp, body=body), key, NOW)
    signature = header(ours, f"{SENDGRID}signature".encode()).decode()
    assert theirs.verify_signature(body.decode(), signature, time)
    assert not theirs.verify_signature(body.decode() + " ", signature, time)


# libsodium, where Ed25519 signs: (preset, header of the time, header of the signature, what is signed)

ED25519 = [
    ("discord-interactions", b"x-signature-timestamp", b"x-signature-ed25519", "{time}{body}"),
    ("discord-events", b"x-signature-timestamp", b"x-signature-ed25519", "{time}{body}"),
    ("telnyx", b"telnyx-timestamp", b"telnyx-signature-ed25519", "{time}|{body}"),
    ("standard-webhooks-asym", b"webhook-timestamp", b"webhook-signature", "msg_1.{time}.{body}"),
]
WRITTEN = {"telnyx": (b"", base64.b64encode), "standard-webhooks-asym": (b"v1a,", base64.b64encode)}


@pytest.mark.parametrize(("name", "stamp", "place", "message"), ED25519)
@given(body=bodies, seed=st.binary(min_size=32, max_size=32))
def test_libsodium_and_we_agree_in_both_directions(
    name: str, stamp: bytes, place: bytes, message: str, body: bytes, seed: bytes
) -> None:
    theirs, scheme = nacl.signing.SigningKey(seed), provider(name).scheme
    form, time = key_format(scheme), str(int(NOW))
    public = form.encode(bytes(theirs.verify_key)).decode()
    content = message.format(time=time, body=body.decode()).encode()
    prefix, write = WRITTEN.get(name, (b"", binascii.hexlify))
    known = [(stamp, time.encode()), (b"webhook-id", b"msg_1")]
    headers = [*known, (place, prefix + write(theirs.sign(content).signature))]
    assert judge(name, request(*headers, body=body), public) == "accepted"
    refused = judge(name, request(*headers, body=changed(body)), public)
    assert refused is Refusal.SIGNATURE_MISMATCH

    ours = scheme.sign(request(*known, body=body), Ed25519PrivateKey.from_private_bytes(seed), NOW)
    text = header(ours, place).removeprefix(prefix)
    proof = base64.b64decode(text) if prefix or name == "telnyx" else bytes.fromhex(text.decode())
    assert theirs.verify_key.verify(content, proof) == content
    with pytest.raises(nacl.exceptions.BadSignatureError):
        theirs.verify_key.verify(content + b" ", proof)


# PyJWT: every preset whose proof is a token

TOKENS = [name for name in preset_names() if load_preset(name).verify.scheme == "jwt"]


def claims_of(scheme: JwtScheme, incoming: InboundRequest, now: float) -> dict[str, object]:
    said: dict[str, object] = {"iat": int(now), "exp": int(now) + 60}
    for claim in scheme.claims:
        parts = claim.template.render(Fields(incoming))
        assert parts is not None
        said[claim.name] = b"".join(parts).decode()
    return said


@pytest.mark.parametrize("name", TOKENS)
@given(body=bodies)
def test_pyjwt_and_we_agree_in_both_directions(name: str, body: bytes) -> None:
    of, scheme = provider(name), provider(name).scheme
    assert isinstance(scheme, JwtScheme)
    public = public_algorithm(scheme)
    algorithm = public[0] if public else next(each for each in scheme.algorithms if each[:2] == "HS")
    text = secret(scheme, 1, name)
    key: Any = private_key(public[1].family, 1, name) if public else key_format(scheme).decode(text)
    unsigned = replace(of_unsigned(of), body=body)
    now = datetime.now(UTC).timestamp()  # the library asks the clock itself
    theirs = jwt.encode(claims_of(scheme, unsigned, now), key, algorithm).encode()
    sent = put(unsigned, scheme.place, scheme.prefix + theirs)
    assert of.verdict(sent, now=now) == 0
    assert of.verdict(sent, 2, now=now) is Refusal.SIGNATURE_MISMATCH
    if of.preset.body_signed:
        other = replace(sent, body=changed(body))
        assert of.verdict(other, now=now) is Refusal.CLAIM_MISMATCH

    ours = of.signed(unsigned, now=now)
    token = (Fields(ours).lookup(scheme.place.kind, scheme.place.name) or b"")[len(scheme.prefix) :]
    check = key.public_key() if public else key
    options: Options = {"verify_aud": False}
    found = jwt.decode(token, check, [algorithm], options)
    assert found["exp"] > now
    with pytest.raises(jwt.InvalidTokenError):
        jwt.decode(edited(token), check, [algorithm], options)


def edited(token: bytes) -> bytes:
    """With another first sign of its signature."""
    head, _, proof = token.rpartition(b".")
    return head + b"." + (b"A" if proof[:1] != b"A" else b"B") + proof[1:]


# GitHub: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries


def test_accepts_and_makes_the_signature_in_githubs_documentation() -> None:
    secret = "It's a Secret to Everybody"
    documented = b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    name = b"x-hub-signature-256"
    assert judge("github", request((name, documented), body=b"Hello, World!"), secret) == "accepted"
    refused = Refusal.SIGNATURE_MISMATCH
    assert judge("github", request((name, documented), body=b"Hello, World?"), secret) is refused
    github = provider("github").scheme
    outgoing = github.sign(request(body=b"Hello, World!"), github.load_key(secret.encode()), NOW)
    assert header(outgoing, name) == documented
