"""What holds for one provider only: traps that its signatures have, and what must not be believed."""

import hashlib
import hmac
from dataclasses import replace

import pytest

from gateway.core.outcomes import Refusal
from gateway.core.request import InboundRequest
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.schemes.token import TokenScheme
from gateway.core.template import Reference

from .examples import BODY, NOW, header, request, secret, with_header
from .providers import Provider, provider

BODY_SIGNED = ["github", "stripe", "slack", "standard-webhooks", "shopify"]


def signed(of: Provider, body: bytes = BODY) -> InboundRequest:
    incoming = request((b"webhook-id", b"msg_1"), body=body)
    return of.signed(incoming)


@pytest.mark.parametrize("name", [*BODY_SIGNED, "gitlab"])
def test_accepts_an_empty_body_and_bytes_that_are_no_text(name: str) -> None:
    of = provider(name)
    assert of.verdict(signed(of, b"")) == 0
    assert of.verdict(signed(of, bytes(range(256)))) == 0


@pytest.mark.parametrize("name", BODY_SIGNED)
@pytest.mark.parametrize("body", [BODY + b"\n", b" " + BODY, BODY[:-1], BODY.upper(), b""])
def test_refuses_a_body_changed_after_signing(name: str, body: bytes) -> None:
    of = provider(name)
    assert of.verdict(replace(signed(of), body=body)) is Refusal.SIGNATURE_MISMATCH


def test_github_ignores_the_sha1_twin_whether_good_or_bad() -> None:
    github, name = provider("github"), b"x-hub-signature"
    key = secret(github.scheme, 1, "github")
    sha1 = b"sha1=" + hmac.new(key, BODY, hashlib.sha1).hexdigest().encode()
    assert github.verdict(request((name, sha1))) is Refusal.MISSING_SIGNATURE
    assert github.verdict(with_header(signed(github), name, b"sha1=00")) == 0
    assert github.verdict(request((b"x-hub-signature-256", sha1))) is Refusal.MALFORMED_SIGNATURE


def test_stripe_does_not_believe_the_test_mode_signature() -> None:
    stripe = provider("stripe")
    value = header(signed(stripe), b"stripe-signature").replace(b"v1=", b"v0=")
    incoming = with_header(signed(stripe), b"stripe-signature", value)
    assert stripe.verdict(incoming) is Refusal.MALFORMED_SIGNATURE


def test_stripe_refuses_two_times_one_of_which_is_signed() -> None:
    stripe = provider("stripe")
    value = header(signed(stripe), b"stripe-signature")
    for doubled in (value + b",t=%d" % (NOW + 1000), b"t=%d," % (NOW + 1000) + value):
        incoming = with_header(signed(stripe), b"stripe-signature", doubled)
        assert stripe.verdict(incoming, now=NOW + 1000) is Refusal.MISSING_TIMESTAMP


@pytest.mark.parametrize(
    ("name", "place", "decoy"),
    [
        ("stripe", b"stripe-signature", b",v1=" + b"0" * 64),
        ("standard-webhooks", b"webhook-signature", b" v1," + b"A" * 43 + b"="),
    ],
)
def test_finds_the_genuine_one_of_eight_signatures_and_refuses_nine(
    name: str, place: bytes, decoy: bytes
) -> None:
    of = provider(name)
    value = header(signed(of), place)
    assert of.verdict(with_header(signed(of), place, value + decoy * 7)) == 0
    nine = with_header(signed(of), place, value + decoy * 8)
    assert of.verdict(nine) is Refusal.MALFORMED_SIGNATURE


def test_gitlab_compares_a_token_and_does_not_cover_the_body() -> None:
    gitlab = provider("gitlab")
    assert gitlab.scheme == TokenScheme((Reference("header", "x-gitlab-token"),))
    assert gitlab.verdict(replace(signed(gitlab), body=b"anything")) == 0
    cut = header(signed(gitlab), b"x-gitlab-token")[:-1]
    truncated = with_header(signed(gitlab), b"x-gitlab-token", cut)
    assert gitlab.verdict(truncated) is Refusal.SIGNATURE_MISMATCH


@pytest.mark.parametrize("name", ["discord-interactions", "sendgrid", "cashfree", "klaviyo"])
def test_nothing_moves_between_a_time_and_a_body_that_are_signed_side_by_side(name: str) -> None:
    of = provider(name)
    assert isinstance(of.scheme, SignatureScheme)
    assert of.scheme.timestamp is not None
    assert of.scheme.timestamp.place is not None
    place = of.scheme.timestamp.place.name.encode()
    good = of.signed()
    time, body = header(good, place), good.body
    for at in range(1, len(time)):
        for moved, rest in ((time[:-at], time[-at:] + body), (time[at:], body + time[:at])):
            incoming = replace(with_header(good, place, moved), body=rest)
            assert isinstance(of.verdict(incoming), Refusal)
        for moved, rest in ((time + body[:at], body[at:]), (body[-at:] + time, body[:-at])):
            incoming = replace(with_header(good, place, moved), body=rest)
            assert isinstance(of.verdict(incoming), Refusal)
