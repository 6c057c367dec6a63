"""A verified webhook as it is stored, and the ids that make a repeat of it a duplicate."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

INTERNAL: Final = "internal"
"""The source of what processors emit."""

EVENT_PREFIX: Final = "evt_"
DELIVERY_PREFIX: Final = "dlv_"
DIGITS: Final = "abcdefghijklmnopqrstuvwxyz234567"
PAIRS: Final = tuple(first + second for first in DIGITS for second in DIGITS)
DELIVERY: Final = re.compile(r"dlv_([a-z2-7]{26})-([1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True)
class Event:
    """One verified webhook. `received_at` in Unix seconds by the gateway's clock.

    `proof`: 16 bytes that name the signed content (none where the provider's id is signed itself): an
    event with another id and the same proof is a repeat of the first.
    """

    id: str
    source: str
    type: str
    provider_id: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    received_at: float
    proof: bytes = b""


@dataclass(frozen=True, slots=True)
class Turn:
    """The place of one delivery in its processor's order: `number` is that processor's, from 1.

    Deliveries of one `key` run one after the other. `blocks`: a dead one keeps those behind it
    waiting. `version` is sortable text (`core/ordering.py`); "": nothing overtakes this delivery.
    """

    number: int
    key: str
    blocks: bool = False
    version: str = ""


class Arrival(NamedTuple):
    """An event on its way into the ledger, with the names of the processors that shall have it.

    `turns` of those among them that keep an order.
    """

    event: Event
    processors: tuple[str, ...]
    turns: tuple[Turn, ...] = ()


def event_id(source: str, kind: str, value: bytes) -> str:
    """The idempotency key of (source, value) as an id: the same webhook always has the same one.

    `kind` says what `value` is ("id", "body", "signed"): a body cannot pose as an id. Source names
    and kinds hold no NUL, which makes the joined text injective. 128 bits: no accidental clash.
    """
    digest = hashlib.blake2b(b"\0".join((source.encode(), kind.encode(), value)), digest_size=16)
    return EVENT_PREFIX + base32(digest.digest())


def base32(digest: bytes) -> str:
    """RFC 4648 in lower case, without padding, of 16 bytes. The standard library's takes twice as long,
    and this runs for every request."""
    pairs = []
    for at in range(0, 15, 5):  # 40 bits, two digits for every ten
        a, b, c, d, e = digest[at : at + 5]
        pairs.append(PAIRS[a << 2 | b >> 6])
        pairs.append(PAIRS[(b & 63) << 4 | c >> 4])
        pairs.append(PAIRS[(c & 15) << 6 | d >> 2])
        pairs.append(PAIRS[(d & 3) << 8 | e])
    pairs.append(PAIRS[digest[15] << 2])
    return "".join(pairs)


def delivery_id(event: str, number: int) -> str:
    """`evt_abc`, 1 → `dlv_abc-1`: the letters and signs that RQ allows in a job id."""
    return f"{DELIVERY_PREFIX}{event.removeprefix(EVENT_PREFIX)}-{number}"


def event_of(delivery: str) -> tuple[str, int] | None:
    """The event id and number inside a delivery id; None when it is not one."""
    match = DELIVERY.fullmatch(delivery)
    return (EVENT_PREFIX + match[1], int(match[2])) if match else None
