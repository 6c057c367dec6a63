"""What was signed, byte for byte. Never the secret, also where that is among the signed bytes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from gateway.core.fields import Fields, dig_all
from gateway.core.schemes.combined import AnyOf, EachItem
from gateway.core.schemes.components import signature_base
from gateway.core.schemes.jwt import JwtScheme
from gateway.core.schemes.message_signature import MessageSignatureScheme
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.schemes.structured import inner_lists
from gateway.core.template import Known
from gateway.core.verification import Scheme
from gateway.diagnosis.case import Case
from gateway.diagnosis.schemes import stamped

MASK: Final = b"***"
SHORTEST: Final = 4  # bytes: what is shorter is everywhere


@dataclass(frozen=True, slots=True)
class Signed:
    """`content` with secrets masked; `size` in bytes without that. `body_at`: where the body begins."""

    template: str
    content: bytes = field(repr=False)
    size: int
    body_at: int | None = None


def signed(case: Case) -> Signed | None:
    """None: no bytes of the request are signed, or a part of what is signed is missing."""
    return _signed(case.scheme, Fields(case.request), case)


def _signed(scheme: Scheme, fields: Fields, case: Case) -> Signed | None:
    match scheme:
        case SignatureScheme():
            return _rendered(scheme, fields, case)
        case AnyOf(schemes):
            found = [each for inner in schemes if (each := _signed(inner, fields, case))]
            return found[0] if found else None
        case EachItem(inner, path):
            items = dig_all(fields.json(), path)
            return _signed(inner, fields.of_item(items[0]), case) if items else None
        case JwtScheme():
            return _token(scheme, fields, case)
        case MessageSignatureScheme():
            return _base(fields, case)
    return None


def _rendered(scheme: SignatureScheme, fields: Fields, case: Case) -> Signed | None:
    known = Known(next(iter(stamped(scheme, fields)), None), b"(the secret)")
    for message in scheme.messages:
        parts = message.render(fields, known)
        if parts is not None:
            return _made(message.text, parts, case)
    return None


def _made(template: str, parts: list[bytes], case: Case) -> Signed:
    body, at, body_at = case.request.body, 0, None
    for part in parts:
        if body and part is body:
            body_at = at
        at += len(part)
    return Signed(template, masked(b"".join(parts), hidden(case)), at, body_at)


def _token(scheme: JwtScheme, fields: Fields, case: Case) -> Signed | None:
    """The token's own header and claims: what they say of the request is compared."""
    claims = scheme.unverified_claims(fields)
    if claims is None:
        return None
    names = ", ".join(str(name)[:40] for name in list(claims)[:20]).encode("utf-8", "replace")
    return Signed("the token's header and claims", masked(names, hidden(case)), len(names))


def _base(fields: Fields, case: Case) -> Signed | None:
    lists = inner_lists(fields.request.headers.one(b"signature-input") or b"") or {}
    for covered in lists.values():
        base = signature_base(fields.request, covered)
        if base is not None:
            return _made("the signature base (RFC 9421)", [base], case)
    return None


def hidden(case: Case) -> list[bytes]:
    """What nobody may read: secrets as given and as bare text, the longest first."""
    known = [each.value for each in case.secrets] + list(case.hidden)
    known += [secret.value for other in case.others for secret in other.secrets]
    known += [each.strip().strip(b"\"'") for each in known]
    return sorted({each for each in known if len(each) >= SHORTEST}, key=len, reverse=True)


def masked(text: bytes, secrets: Iterable[bytes]) -> bytes:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text
