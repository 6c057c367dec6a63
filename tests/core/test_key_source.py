"""Which URLs may be fetched for a key, and what one request makes of a preset's key source."""

import base64
import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.allowed_urls import allowed
from gateway.core.fields import Fields
from gateway.core.key_request import KeyRequest, wanted
from gateway.core.key_source import KeySource, key_text
from gateway.core.outcomes import Refusal
from gateway.core.request import Headers, InboundRequest

SNS = (r"sns\.[a-z0-9-]{3,}\.amazonaws\.com(\.cn)?",)
PEM = r"/[A-Za-z0-9-]+\.pem"
GOOD = "https://sns.us-east-1.amazonaws.com/cert-1.pem"


def fields(body: object = None, **headers: str) -> Fields:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    text = json.dumps(body or {}).encode()
    return Fields(InboundRequest("POST", "/hooks/x", b"", Headers.of(pairs), text, None, 0.0))


def source(**given: Any) -> KeySource:
    return KeySource(**{"url": key_text("{json.url}"), "form": "certificate", "hosts": SNS, **given})


def request_of(result: KeyRequest | Refusal) -> KeyRequest:
    assert isinstance(result, KeyRequest)
    return result


def b64url(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


# URLs


@pytest.mark.parametrize(
    "url",
    [
        GOOD,
        GOOD.replace(".com", ".com:443"),
        GOOD.replace(".com", ".com.cn"),
        GOOD.replace("https", "HTTPS").replace("sns", "SNS"),
    ],
)
def test_allows_an_https_url_on_the_list_however_its_host_is_written(url: str) -> None:
    found = allowed(url, SNS, PEM)
    assert found
    assert str(found).startswith("https://sns.us-east-1.amazonaws.com")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "http://sns.us-east-1.amazonaws.com/x.pem",
        "https://sns.us-east-1.amazonaws.com.evil.example/x.pem",
        "https://evil.example/sns.us-east-1.amazonaws.com/x.pem",
        "https://evil.example#sns.us-east-1.amazonaws.com/x.pem",
        "https://evil.example?sns.us-east-1.amazonaws.com/x.pem",
        "https://sns.us-east-1.amazonaws.com@evil.example/x.pem",
        "https://evil.example@sns.us-east-1.amazonaws.com/x.pem",
        "https://user:pass@sns.us-east-1.amazonaws.com/x.pem",
        "https://@sns.us-east-1.amazonaws.com/x.pem",
        "https://sns.us-east-1.amazonaws.com\\@evil.example/x.pem",
        "https://evil.example\\.sns.us-east-1.amazonaws.com/x.pem",
        "https:\\\\sns.us-east-1.amazonaws.com\\x.pem",
        "https:/sns.us-east-1.amazonaws.com/x.pem",
        "https:sns.us-east-1.amazonaws.com/x.pem",
        "//sns.us-east-1.amazonaws.com/x.pem",
        "https://sns.us-east-1.amazonaws.com./x.pem",
        "https://sns\u3002us-east-1\u3002amazonaws\u3002com/x.pem",
        "https://sns.us-east-1.amazonaws\u2024com/x.pem",
        "https://\u017fns.us-east-1.amazonaws.com/x.pem",
        "https://sns.us-east-1.amazonaws.com:8443/x.pem",
        "https://sns.us-east-1.amazonaws.com:443:80/x.pem",
        "https://sns.us-east-1.amazonaws.com:0443/x.pem",
        "https://sns.us-east-1.amazonaws.com:/x.pem",
        "https://[::1]/x.pem",
        "https://[::ffff:127.0.0.1]/x.pem",
        "https://127.0.0.1/x.pem",
        "https://2130706433/x.pem",
        "https://localhost/x.pem",
        "https://sns.us-east-1.amazonaws.com/x.pem#",
        "https://sns.us-east-1.amazonaws.com/x.pem\n",
        " https://sns.us-east-1.amazonaws.com/x.pem",
        "https://sns.us-east-1.amazonaws.com/a/../x.pem",
        "https://sns.us-east-1.amazonaws.com/%2e%2e/x.pem",
        "https://sns.us-east-1.amazonaws.com/x.pem%00.html",
        "https://sns.us-east-1.amazonaws.com/x.html",
        "https://sns.us-east-1.amazonaws.com/bucket/x.pem",
        "https://sns.us-east-1.amazonaws.com/x.html?x.pem",
        "https://bucket.s3.amazonaws.com/x.pem",
        "https://sns..amazonaws.com/x.pem",
        "https://sns.-us-east-1.amazonaws.com/x.pem",
        f"https://sns.us-east-1.amazonaws.com/{'x' * 3000}.pem",
    ],
)
def test_refuses_a_url_that_is_not_plainly_on_the_list(url: str) -> None:
    assert allowed(url, SNS, PEM) is None
    assert allowed(url.encode(), SNS, PEM) is None


