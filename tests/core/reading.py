"""What a scheme reads of a request, and of that what is signed: taken from its own declarations."""

from collections.abc import Iterable, Iterator
from typing import Final

from gateway.core.identity import IdentityRules
from gateway.core.schemes.basic_auth import BasicAuthScheme
from gateway.core.schemes.combined import AnyOf, EachItem
from gateway.core.schemes.jwt import LIFETIME, JwtScheme
from gateway.core.schemes.message_signature import MessageSignatureScheme
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.schemes.token import TokenScheme
from gateway.core.template import Reference, Template
from gateway.core.verification import Scheme

LOOKED_UP: Final = ("header", "header_json", "query", "form", "form_json", "json")
Limits = tuple[float | None, float | None]


def verified_names(scheme: Scheme) -> list[Reference]:
    """What a request needs before it can be signed."""
    match scheme:
        case AnyOf(schemes):
            return [name for each in schemes for name in verified_names(each)]
        case EachItem(inner, path):
            return list(item_names(verified_names(inner), path))
        case SignatureScheme():
            return [name for each in scheme.messages for name in each.references()]
        case JwtScheme():
            return [name for each in scheme.claims for name in each.template.references()]
        case TokenScheme(places):
            return [_parent(each) for each in places if "*" in each.name and each.kind == "json"]
    return []


def _parent(place: Reference) -> Reference:
    """The element that a token is put into."""
    return Reference("json", place.name.rpartition(".")[0] + ".id")


def item_names(names: Iterable[Reference], path: str) -> Iterator[Reference]:
    """Names of an item as names of a body that has one."""
    for each in names:
        inner = "" if each.name == "$" else "." + each.name
        yield Reference("json", (path + inner).removeprefix("$.")) if each.kind == "item" else each


def identity_names(rules: IdentityRules) -> Iterator[Reference]:
    """What a request must hold for its events to have ids and types."""
    names = names_of(rules)
    if rules.batch and not rules.batch_field:
        in_batch = [name for name in names if name.kind == "item"]
        for number in ("0", "1"):
            path = number if rules.batch == "$" else f"{rules.batch}.{number}"
            yield from item_names(in_batch, path)
    yield from (name for name in names if name.kind in LOOKED_UP)


def names_of(rules: IdentityRules) -> list[Reference]:
    return [name for each in (*rules.event_id, *rules.event_type) for name in each.references()]


def required(scheme: Scheme) -> Iterable[tuple[Template, tuple[bytes, ...]]]:
    if isinstance(scheme, AnyOf):
        return [each for one in scheme.schemes for each in required(one)]
    return scheme.require if isinstance(scheme, SignatureScheme) else ()


def proof_places(scheme: Scheme) -> tuple[Reference, ...]:
    """Where the signature, the token or the credentials stand."""
    match scheme:
        case AnyOf(schemes):
            return proof_places(schemes[0])
        case EachItem(inner, path):
            return tuple(item_names(proof_places(inner), path))
        case SignatureScheme():
            return scheme.places.places
        case JwtScheme():
            return (scheme.place,)
        case TokenScheme(places):
            return places
        case BasicAuthScheme():
            return (Reference("header", "authorization"),)
        case MessageSignatureScheme():
            return (Reference("header", "signature"),)
    return ()


def contents(scheme: Scheme) -> list[list[Template]]:
    """What may have been signed: alternatives, each of templates that are all signed."""
    match scheme:
        case AnyOf(schemes):
            return [content for each in schemes for content in contents(each)]
        case SignatureScheme():
            return [[each] for each in scheme.messages]
        case JwtScheme():
            return [[each.template for each in scheme.claims]]
    return []


def signed_names(scheme: Scheme) -> set[Reference]:
    """What is signed in any case: it cannot change without being noticed."""
    every = [{name for each in content for name in each.references()} for content in contents(scheme)]
    return set.intersection(*every) if every else set()


def limits(scheme: Scheme) -> Limits:
    """How early and how late a request of ours may be, in seconds, where there is a limit."""
    match scheme:
        case AnyOf(schemes):
            return limits(schemes[0])
        case SignatureScheme() if scheme.timestamp:
            return scheme.timestamp.tolerance, scheme.timestamp.tolerance
        case MessageSignatureScheme():
            return scheme.tolerance, scheme.tolerance
        case JwtScheme():
            late = LIFETIME + scheme.leeway - 1  # its end is the first second that is too late
            return scheme.leeway, min(late, late if scheme.max_age is None else scheme.max_age)
    return None, None
