"""Tokens, credentials and JWTs: in another place, after another prefix, swapped, with other claims."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from gateway.core.encoding import decode_base64
from gateway.core.fields import Fields
from gateway.core.schemes.algorithms import ALGORITHMS
from gateway.core.schemes.basic_auth import BasicAuthScheme
from gateway.core.schemes.jws import JWS_ALGORITHMS
from gateway.core.schemes.jwt import JwtScheme
from gateway.core.schemes.token import TokenScheme
from gateway.core.template import Reference
from gateway.crypto import ExtraMissing
from gateway.crypto.public_key import public_key_algorithm
from gateway.diagnosis.case import Case, Suspicion
from gateway.diagnosis.codes import Code
from gateway.diagnosis.schemes import before_it, exchanged, innermost, spelled

PREFIXES: Final = (b"", b"Bearer ", b"bearer ", b"Token ", b"token ", b"Basic ", b"ApiKey ")
NAMES: Final = ("token", "secret", "key", "auth", "access_token", "api_key", "signature", "sig", "code")
SAFE_CLAIMS: Final = ("iss", "aud")
LONGEST: Final = 80


def tokens(case: Case) -> Iterator[Suspicion]:
    for inner in innermost(case.scheme):
        if isinstance(inner, TokenScheme):
            yield from _prefixed(case, inner)
            yield from _elsewhere(case, inner)
        elif isinstance(inner, BasicAuthScheme):
            yield from _basic(case)
        elif isinstance(inner, JwtScheme):
            yield from _jwt(case, inner)


def claims(case: Case) -> Iterator[Suspicion]:
    """To be asked last: what a claim says of the body is explained better by the body."""
    for inner in innermost(case.scheme):
        if isinstance(inner, JwtScheme):
            yield from _claims(case, inner)


def _prefixed(case: Case, inner: TokenScheme) -> Iterator[Suspicion]:
    for prefix in PREFIXES:
        if prefix != inner.prefix:
            changed = exchanged(case.scheme, inner, replace(inner, prefix=prefix))
            text = f"The token in {_named(inner.places[0])} {before_it(prefix, inner.prefix)}."
            mend = "Set it at the provider as it is expected here, or adapt prefix in [verify]."
            yield Suspicion(Code.TOKEN_PREFIX, replace(case, scheme=changed), text, mend)


def _elsewhere(case: Case, inner: TokenScheme) -> Iterator[Suspicion]:
    """The query, the usual headers, the basic credentials."""
    query = Fields(case.request).query()
    places = [Reference("query", name) for name in query]
    places += [Reference("header", name.decode("latin-1")) for name, _ in case.request.headers.raw]
    places += [Reference(kind, name) for kind in ("json", "form") for name in NAMES]
    for place in places:
        if place not in inner.places:
            for prefix in (inner.prefix, *PREFIXES[:2]):
                changed = exchanged(case.scheme, inner, TokenScheme((place,), prefix))
                text = f"The token stands in {_named(place)}, not in {_named(inner.places[0])}."
                mend = "Set its place at the provider, or in [verify]."
                yield Suspicion(Code.TOKEN_PLACE, replace(case, scheme=changed), text, mend)
    credentials = _credentials(case)
    for part in credentials.partition(b":")[::2] if credentials else ():
        place = inner.places[0]
        if place.kind == "header":
            text = f"The token came as basic credentials, not as {_named(place)}."
            mend = 'Use scheme = "basic-auth" with user:password, or set a header at the provider.'
            yield Suspicion(
                Code.TOKEN_PLACE, case.with_header(place.name, inner.prefix + part), text, mend
            )


def _basic(case: Case) -> Iterator[Suspicion]:
    value = case.request.headers.one(b"authorization") or b""
    for secret in case.secrets:
        user, _, password = secret.value.partition(b":")
        text = f"User and password are swapped in {secret.reference}."
        mend = "Write it as user:password, in the order that the provider sends."
        yield Suspicion(
            Code.TOKEN_SWAPPED, case.with_secret(secret.reference, password + b":" + user), text, mend
        )
    _, _, given = value.rpartition(b" ")
    for said, credentials in (
        ("are not in base64", given),
        ("come without the word Basic", decode_base64(value) or b""),
        ("come as a bearer token", decode_base64(given) or b""),
    ):
        changed = b"Basic " + base64.b64encode(credentials)
        if credentials and changed != value:
            text = f"The credentials in Authorization {said}."
            mend = "Set HTTP basic authentication at the provider, not a header of your own."
            yield Suspicion(Code.TOKEN_PREFIX, case.with_header("authorization", changed), text, mend)


def _jwt(case: Case, inner: JwtScheme) -> Iterator[Suspicion]:
    for prefix in PREFIXES:
        if prefix != inner.prefix:
            changed = exchanged(case.scheme, inner, replace(inner, prefix=prefix))
            text = f"The token in {_named(inner.place)} {before_it(prefix, inner.prefix)}."
            mend = "Pass the header on as the provider wrote it."
            yield Suspicion(Code.TOKEN_PREFIX, replace(case, scheme=changed), text, mend)
    yield from _algorithms(case, inner)


def _algorithms(case: Case, inner: JwtScheme) -> Iterator[Suspicion]:
    named = (inner.unverified_header(Fields(case.request)) or {}).get("alg")
    if not isinstance(named, str) or named in inner.algorithms or named not in JWS_ALGORITHMS:
        return
    ours = JWS_ALGORITHMS[named]
    try:
        algorithm = ALGORITHMS.get(ours) or public_key_algorithm(ours)
    except ExtraMissing:
        return
    changed = exchanged(case.scheme, inner, replace(inner, algorithms={named: algorithm}))
    text = f"The token is signed with {named}; allowed here: {', '.join(inner.algorithms)}."
    mend = "Choose an allowed algorithm at the provider. A token never chooses for itself."
    yield Suspicion(Code.TOKEN_ALGORITHM, replace(case, scheme=changed), text, mend)


def _claims(case: Case, inner: JwtScheme) -> Iterator[Suspicion]:
    """Each claim left out by itself: if the rest holds, it is the one that differs."""
    fields = Fields(case.request)
    said = inner.unverified_claims(fields) or {}
    for at, claim in enumerate(inner.claims):
        others = (*inner.claims[:at], *inner.claims[at + 1 :])
        changed = exchanged(case.scheme, inner, replace(inner, claims=others))
        parts = claim.template.render(fields)
        expected = b"".join(parts).decode("utf-8", "replace") if parts is not None else None
        values = _values(claim.name, said, expected)
        text = f"The token is genuine, but its claim {claim.name} differs{values}."
        if claim.name not in said:
            text = f"The token is genuine, but it has no claim {claim.name}."
        covered = {each.kind for each in claim.template.references()}
        mend = (
            "The body was changed on the way: let it pass unchanged."
            if "body" in covered
            else "Is it another account's or endpoint's webhook? Compare the options and the URL."
        )
        yield Suspicion(Code.TOKEN_CLAIM, replace(case, scheme=changed), text, mend)


def _values(name: str, said: dict[str, Any], expected: str | None) -> str:
    """Only of claims that tell no more than who speaks to whom."""
    if name not in SAFE_CLAIMS or expected is None:
        return ""
    return f": it says {str(said.get(name))[:LONGEST]!r}, expected {expected[:LONGEST]!r}"


def _credentials(case: Case) -> bytes | None:
    value = case.request.headers.one(b"authorization") or b""
    kind, _, text = value.partition(b" ")
    return decode_base64(text.strip()) if kind.lower() == b"basic" else None


def _named(place: Reference) -> str:
    name = place.name[:60]
    return spelled(name) if place.kind == "header" else f"{place.kind}.{name}"