PLAIN_FRAGMENTS = """
https:// HTTPS:// http: // / \\ @ : :443 :8443 ? # . .. %2e %00 xn-- [::1] 127.0.0.1 x.pem .cn
sns.us-east-1.amazonaws.com SNS.EU-WEST-1.amazonaws.com evil.example
"""
FRAGMENTS = st.sampled_from(PLAIN_FRAGMENTS.split()) | st.sampled_from(" \t\n\0\u3002\u212a")


@given(st.one_of(st.binary(max_size=80), st.lists(FRAGMENTS, max_size=9).map("".join).map(str.encode)))
def test_whatever_the_bytes_only_a_host_of_the_list_passes(url: bytes) -> None:
    found = allowed(url, SNS)
    if found is None:
        return
    assert re.fullmatch(SNS[0], found.host)
    for parsed in (urlsplit(str(found)), urlsplit(url.decode("ascii"))):
        assert (parsed.scheme, parsed.hostname, parsed.username) == ("https", found.host, None)
        assert parsed.port in (None, 443)
    assert allowed(str(found), SNS) == found


@given(st.text(max_size=60))
def test_whatever_a_request_says_there_is_a_verdict(text: str) -> None:
    body = {"url": text, "id": text}
    for where in ("text", "jws", "base64-json"):
        named = source(key_id=key_text("{json.id}"), key_id_in=where)
        result = wanted(named, fields(body))
        assert isinstance(result, Refusal)
    path = source(
        url=key_text("https://sns.eu-west-1.amazonaws.com/{key_id}"), key_id=key_text("{json.id}")
    )
    result = wanted(path, fields(body))
    assert isinstance(result, Refusal) or result.host == "sns.eu-west-1.amazonaws.com"


# What a request makes of a source


def test_a_url_that_the_body_names_is_asked_for() -> None:
    asked = request_of(wanted(source(path=PEM, owner="orders"), fields({"url": GOOD})))
    assert (asked.url, asked.host, asked.target) == (GOOD, "sns.us-east-1.amazonaws.com", "/cert-1.pem")
    assert (asked.method, asked.owner, asked.has_credentials) == ("GET", "orders", False)


def test_a_request_that_names_no_key_or_a_forbidden_one_is_refused() -> None:
    assert wanted(source(), fields({})) is Refusal.MISSING_KEY_ID
    assert wanted(source(), fields({"url": "https://evil.example/x"})) is Refusal.KEY_NOT_ALLOWED


def test_the_id_is_the_kid_of_a_jws_behind_its_scheme() -> None:
    jwks = source(
        url=key_text("https://keys.example.com/jwks"),
        hosts=(r"keys\.example\.com",),
        form="jwks",
        key_id=key_text("{header.Authorization}"),
        key_id_in="jws",
    )
    token = f"{b64url({'alg': 'RS256', 'kid': 'k-1'})}.{b64url({})}.c2ln"
    assert request_of(wanted(jwks, fields(authorization=f"Bearer {token}"))).key_id == "k-1"
    assert wanted(jwks, fields(authorization="Bearer x.y.z")) is Refusal.MALFORMED_KEY_ID
    assert wanted(jwks, fields(authorization=f"{b64url({'kid': 7})}.e.e")) is Refusal.MALFORMED_KEY_ID
    assert wanted(jwks, fields()) is Refusal.MISSING_KEY_ID


