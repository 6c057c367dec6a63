"""The idempotency keys and the types of the events in a verified request."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from gateway.core.event import Event, event_id
from gateway.core.fields import Fields
from gateway.core.json_slices import slices
from gateway.core.template import Template, first
from gateway.core.verification import VerifiedRequest

MAX_TEXT: Final = 200
MAX_BATCH: Final = 2000  # one script call stores them all: more would hold Redis up


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """Where a provider puts the event's id and type: the first template that resolves wins.

    `id_proven`: the proof covers the id, or it is believed without. `batch`: the path of the array
    whose items are events, in the body, or in its form field `batch_field`.
    """

    event_id: tuple[Template, ...] = ()
    event_type: tuple[Template, ...] = ()
    id_proven: bool = True
    batch: str | None = None
    batch_field: str | None = None

    def of_items(self) -> "IdentityRules":
        """For the items of a batch: an id that names the request would make one event of them all."""
        own = tuple(
            each for each in self.event_id if any(name.kind == "item" for name in each.references())
        )
        return replace(self, event_id=own)


def identify(verified: VerifiedRequest, source: str, rules: IdentityRules) -> tuple[Event, ...]:
    """The events in a verified request: one, or one for each item of a batch, which may be empty.

    A body that is no such batch is one event as it is: its processors say what is odd about it.
    """
    items = slices(_batch(verified.fields, rules), rules.batch) if rules.batch else None
    if items is None or len(items) > MAX_BATCH:
        return (_event(verified, verified.fields, verified.request.body, source, rules),)
    rules = rules.of_items()
    return tuple(
        _event(verified, verified.fields.of_item(item), body, source, rules) for item, body in items
    )


def _batch(fields: Fields, rules: IdentityRules) -> bytes:
    field = rules.batch_field
    return fields.form().get(field, b"") if field else fields.request.body


def _event(
    verified: VerifiedRequest, fields: Fields, body: bytes, source: str, rules: IdentityRules
) -> Event:
    """Without a provider's id, the body's hash is the key."""
    provider_id = first(rules.event_id, fields)
    type_ = first(rules.event_type, fields) or b""
    if provider_id is not None:
        key = event_id(source, "id", provider_id)
    else:
        key = event_id(source, "body", hashlib.sha256(body).digest())
    unproven = provider_id is not None and not rules.id_proven and verified.signed
    return Event(
        id=key,
        source=source,
        type=readable(type_),
        provider_id=readable(provider_id or b""),
        headers=verified.request.headers.raw,
        body=body,
        received_at=verified.request.received_at,
        proof=_proof(source, type_, verified.signed, body) if unproven else b"",
    )


def _proof(source: str, type_: bytes, signed: Iterable[bytes], body: bytes) -> bytes:
    """Names what was signed, such that no two events share it.

    With the type: a provider may send one body for two types (Shopify's orders/create and orders/paid).
    With the body, also where it is not signed: two webhooks of one second may carry the same token.
    """
    digest = hashlib.blake2b(b"%b\0signed\0" % source.encode(), digest_size=16)
    for part in (type_, *(part for part in signed if part is not body), body):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()


def readable(text: bytes) -> str:
    """Outside text for people and matching: at most 200 characters, nothing unprintable.

    Unprintable are also line separators and signs that turn the direction of the text around.
    """
    decoded = text[: MAX_TEXT * 4].decode("utf-8", "replace")[:MAX_TEXT]
    if decoded.isprintable():
        return decoded
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in decoded)
