"""What schemes are made of: their parts, what they read, and the same scheme with a part changed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.schemes.basic_auth import BasicAuthScheme
from gateway.core.schemes.combined import AnyOf, EachItem
from gateway.core.schemes.jwt import JwtScheme
from gateway.core.schemes.key_format import KeyFormat
from gateway.core.schemes.message_signature import MessageSignatureScheme
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.template import Reference, resolve
from gateway.core.verification import Scheme
from gateway.options import NEEDS_URL

BODY_KINDS = ("body", "json", "form", "form_json", "item")
MESSAGE_SIGNATURE = ("signature-input", "signature", "content-digest")
Change = Callable[[Any], Iterable[Scheme]]


def rebuilt(scheme: Scheme, change: Change) -> Iterator[Scheme]:
    """The scheme with one of its innermost schemes changed, in each way that `change` gives."""
    match scheme:
        case AnyOf(schemes):
            for at, each in enumerate(schemes):
                for new in rebuilt(each, change):
                    yield AnyOf((*schemes[:at], new, *schemes[at + 1 :]))
        case EachItem(inner, path):
            yield from (EachItem(new, path) for new in rebuilt(inner, change))
        case _:
            yield from change(scheme)


def exchanged(scheme: Scheme, old: Scheme, new: Scheme) -> Scheme:
    """The scheme with one of its innermost ones in another's place."""
    return next(rebuilt(scheme, lambda inner: [new] if inner is old else []), scheme)


def innermost(scheme: Scheme) -> list[Scheme]:
    match scheme:
        case AnyOf(schemes):
            return [inner for each in schemes for inner in innermost(each)]
        case EachItem(inner, _):
            return innermost(inner)
    return [scheme]


def signatures(scheme: Scheme) -> list[SignatureScheme]:
    return [each for each in innermost(scheme) if isinstance(each, SignatureScheme)]


def key_format_of(scheme: Scheme) -> KeyFormat | None:
    for each in innermost(scheme):
        if isinstance(each, SignatureScheme):
            return each.key_format
        if isinstance(each, JwtScheme | MessageSignatureScheme):
            return each.key
    return None


def with_key_format(scheme: Scheme, form: KeyFormat) -> Scheme:
    """The same, reading its secrets otherwise."""

    def change(inner: Any) -> Iterable[Scheme]:
        if isinstance(inner, SignatureScheme):
            yield replace(inner, key_format=form)
        elif isinstance(inner, JwtScheme | MessageSignatureScheme):
            yield replace(inner, key=form)

    return next(rebuilt(scheme, change), scheme)


def proof_places(scheme: Scheme) -> list[Reference]:
    """Where the proof itself stands."""
    found: list[Reference] = []
    for each in innermost(scheme):
        match each:
            case SignatureScheme():
                found += each.places.places
            case BasicAuthScheme():
                found.append(Reference("header", "authorization"))
            case MessageSignatureScheme():
                found += [Reference("header", name) for name in MESSAGE_SIGNATURE[:2]]
            case _:
                found += getattr(each, "places", None) or [
                    place for place in [getattr(each, "place", None)] if place
                ]
    return list(dict.fromkeys(found))


def signed_names(scheme: Scheme) -> list[Reference]:
    """What else it reads: the names in its messages, its time, what it requires."""
    found: list[Reference] = []
    for each in innermost(scheme):
        if isinstance(each, SignatureScheme):
            templates = [*each.messages, *(template for template, _ in each.require)]
            found += [name for template in templates for name in template.references()]
            if each.timestamp and each.timestamp.place:
                found.append(each.timestamp.place)
        elif isinstance(each, JwtScheme):
            found += [name for claim in each.claims for name in claim.template.references()]
        elif isinstance(each, MessageSignatureScheme):
            found.append(Reference("header", MESSAGE_SIGNATURE[2]))
    return list(dict.fromkeys(found))


def time_places(scheme: Scheme) -> list[Reference]:
    """Where signed times stand by themselves, not beside the signature."""
    stamps = [each.timestamp for each in signatures(scheme)]
    return [each.place for each in stamps if each and each.place]


def headers_of(scheme: Scheme) -> list[str]:
    """Every header that it reads, the proof's own first."""
    read = (*proof_places(scheme), *signed_names(scheme))
    names = [each.name for each in read if each.kind == "header"]
    return list(dict.fromkeys(name for name in names if not name.endswith("*")))


def covers_body(scheme: Scheme) -> bool:
    names = [*signed_names(scheme), *proof_places(scheme)]
    message = any(isinstance(each, MessageSignatureScheme) for each in innermost(scheme))
    return message or any(
        each.kind in BODY_KINDS or (each.kind == "canonical" and not each.name.startswith("url"))
        for each in names
    )


def covers_url(scheme: Scheme) -> bool:
    if any(isinstance(each, MessageSignatureScheme) for each in innermost(scheme)):
        return True
    return any(each.kind.startswith("url") or each.name in NEEDS_URL for each in signed_names(scheme))


def stamped(scheme: SignatureScheme, request_fields: Fields) -> list[bytes]:
    """The texts of the times that stand in a request, one for each group of signatures."""
    if scheme.timestamp is None:
        return []
    place = scheme.timestamp.place
    if place:
        return [each for each in [resolve(place, request_fields)] if each]
    groups = scheme.places.read(request_fields)
    return [] if isinstance(groups, Refusal) else [group.ts for group in groups if group.ts]


def spelled(name: str) -> str:
    """As documentation writes it: X-Hub-Signature-256."""
    return "-".join(word[:1].upper() + word[1:] for word in name.split("-"))


def before_it(came: bytes, wanted: bytes) -> str:
    """How a value differs from the expected one in what stands before it."""
    has, lacks = repr(came.decode("latin-1")), repr(wanted.decode("latin-1"))
    if not came:
        return f"lacks {lacks} before it"
    return (
        f"has {has} before it, not {lacks}" if wanted else f"has {has} before it, which is not expected"
    )
