"""A scheme in words, for a person who has not read the provider's documentation."""

from gateway.core.schemes.algorithms import ALGORITHMS
from gateway.core.schemes.basic_auth import BasicAuthScheme
from gateway.core.schemes.combined import AnyOf, EachItem
from gateway.core.schemes.jwt import JwtScheme
from gateway.core.schemes.message_signature import MessageSignatureScheme
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.schemes.token import TokenScheme
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.template import Reference
from gateway.core.verification import Scheme
from gateway.crypto.public_key import PUBLIC_KEY_ALGORITHMS
from gateway.diagnosis.clocks import span
from gateway.diagnosis.schemes import spelled


def in_words(scheme: Scheme) -> str:
    match scheme:
        case SignatureScheme():
            return _signature(scheme)
        case AnyOf(schemes):
            return "; or ".join(in_words(each) for each in schemes)
        case EachItem(inner, path):
            return f"for each of {path}: {in_words(inner)}"
        case TokenScheme():
            after = f" after {scheme.prefix.decode('latin-1')!r}" if scheme.prefix else ""
            return f"a shared token in {_places(scheme.places)}{after}; it covers nothing else"
        case BasicAuthScheme():
            return "user and password in Authorization (HTTP basic); they cover nothing else"
        case JwtScheme():
            return f"a signed token (JWT, {', '.join(scheme.algorithms)}) in {_places((scheme.place,))}"
        case MessageSignatureScheme():
            covered = ", ".join(scheme.required)
            return f"HTTP message signature (RFC 9421), {scheme.algorithm_name}, covering {covered}"
        case UnverifiedScheme():
            return "none: whoever knows the URL is believed"
    return type(scheme).__name__


def _signature(scheme: SignatureScheme) -> str:
    places = scheme.places
    prefix = f" after {places.prefix.decode('latin-1')}" if places.prefix else ""
    form = {
        "pairs": f" as {places.signature_key.decode('latin-1')}=...",
        "list": f"{prefix}, one of several",
    }.get(places.form, prefix)
    time = ""
    if scheme.timestamp and scheme.timestamp.tolerance is not None:
        time = f"; at most {span(scheme.timestamp.tolerance)} old"
    first, *others = [each.text for each in scheme.messages]
    messages = f"{first} (or {len(others)} other spellings of it)" if others else first
    name = _algorithm(scheme).upper()
    return f"{name} of {messages}, in {_places(places.places)}{form}, in {places.encoding}{time}"


def _algorithm(scheme: SignatureScheme) -> str:
    known = {**ALGORITHMS, **PUBLIC_KEY_ALGORITHMS}
    named = [name for name, each in known.items() if each == scheme.algorithm]
    return named[0] if named else "a signature"


def _places(places: tuple[Reference, ...]) -> str:
    return " or ".join(
        spelled(each.name) if each.kind == "header" else f"{each.kind}.{each.name}" for each in places
    )
