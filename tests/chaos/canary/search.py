"""Where a canary has turned up, and whether it may."""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis import Redis

from tests.chaos.canary.planted import Canaries, Canary


@dataclass(frozen=True, slots=True)
class Sighting:
    canary: str
    place: str
    allowed: bool
    near: str  # what stands around it


def sightings(canaries: Canaries, seen: Mapping[str, bytes]) -> Iterator[Sighting]:
    """Every canary in every place, once."""
    for canary in canaries:
        for place, text in sorted(seen.items()):
            if (at := _found(canary, text)) >= 0:
                near = text[max(0, at - 80) : at + 20].decode(errors="replace")
                yield Sighting(canary.name, place, canary.may_be_in(place), near)


def _found(canary: Canary, text: bytes) -> int:
    return max(text.find(form) for form in canary.forms)


def contents(client: "Redis", key: bytes) -> bytes:
    """All that a key holds; what RQ has compressed, also as it was."""
    named: Any = client.type(key)
    kind = named.decode()
    read: dict[str, Any] = {
        "string": lambda: [client.get(key)],
        "hash": lambda: [part for pair in client.hgetall(key).items() for part in pair],
        "list": lambda: client.lrange(key, 0, -1),
        "set": lambda: client.smembers(key),
        "zset": lambda: client.zrange(key, 0, -1),
        "stream": lambda: [repr(client.xrange(key)).encode()],
    }
    parts = list(read[kind]() if kind in read else ())
    return b"\n".join(whole for part in parts if part for whole in (part, _inflated(part)))


def _inflated(part: bytes) -> bytes:
    with suppress(zlib.error):
        return zlib.decompress(part)
    return b""