def test_an_id_in_a_path_is_escaped_so_that_it_names_no_other_path() -> None:
    named = source(
        url=key_text("https://keys.example.com/v1/{key_id}"),
        hosts=(r"keys\.example\.com",),
        key_id=key_text("{header.kid}"),
    )
    assert request_of(wanted(named, fields(kid="a+b?c"))).target == "/v1/a%2Bb%3Fc"
    for treacherous in ("../admin", "..", "a/b"):
        assert wanted(named, fields(kid=treacherous)) is Refusal.KEY_NOT_ALLOWED


def test_plaids_key_is_asked_for_by_post_with_credentials() -> None:
    plaid = source(
        url=key_text("https://{config.environment}.plaid.com/webhook_verification_key/get"),
        hosts=(r"(production|sandbox)\.plaid\.com",),
        form="jwk",
        value="key",
        method="POST",
        key_id=key_text("{header.Plaid-Verification}"),
        key_id_in="jws",
        json_fields=(
            ("client_id", key_text("{config.client_id}")),
            ("secret", key_text("{config.secret}")),
            ("key_id", key_text("{key_id}")),
        ),
    )
    options = {"environment": b"sandbox", "client_id": b"me", "secret": b'qu"ote'}
    bound = plaid.bind(options, "bank")
    asked = request_of(wanted(bound, fields(plaid_verification=f"{b64url({'kid': 'k1'})}.e.s")))
    assert json.loads(asked.body) == {"client_id": "me", "secret": 'qu"ote', "key_id": "k1"}
    assert (asked.method, asked.host) == ("POST", "sandbox.plaid.com")
    assert 'qu"ote' not in repr(asked)


def test_ebays_key_is_asked_for_with_a_token_of_its_own() -> None:
    ebay = source(
        url=key_text("https://api.ebay.com/commerce/notification/v1/public_key/{key_id}"),
        hosts=(r"api\.ebay\.com",),
        form="pem",
        value="key",
        key_id=key_text("{header.x-ebay-signature}"),
        key_id_in="base64-json",
        token=KeySource(
            url=key_text("https://api.ebay.com/identity/v1/oauth2/token"),
            form="text",
            value="access_token",
            method="POST",
            basic=key_text("{config.id}:{config.secret}"),
            form_fields=(("grant_type", key_text("client_credentials")), ("scope", key_text("a b"))),
        ),
    ).bind({"id": b"me", "secret": b"s3"}, "shop")
    envelope = base64.b64encode(b'{"alg": "ecdsa", "kid": "k-9", "signature": "MEYC"}').decode()
    asked = request_of(wanted(ebay, fields(x_ebay_signature=envelope)))
    assert asked.target == "/commerce/notification/v1/public_key/k-9"
    assert asked.token
    assert asked.token.stale == 0
    assert asked.token.body == b"grant_type=client_credentials&scope=a+b"
    assert ("Authorization", "Basic bWU6czM=") in asked.token.headers


def test_without_a_list_only_a_host_that_the_configuration_fixes_is_allowed() -> None:
    fixed = source(url=key_text("https://{config.host}/jwks"), hosts=(), form="jwks")
    bound = fixed.bind({"host": b"id.example.com"}, "me")
    assert request_of(wanted(bound, fields())).host == "id.example.com"
    free = source(url=key_text("https://{json.host}/jwks"), hosts=()).bind({}, "me")
    assert wanted(free, fields({"host": "id.example.com"})) is Refusal.KEY_NOT_ALLOWED


def test_a_wrong_expression_is_told_when_the_source_is_made() -> None:
    with pytest.raises(ValueError, match=re.escape("'(' is no regular expression")):
        source(hosts=("(",))


def test_a_header_with_a_line_break_is_never_sent() -> None:
    named = source(headers=(("X-Key", key_text("{json.name}")),))
    assert wanted(named, fields({"url": GOOD, "name": "a\r\nb"})) is Refusal.MALFORMED_KEY_ID
