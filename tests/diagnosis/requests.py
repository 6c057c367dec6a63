"""Sound requests of several providers, and ways to break them."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from gateway.catalogue import load_preset
from gateway.core.request import Headers, InboundRequest
from gateway.core.schemes.algorithms import ALGORITHMS
from gateway.core.schemes.basic_auth import BasicAuthScheme
from gateway.core.schemes.jwt import Claim, JwtScheme
from gateway.core.schemes.message_signature import MessageSignatureScheme
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.schemes.timestamp import Timestamp
from gateway.core.schemes.token import TokenScheme
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.template import Reference, compile_template
from gateway.core.verification import Scheme
from gateway.diagnosis import Case, Other
from gateway.secret_refs import SecretValue

NOW = 1_700_000_000.0
REF = "env:HOOK_SECRET"
PLAIN = b"canary-Zx81-Spectrum-48k"
STANDARD = b"whsec_" + base64.b64encode(b"canary-Zx81-standard-secret-32-b")
OTHERS = b"canary-of-another-source-0001"
URL = "https://hooks.example.com/hooks/x"
VALUE = {"id": "evt_1", "type": "order.paid", "livemode": True, "shop": {"z": 1, "a": [1.50, "é <b>/"]}}
JSON = json.dumps(VALUE, separators=(",", ":"), ensure_ascii=False).encode()
FORM = b"From=%2B4179&Body=Hi+there%21&To=%2B4178&SmsSid=SM1"
FORM_TYPE = b"application/x-www-form-urlencoded"
SECRETS = {
    "standard-webhooks": STANDARD,
    "svix": STANDARD,
    "adyen": hashlib.sha256(PLAIN).hexdigest().encode(),
}


def scheme(preset: str) -> Scheme:
    return load_preset(preset).verify.build({})


def secret(preset: str) -> bytes:
    return SECRETS.get(preset, PLAIN)


def blank(preset: str, body: bytes = JSON, content_type: bytes = b"application/json") -> InboundRequest:
    headers = [(b"host", b"hooks.example.com"), (b"content-type", content_type)]
    if preset in ("standard-webhooks", "svix"):
        name = preset.split("-", maxsplit=1)[0].replace("standard", "webhook")
        headers.append((f"{name}-id".encode(), b"msg_1"))
    return InboundRequest("POST", "/hooks/x", b"", Headers.of(headers), body, None, NOW, URL)


def sound(preset: str, body: bytes = JSON, content_type: bytes = b"application/json") -> Case:
    """As the provider would send it, and verified."""
    kind = scheme(preset)
    request = kind.sign(blank(preset, body, content_type), kind.load_key(secret(preset)), NOW)
    return case_of(request, kind, secret(preset), preset)


def case_of(request: InboundRequest, kind: Scheme, value: bytes, preset: str | None = None) -> Case:
    return Case(request, kind, (SecretValue(REF, value),), NOW, preset=preset)


def twilio() -> Case:
    return sound("twilio", FORM, FORM_TYPE)


def adyen() -> Case:
    item = {
        "pspReference": "7914073381342284",
        "merchantAccountCode": "TestMerchant",
        "merchantReference": "TestPayment-1407325143704",
        "amount": {"value": 1130, "currency": "EUR"},
        "eventCode": "AUTHORISATION",
        "success": "true",
    }
    signed = ":".join(
        (
            "7914073381342284",
            "",
            "TestMerchant",
            "TestPayment-1407325143704",
            "1130",
            "EUR",
            "AUTHORISATION",
            "true",
        )
    )
    key = bytes.fromhex(secret("adyen").decode())
    digest = base64.b64encode(hmac.digest(key, signed.encode(), "sha256")).decode()
    item["additionalData"] = {"hmacSignature": digest}
    body = json.dumps({"live": "true", "notificationItems": [{"NotificationRequestItem": item}]})
    return case_of(blank("adyen", body.encode()), scheme("adyen"), secret("adyen"), "adyen")


def body(case: Case, change: Callable[[bytes], bytes]) -> Case:
    return case.with_request(body=change(case.request.body))


def in_json_text(old: bytes) -> bytes:
    return json.dumps(old.decode()).encode()


def written(case: Case, **style: Any) -> Case:
    return body(case, lambda old: json.dumps(json.loads(old), **style).encode())


def header(case: Case, name: bytes, change: Callable[[bytes], bytes]) -> Case:
    old = case.request.headers.one(name) or b""
    return case.with_request(headers=case.request.headers.with_(name, change(old)))


def renamed(case: Case, *names: tuple[bytes, bytes]) -> Case:
    new = dict(names)
    pairs = tuple((new.get(name, name), value) for name, value in case.request.headers.raw)
    return case.with_request(headers=Headers.of(pairs))


def without(case: Case, *names: bytes) -> Case:
    pairs = tuple(pair for pair in case.request.headers.raw if pair[0] not in names)
    return case.with_request(headers=Headers(pairs))


def added(case: Case, name: bytes, value: bytes) -> Case:
    return case.with_request(headers=Headers((*case.request.headers.raw, (name, value))))


def given(case: Case, change: Callable[[bytes], bytes]) -> Case:
    """Another secret was configured than the one it was signed with."""
    return case.with_secret(REF, change(case.secrets[0].value))


def signed_with(preset: str, key: bytes, digest: str = "sha256") -> str:
    return hmac.new(key, blank(preset).body, digest).hexdigest()


def github_as(value: str) -> Case:
    return header(sound("github"), b"x-hub-signature-256", lambda _: value.encode())


def github_keyed(key: bytes, configured: bytes) -> Case:
    changed = github_as(f"sha256={signed_with('github', key)}")
    return given(changed, lambda _: configured)


def moved(case: Case, seconds: float) -> Case:
    return replace(case, now=case.now + seconds)


def at_url(case: Case, url: str) -> Case:
    return case.with_request(url=url)


def with_another_source(case: Case) -> Case:
    """Signed with the secret of another source."""
    kind = case.scheme
    request = kind.sign(blank("github"), kind.load_key(OTHERS), NOW)
    other = Other("billing", kind, (SecretValue("env:BILLING_SECRET", OTHERS),))
    return replace(case, request=request, others=(other,))


def for_another_source(case: Case) -> Case:
    kind = scheme("stripe")
    request = kind.sign(blank("stripe"), kind.load_key(OTHERS), NOW)
    other = Other("billing", kind, (SecretValue("env:BILLING_SECRET", OTHERS),))
    return replace(case, request=request, others=(other,))


def of_another_preset() -> Case:
    case = sound("standard-webhooks")
    presets = lambda: [("svix", scheme("svix")), ("standard-webhooks", scheme("standard-webhooks"))]  # noqa: E731
    return replace(case, scheme=scheme("svix"), preset="svix", presets=presets)


def bearer(value: bytes) -> Case:
    kind = TokenScheme((Reference("header", "authorization"),), b"Bearer ")
    return case_of(added(sound("gitlab"), b"authorization", value).request, kind, PLAIN)


def basic(credentials: bytes, configured: bytes) -> Case:
    value = b"Basic " + base64.b64encode(credentials)
    request = added(sound("github"), b"authorization", value).request
    return case_of(request, BasicAuthScheme(), configured)


def in_query(name: bytes) -> Case:
    case = without(sound("gitlab"), b"x-gitlab-token")
    return case.with_request(query=urlencode({name: PLAIN}).encode())


def standard_as_text() -> Case:
    """Signed by somebody who took the whole secret for text."""
    case = sound("standard-webhooks")
    content = b"msg_1.%d.%b" % (NOW, case.request.body)
    digest = base64.b64encode(hmac.digest(STANDARD, content, "sha256"))
    return header(case, b"webhook-signature", lambda _: b"v1," + digest)


def square_on(url: str) -> Case:
    case = sound("square")
    kind = case.scheme
    request = kind.sign(replace(case.request, url=url), kind.load_key(PLAIN), NOW)
    return replace(case, request=request)


def timed_ms() -> Case:
    case = sound("slack")
    kind = case.scheme
    assert isinstance(kind, SignatureScheme)
    assert kind.timestamp
    in_ms = replace(kind, timestamp=Timestamp(kind.timestamp.place, "ms"))
    request = in_ms.sign(blank("slack"), in_ms.load_key(PLAIN), NOW)
    return replace(case, request=request)


AUDIENCE = "https://hooks.example.com/hooks/x"
CLAIMS = (
    Claim("iss", compile_template("Sender")),
    Claim("aud", compile_template("{url}")),
    Claim("body", compile_template("{body | sha256 | hex}")),
)


def token_scheme(*algorithms: str, claims: tuple[Claim, ...] = CLAIMS) -> JwtScheme:
    """JWTs as QStash makes them."""
    names = {"HS256": "hmac-sha256", "HS512": "hmac-sha512"}
    known = {name: ALGORITHMS[names[name]] for name in algorithms or ("HS256",)}
    return JwtScheme(Reference("header", "x-token"), known, claims=claims)


def token(*algorithms: str, claims: tuple[Claim, ...] = CLAIMS) -> Case:
    kind = token_scheme(*algorithms, claims=claims)
    request = kind.sign(blank("github"), kind.load_key(PLAIN), NOW)
    return case_of(request, token_scheme(), PLAIN)


def from_another_issuer() -> Case:
    return token(claims=(Claim("iss", compile_template("Somebody")), *CLAIMS[1:]))


def message_signature() -> Case:
    """As RFC 9421 has it."""
    required = ("@method", "@target-uri", "content-digest")
    kind = MessageSignatureScheme(ALGORITHMS["hmac-sha256"], "hmac-sha256", required=required)
    request = kind.sign(blank("github"), kind.load_key(PLAIN), NOW)
    return case_of(request, kind, PLAIN)


def unverified() -> Case:
    return case_of(blank("github"), UnverifiedScheme(), PLAIN)
