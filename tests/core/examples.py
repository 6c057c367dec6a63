"""What the tests of this floor share: every preset's scheme, secrets for it, and a fitting request."""

import base64
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from gateway.catalogue import load_preset, preset_names
from gateway.core.fields import Fields
from gateway.core.identity import IdentityRules
from gateway.core.outcomes import Refusal
from gateway.core.request import Headers, InboundRequest
from gateway.core.schemes.basic_auth import BasicAuthScheme
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.schemes.token import TokenScheme
from gateway.core.template import Template, compile_template
from gateway.core.verification import Match, Scheme, VerifiedRequest, verify

NOW = 1_700_000_000.0
BODY = b'{"id": "evt_1", "type": "thing.happened"}'
SCHEMES: dict[str, Scheme] = {name: load_preset(name).verify.build() for name in preset_names()}
SIGNATURES = {name: scheme for name, scheme in SCHEMES.items() if isinstance(scheme, SignatureScheme)}
TIMED = {name: scheme for name, scheme in SIGNATURES.items() if scheme.timestamp}


def request(
    *headers: tuple[bytes, bytes], body: bytes = BODY, query: bytes = b"", method: str = "POST"
) -> InboundRequest:
    return InboundRequest(method, "/hooks/x", query, Headers.of(headers), body, "192.0.2.1", NOW)


def fields(*headers: tuple[bytes, bytes], body: bytes = BODY, query: bytes = b"") -> Fields:
    return Fields(request(*headers, body=body, query=query))


def templates(*texts: str) -> tuple[Template, ...]:
    return tuple(compile_template(text) for text in texts)


def rules(event_id: Iterable[str] = (), event_type: Iterable[str] = ()) -> IdentityRules:
    return IdentityRules(templates(*event_id), templates(*event_type))


def secret(scheme: Scheme, number: int = 1) -> bytes:
    """A secret that `scheme` can load; another one for another number."""
    plain = b"user:the-secret-that-is-number-%d" % number
    if isinstance(scheme, SignatureScheme) and scheme.key_encoding == "base64":
        return scheme.key_prefix + base64.b64encode(plain)
    if isinstance(scheme, SignatureScheme) and scheme.key_encoding == "hex":
        return scheme.key_prefix + plain.hex().encode()
    return plain


def keys(scheme: Scheme, *numbers: int) -> list[Any]:
    return [scheme.load_key(secret(scheme, number)) for number in numbers or (1,)]


def signed(scheme: Scheme, *, body: bytes = BODY, number: int = 1, now: float = NOW) -> InboundRequest:
    """What the provider would send: with the headers that its message needs, and its proof."""
    needed = _headers_of(scheme.message) if isinstance(scheme, SignatureScheme) else ()
    unsigned = request(*((name, b"value-1") for name in needed), body=body)
    return scheme.sign(unsigned, scheme.load_key(secret(scheme, number)), now)


def _headers_of(template: Template) -> list[bytes]:
    return [each.name.encode() for each in template.references() if each.kind == "header"]


def proof_header(scheme: Scheme) -> bytes:
    """The header that carries the signature, the token or the credentials."""
    if isinstance(scheme, SignatureScheme):
        return scheme.header
    if isinstance(scheme, BasicAuthScheme):
        return b"authorization"
    assert isinstance(scheme, TokenScheme)
    return scheme.place.name.encode()


def with_header(before: InboundRequest, name: bytes, value: bytes) -> InboundRequest:
    return replace(before, headers=before.headers.with_(name, value))


def without_header(before: InboundRequest, name: bytes) -> InboundRequest:
    kept = tuple(pair for pair in before.headers.raw if pair[0] != name)
    return replace(before, headers=Headers(kept))


def header(of: InboundRequest, name: bytes) -> bytes:
    value = of.headers.one(name)
    assert value is not None
    return value


def verdict(scheme: Scheme, incoming: InboundRequest, *numbers: int, now: float = NOW) -> int | Refusal:
    """The index of the key that proves origin, or why it is not proven."""
    found = verify(incoming, scheme, keys(scheme, *numbers), now)
    return found.key_index if isinstance(found, VerifiedRequest) else found


def outcome(scheme: Scheme, incoming: InboundRequest, keys: list[Any]) -> Match | Refusal:
    return scheme.verify(Fields(incoming), keys, NOW)
