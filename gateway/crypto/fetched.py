"""Reading what a key source answered: the keys in a body, by the form that the preset names."""

from typing import Any

from gateway.core.fields import MISSING, dig, parse_json, scalar
from gateway.core.key_request import KeyRequest
from gateway.crypto.certificates import read_certificate
from gateway.crypto.jwk import jwk_to_pem, read_pem

MOST_KEYS = 16  # of a set that is asked without an id: each of them is tried


def is_answer(request: KeyRequest, body: bytes) -> bool:
    """Whether this looks like what was asked for, rather than a page that says something else."""
    if request.form in ("jwks", "jwk"):
        value = _value(request, body)
        return isinstance(value.get("keys"), list) if request.form == "jwks" else "kty" in value
    text = _text(request, body)
    return bool(text) and (request.form == "text" or b"-----BEGIN " in text)


def read_keys(request: KeyRequest, body: bytes, now: float) -> tuple[bytes, ...]:
    """The keys that this request may be signed with, as PEM, or as they are for the form "text".

    One, or several when a set is asked without an id. None of them when there is no such key, or it is
    not valid at `now` (Unix seconds). Never raises for anything in a body. Raises ExtraMissing.
    """
    key: bytes | None
    match request.form:
        case "jwks":
            return _of_set(_value(request, body).get("keys"), request.key_id, now)
        case "jwk":
            key = _of_jwk(_value(request, body), request.key_id, now)
        case "certificate":
            key = read_certificate(_text(request, body), now, request.subject)
        case "pem":
            key = read_pem(_text(request, body))
        case "text":
            key = _text(request, body)
    return (key,) if key else ()


def _value(request: KeyRequest, body: bytes) -> dict[str, Any]:
    document = parse_json(body)
    value = dig(document, request.value) if request.value else document
    return value if isinstance(value, dict) else {}


def _text(request: KeyRequest, body: bytes) -> bytes:
    if not request.value:
        return body.strip()
    document = parse_json(body)
    value = scalar(dig(document, request.value)) if document is not MISSING else None
    return (value or b"").strip()


def _of_set(jwks: object, key_id: str, now: float) -> tuple[bytes, ...]:
    named = [
        jwk
        for jwk in (jwks if isinstance(jwks, list) else [])
        if isinstance(jwk, dict) and (not key_id or jwk.get("kid") == key_id)
    ]
    keys = (_of_jwk(jwk, key_id, now) for jwk in named[:MOST_KEYS])
    return tuple(key for key in keys if key)


def _of_jwk(jwk: dict[str, Any], key_id: str, now: float) -> bytes | None:
    if key_id and jwk.get("kid", key_id) != key_id:
        return None
    ended = jwk.get("expired_at")  # Plaid's word, in Unix seconds
    return None if isinstance(ended, int) and ended <= now else jwk_to_pem(jwk)
