"""What is fuzzed: a preset's scheme, a request that its provider signed, and what of it is sealed.

Sealed is what cannot change without the request having to be refused. It is read from the templates,
not found out by verifying: a scheme that forgot to look at a part would otherwise excuse itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from gateway.catalogue import Preset
from gateway.core.handshake import Handshake
from gateway.core.identity import IdentityRules
from gateway.core.request import InboundRequest
from gateway.core.schemes.algorithms import Hmac, PlainHash
from gateway.core.schemes.combined import AnyOf, EachItem
from gateway.core.schemes.jwt import JwtScheme
from gateway.core.schemes.message_signature import MessageSignatureScheme
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.schemes.token import TokenScheme
from gateway.core.template import Reference, Template
from gateway.core.verification import Scheme
from gateway.crypto.public_key import PublicKeyAlgorithm
from tests.core.providers import Provider, proof, proof_place, providers, unsigned
from tests.core.reading import contents, limits

URLS: Final = {"url", "canonical.url_without_port", "canonical.url_with_port", "canonical.url_decoded"}
Names = frozenset[str]
DESCRIBED: Final[dict[str, dict[str, object]]] = {
    "described: an algorithm by its prefix": {
        "scheme": "signature",
        "header": "X-Hub-Signature",
        "algorithm_by_prefix": {"sha1=": "hmac-sha1", "sha256=": "hmac-sha256"},
    },
    "described: groups": {
        "scheme": "signature",
        "header": "X-Signature",
        "form": "pairs",
        "groups": "|",
        "message": "{ts}.{body}",
        "timestamp": {"tolerance": "5m"},
    },
    "described: message signature by a shared secret": {
        "scheme": "http-message-signature",
        "algorithm": "hmac-sha256",
        "required": ["@method", "@target-uri", "content-digest"],
    },
    "described: token signed in one of two ways": {
        "scheme": "jwt",
        "header": "Authorization",
        "prefix": "Bearer ",
        "algorithms": ["EdDSA", "ES256"],
        "claims": {"aud": "{url}", "body": "{body | sha256 | base64url}"},
        "max_age": "2m",
    },
}


@dataclass(frozen=True, slots=True)
class Sealed:
    """`additions`: to the body's fields. `headers` by name. Times are limits in seconds."""

    body: bool = False
    additions: bool = False
    headers: tuple[bytes, ...] = ()
    url: bool = False
    query: bool = False
    method: bool = False
    early: float | None = None
    late: float | None = None


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    family: str
    scheme: Scheme
    keys: list[Any]
    other_keys: list[Any]
    good: InboundRequest
    unsigned_body: bytes
    place: Reference | None
    proof: bytes
    read: tuple[bytes, ...]
    sealed: Sealed
    handshakes: tuple[Handshake, ...]
    rules: IdentityRules


@cache
def targets() -> tuple[Target, ...]:
    """Every preset's, and of what no preset uses yet one each."""
    return tuple(target(each) for each in (*providers(), *map(described, DESCRIBED)))


def described(name: str) -> Provider:
    """A provider that a [verify] table of somebody's own source describes."""
    facts: dict[str, object] = {"name": name, "links": ["https://example.com"], "checked": "2026-11-22"}
    facts |= {"trust": "third-party", "verify": DESCRIBED[name]}
    preset = Preset.model_validate(facts)
    return Provider(name, preset, preset.verify.build(), ())


def target(of: Provider) -> Target:
    """Raises AssertionError when the genuine request is refused: other refusals would say nothing."""
    good, options = of.signed(), dict(of.options)
    assert of.verdict(good) == 0, of.name
    place = proof_place(of) if of.proves else None
    return Target(
        name=of.name,
        family=family(of.scheme),
        scheme=of.scheme,
        keys=of.keys(1, 2),
        other_keys=of.keys(3, 4),
        good=good,
        unsigned_body=unsigned(of).body,
        place=place,
        proof=proof(of, good) if place else b"",
        read=tuple(sorted({name for name, _ in good.headers.raw})),
        sealed=sealed(of),
        handshakes=tuple(each.build(options) for each in of.preset.handshakes),
        rules=of.identity(),
    )


def family(scheme: Scheme) -> str:
    """What a scheme works with: a row of the table."""
    match scheme:
        case AnyOf():
            return "one of several"
        case EachItem():
            return "every item signed"
        case SignatureScheme(algorithm=Hmac()):
            return "keyed digest (HMAC)"
        case SignatureScheme(algorithm=PlainHash()):
            return "plain hash with the secret"
        case SignatureScheme(algorithm=PublicKeyAlgorithm(family=name)):
            return f"public key, {'ecdsa' if name[0] == 'p' else name}"
        case JwtScheme():
            return "signed token (JWT)"
        case MessageSignatureScheme():
            return "message signature (RFC 9421)"
        case TokenScheme():
            return "shared token"
    return "none (unverified)" if not scheme.needs_secret else "basic authentication"


# What is sealed


def sealed(of: Provider) -> Sealed:
    every = [_names(each) for each in contents(of.scheme)]
    always = frozenset[str].intersection(*every) if every else frozenset()
    if "ts" in always and isinstance(of.scheme, SignatureScheme) and of.scheme.timestamp:
        always |= {_text(of.scheme.timestamp.place)}
    proofs = {_text(proof_place(of))} if of.proves else set()
    headers = sorted(name.encode()[7:] for name in always - proofs if name.startswith("header."))
    early, late = limits(of.scheme)
    digest = isinstance(of.scheme, MessageSignatureScheme) and "content-digest" in of.scheme.required
    return Sealed(
        body="body" in always or digest,
        additions=of.proves and of.preset.body_signed,
        headers=tuple(headers),
        url=bool(every) and all(names & (URLS | {"url.base"}) for names in every),
        query=bool(every) and all(names & URLS for names in every),
        method="method" in always,
        early=early,
        late=late,
    )


def _names(content: Iterable[Template]) -> Names:
    return frozenset(_text(name) for each in content for name in each.references())


def _text(name: Reference | None) -> str:
    return ".".join(filter(None, (name.kind, name.name))) if name else ""
