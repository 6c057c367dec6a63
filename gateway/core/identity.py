"""The idempotency key and the event type of a verified request."""

import hashlib
from dataclasses import dataclass
from typing import Final

from gateway.core.event import Event, event_id
from gateway.core.template import Template, first
from gateway.core.verification import VerifiedRequest

MAX_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """Where a provider puts the event's id and type: the first template that resolves wins."""

    event_id: tuple[Template, ...] = ()
    event_type: tuple[Template, ...] = ()


def identify(verified: VerifiedRequest, source: str, rules: IdentityRules) -> Event:
    """The event in a verified request. Without a provider's id, the body's hash is the key."""
    request, fields = verified.request, verified.fields
    provider_id = first(rules.event_id, fields)
    if provider_id is not None:
        key = event_id(source, "id", provider_id)
    else:
        key = event_id(source, "body", hashlib.sha256(request.body).digest())
    return Event(
        id=key,
        source=source,
        type=readable(first(rules.event_type, fields) or b""),
        provider_id=readable(provider_id or b""),
        headers=request.headers.raw,
        body=request.body,
        received_at=request.received_at,
    )


def readable(text: bytes) -> str:
    """Outside text for people and matching: at most 200 characters, nothing unprintable.

    Unprintable are also line separators and signs that turn the direction of the text around.
    """
    decoded = text[: MAX_TEXT * 4].decode("utf-8", "replace")[:MAX_TEXT]
    if decoded.isprintable():
        return decoded
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in decoded)
