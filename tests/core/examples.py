"""What the tests of this floor share: requests, secrets of every kind, and verdicts on them."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.core.fields import Fields
from gateway.core.identity import IdentityRules
from gateway.core.outcomes import Refusal
from gateway.core.request import Headers, InboundRequest
from gateway.core.schemes.combined import AnyOf, EachItem
from gateway.core.schemes.jwt import JwtScheme
from gateway.core.schemes.key_format import KeyFormat
from gateway.core.schemes.message_signature import MessageSignatureScheme
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.template import Template, compile_template
from gateway.core.verification import Match, Scheme, VerifiedRequest, verify
from gateway.crypto.public_key import PublicKeyAlgorithm

NOW = 1_700_000_000.0
URL = "https://hooks.example.com/hooks/x"
BODY = b'{"id": "evt_1", "type": "thing.happened"}'


def request(
    *headers: tuple[bytes, bytes],
    body: bytes = BODY,
    query: bytes = b"",
    method: str = "POST",
    url: str = URL,
) -> InboundRequest:
    found = Headers.of(headers)
    return InboundRequest(method, "/hooks/x", query, found, body, "192.0.2.1", NOW, url)


def fields(*headers: tuple[bytes, bytes], body: bytes = BODY, query: bytes = b"") -> Fields:
    return Fields(request(*headers, body=body, query=query))


def templates(*texts: str) -> tuple[Template, ...]:
    return tuple(compile_template(text) for text in texts)


def rules(event_id: Iterable[str] = (), event_type: Iterable[str] = ()) -> IdentityRules:
    return IdentityRules(templates(*event_id), templates(*event_type))


# Secrets and keys


@cache
def private_key(family: str, number: int = 1, owner: str = "") -> Any:
    """A private key of the `cryptography` package; another one for another number or owner. RSA keys
    take long to make, so owners share them."""
    if family == "rsa":
        return _rsa_key(number)
    seed = hashlib.sha256(f"{owner} {number}".encode()).digest()
    if family == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    curve = ec.SECP256R1() if family == "p256" else ec.SECP384R1()
    return ec.derive_private_key(int.from_bytes(seed[:30], "big"), curve)


@cache
def _rsa_key(number: int) -> Any:
    return rsa.generate_private_key(65537, 2048)


def secret(scheme: Scheme, number: int = 1, owner: str = "") -> bytes:
    """A secret that `scheme` can load; another one for another number or owner."""
    form, public = key_format(scheme), public_algorithm(scheme)
    if public:
        return _public_text(form, private_key(public[1].family, number, owner).public_key())
    return form.encode(b"user:the-long-and-random-secret-%d-of-%s" % (number, owner.encode()))


def key_format(scheme: Scheme) -> KeyFormat:
    if isinstance(scheme, AnyOf | EachItem):
        return key_format(scheme.schemes[0] if isinstance(scheme, AnyOf) else scheme.scheme)
    if isinstance(scheme, SignatureScheme):
        return scheme.key_format
    return scheme.key if isinstance(scheme, JwtScheme | MessageSignatureScheme) else KeyFormat()


def public_algorithm(scheme: Scheme) -> tuple[str, PublicKeyAlgorithm] | None:
    """The algorithm of a scheme that verifies with public keys, and a token's name for it."""
    if isinstance(scheme, JwtScheme):
        found = list(scheme.algorithms.items())
    elif isinstance(scheme, SignatureScheme | MessageSignatureScheme):
        found = [("", scheme.algorithm)]
    else:
        found = []
    public = [(name, each) for name, each in found if isinstance(each, PublicKeyAlgorithm)]
    return public[0] if public and len(public) == len(found) else None


def _public_text(form: KeyFormat, key: Any) -> bytes:
    """A public key as the provider writes it."""
    if form.encoding in ("utf8", "pem"):
        return bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    if isinstance(key, ed25519.Ed25519PublicKey):
        return form.encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    return form.encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def keys(scheme: Scheme, *numbers: int, owner: str = "") -> list[Any]:
    return [scheme.load_key(secret(scheme, number, owner)) for number in numbers or (1,)]


def signing_key(scheme: Scheme, number: int = 1, owner: str = "") -> Any:
    """What the provider signs with: its private key where we know only the public one."""
    public = public_algorithm(scheme)
    if public is None:
        return scheme.load_key(secret(scheme, number, owner))
    key = private_key(public[1].family, number, owner)
    return {public[0]: key} if isinstance(scheme, JwtScheme) else key


def signed(scheme: Scheme, *, body: bytes = BODY, number: int = 1, now: float = NOW) -> InboundRequest:
    """What a sender of this scheme would send: with the headers that it signs, and its proof."""
    needed: set[bytes] = set()
    for message in scheme.messages if isinstance(scheme, SignatureScheme) else ():
        needed |= {each.name.encode() for each in message.references() if each.kind == "header"}
    unsigned = request(*((name, b"value-1") for name in sorted(needed)), body=body)
    return scheme.sign(unsigned, signing_key(scheme, number), now)


# Requests, changed and judged


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
    return judged(scheme, incoming, keys(scheme, *numbers), now)


def judged(
    scheme: Scheme, incoming: InboundRequest, loaded: list[Any], now: float = NOW
) -> int | Refusal:
    found = verify(incoming, scheme, loaded, now)
    return found.key_index if isinstance(found, VerifiedRequest) else found


def outcome(scheme: Scheme, incoming: InboundRequest, loaded: list[Any]) -> Match | Refusal:
    return scheme.verify(Fields(incoming), loaded, NOW)
