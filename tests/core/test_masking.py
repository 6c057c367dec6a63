"""What of a refused request may be read: a secret never, wherever its sender put it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.masking import (
    body_is_proof,
    masked_headers,
    masked_url,
    proof_places,
)
from gateway.core.schemes.combined import AnyOf
from gateway.core.schemes.token import TokenScheme
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.template import Reference

SECRET = b"sesame-open-thyself"


def token(*places: str) -> TokenScheme:
    return TokenScheme(tuple(Reference(*place.split(".", 1)) for place in places))


@pytest.mark.parametrize(
    "name",
    [
        b"authorization",
        b"Proxy-Authorization",
        b"cookie",
        b"x-gitlab-token",
        b"x-hub-signature-256",
        b"x-webhook-secret",
        b"x-api-key",
        b"x-shopify-hmac-sha256",
        b"signature-input",
        b"x-session-id",
        b"content-digest",
    ],
)
def test_a_header_that_sounds_of_secrets_is_masked_however_short(name: bytes) -> None:
    for value in (SECRET, b"s"):
        assert masked_headers(((name, value),)) == ((name, b"*** (%d bytes)" % len(value)),)


def test_what_the_scheme_reads_is_masked_however_it_is_called() -> None:
    proof = proof_places(token("header.x-door"))
    assert masked_headers(((b"X-Door", b"short"),), proof)[0][1] == b"*** (5 bytes)"
    assert masked_headers(((b"X-Door", b"short"),))[0][1] == b"short"


def test_a_scheme_made_of_schemes_has_the_places_of_all() -> None:
    proof = proof_places(AnyOf((token("header.x-a"), token("query.t", "json.token"))))
    assert proof == {"header.x-a", "query.t", "json.token"}


def test_a_place_with_a_star_means_every_header_that_begins_so() -> None:
    proof = proof_places(token("header.x-door-*"))
    assert masked_headers(((b"x-door-7", b"short"),), proof)[0][1] == b"*** (5 bytes)"


def test_an_unknown_header_as_long_as_a_secret_is_masked() -> None:
    """The source may be configured for another header than the one that its provider sends."""
    assert masked_headers(((b"x-door", SECRET), (b"x-door", SECRET[:15]))) == (
        (b"x-door", b"*** (19 bytes)"),
        (b"x-door", SECRET[:15]),
    )


@pytest.mark.parametrize(
    "name",
    [b"content-type", b"user-agent", b"x-github-delivery", b"x-github-event", b"webhook-id", b"host"],
)
def test_what_tells_one_request_from_another_stays(name: bytes) -> None:
    assert masked_headers(((name, b"x" * 40),)) == ((name, b"x" * 40),)


def test_the_values_of_a_query_are_masked_likewise_and_its_names_stay() -> None:
    url = f"/hooks/shop?door=abc&to%6ben=abc&x={SECRET.decode()}&flag&{SECRET.decode()}&page=2"
    assert masked_url(url, {"query.door"}) == (
        "/hooks/shop?door=*** (3 bytes)&to%6ben=*** (3 bytes)&x=*** (19 bytes)"
        "&flag&*** (19 bytes)&page=2"
    )
    assert masked_url("/hooks/shop") == "/hooks/shop"


@pytest.mark.parametrize(
    ("scheme", "hidden"),
    [
        (token("header.x-door"), False),
        (token("query.door"), False),
        (token("json.token"), True),
        (token("header.x-door", "form.token"), True),
        (UnverifiedScheme(), False),
    ],
)
def test_a_body_that_holds_the_proof_is_not_for_reading(scheme: object, hidden: bool) -> None:
    assert body_is_proof(proof_places(scheme)) is hidden


@given(st.binary(max_size=40), st.binary(max_size=40), st.text(max_size=60))
def test_masking_never_raises(name: bytes, value: bytes, url: str) -> None:
    masked_headers(((name, value),))
    masked_url(url)
