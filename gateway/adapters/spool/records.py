"""One kept request as bytes: all that `accept` needs to be repeated, under a checksum.

The head is JSON: what is small of each event, and its headers, which the events of a batch share. The
bodies follow it raw.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final

from gateway.core.event import Arrival, Event, Turn

FORMAT: Final = 1
WITH_TURNS: Final = 2  # where an arrival keeps an order: which a release before that could not read
OVERHEAD: Final = 128  # bytes that a row takes in the database besides


class RecordError(Exception):
    """These are not the bytes that were written."""


# What `unpack` may raise at columns of which even the types are wrong.
BAD_RECORD: Final = (RecordError, ValueError, TypeError, KeyError, IndexError)


@dataclass(frozen=True, slots=True)
class Packed:
    """The columns of one record. `size` in bytes, as it counts for the bounds."""

    source: str
    received_at: float
    head: bytes
    bodies: bytes
    digest: bytes

    @property
    def size(self) -> int:
        return len(self.head) + len(self.bodies) + OVERHEAD


def pack(arrivals: Sequence[Arrival], source: str) -> Packed:
    """The arrivals of one request, at least one."""
    headers: dict[tuple[tuple[bytes, bytes], ...], int] = {}
    rows = [
        (
            each.event.id,
            each.event.type,
            each.event.provider_id,
            each.event.received_at,
            _text(each.event.proof),
            headers.setdefault(each.event.headers, len(headers)),
            len(each.event.body),
            each.processors,
            *([[astuple(turn) for turn in each.turns]] if each.turns else []),
        )
        for each in arrivals
    ]
    texts = [[(_text(name), _text(value)) for name, value in pairs] for pairs in headers]
    number = WITH_TURNS if any(each.turns for each in arrivals) else FORMAT
    head = json.dumps({"format": number, "headers": texts, "events": rows}).encode()
    bodies = b"".join(each.event.body for each in arrivals)
    received_at = arrivals[0].event.received_at
    return Packed(source, received_at, head, bodies, _digest(source, head, bodies))


def unpack(source: str, head: bytes, bodies: bytes, digest: bytes) -> tuple[Arrival, ...]:
    """What was packed. Raises RecordError."""
    if _digest(source, head, bodies) != digest:
        raise RecordError("its checksum is wrong")
    found: Any = json.loads(head)
    if found["format"] not in (FORMAT, WITH_TURNS):
        raise RecordError(f"its format {found['format']} is of another version of Hookline")
    headers = [tuple((_raw(name), _raw(value)) for name, value in pairs) for pairs in found["headers"]]
    arrivals, at = [], 0
    for name, kind, provider_id, received_at, proof, which, size, processors, *more in found["events"]:
        body, at = bodies[at : at + size], at + size
        event = Event(name, source, kind, provider_id, headers[which], body, received_at, _raw(proof))
        turns = tuple(Turn(*each) for each in (more[0] if more else ()))
        arrivals.append(Arrival(event, tuple(processors), turns))
    return tuple(arrivals)


def _digest(source: str, head: bytes, bodies: bytes) -> bytes:
    name = source.encode()
    digest = hashlib.blake2b(b"%d:%d:" % (len(name), len(head)), digest_size=16)
    for part in (name, head, bodies):
        digest.update(part)
    return digest.digest()


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _raw(text: str) -> bytes:
    return text.encode("latin-1")
