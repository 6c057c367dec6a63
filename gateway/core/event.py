"""A verified webhook as it is stored, and the ids that make a repeat of it a duplicate."""

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

EVENT_PREFIX: Final = "evt_"
DELIVERY_PREFIX: Final = "dlv_"
DELIVERY: Final = re.compile(r"dlv_([a-z2-7]{26})-([1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True)
class Event:
    """One verified webhook. `received_at` in Unix seconds by the gateway's clock."""

    id: str
    source: str
    type: str
    provider_id: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    received_at: float


def event_id(source: str, kind: str, value: bytes) -> str:
    """The idempotency key of (source, value) as an id: the same webhook always has the same one.

    `kind` says what `value` is ("id" or "body"), so that a body cannot pose as an id. Source names
    and kinds hold no NUL, which makes the joined text injective. 128 bits: no accidental clash.
    """
    digest = hashlib.blake2b(
        b"\0".join((source.encode(), kind.encode(), value)), digest_size=16
    ).digest()
    return EVENT_PREFIX + base64.b32encode(digest).decode().rstrip("=").lower()


def delivery_id(event: str, number: int) -> str:
    """`evt_abc`, 1 → `dlv_abc-1`: the letters and signs that RQ allows in a job id."""
    return f"{DELIVERY_PREFIX}{event.removeprefix(EVENT_PREFIX)}-{number}"


def event_of(delivery: str) -> tuple[str, int] | None:
    """The event id and number inside a delivery id; None when it is not one."""
    match = DELIVERY.fullmatch(delivery)
    return (EVENT_PREFIX + match[1], int(match[2])) if match else None
