"""The index of events by when they came: a stream a source, with one entry for all that one
call of `accept` has stored. It holds the letters of their ids: 37 bytes an event that comes alone, 28
with others. The sorted set that the release before had, at 70 to 110, is read beside it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis

from gateway.adapters.ledger.redis_keys import Keys
from gateway.core.event import EVENT_PREFIX

PAGE: Final = 100  # entries


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Every method raises redis.RedisError."""

    client: "Redis"
    keys: Keys

    def between(
        self, source: str, since: float, until: float, *, newest_first: bool
    ) -> Iterator[tuple[float, bytes]]:
        """Milliseconds and event id, page by page. Both bounds, in milliseconds, are within."""
        key = self.keys.arrived(source)
        low, high = (
            str(math.ceil(max(0.0, since))),
            "+" if until == math.inf else str(math.floor(until)),
        )
        while True:
            page: Any = (
                self.client.xrevrange(key, high, low, PAGE)
                if newest_first
                else self.client.xrange(key, low, high, PAGE)
            )
            for entry, fields in page:
                ids = _ids(fields)
                ms = float(entry.partition(b"-")[0])
                yield from ((ms, each) for each in (reversed(ids) if newest_first else ids))
            if len(page) < PAGE:
                return
            edge = f"({page[-1][0].decode()}"
            low, high = (low, edge) if newest_first else (edge, high)

    def after(self, source: str, cursor: str, most: int) -> tuple[str, list[str]]:
        """Ids from `cursor` (milliseconds, or what this gave) on, of so many entries; and the cursor
        for what comes next."""
        page: Any = self.client.xrange(self.keys.arrived(source), cursor, "+", most)
        ids = [each.decode() for _, fields in page for each in _ids(fields)]
        return (f"({page[-1][0].decode()}" if page else cursor), ids


def _ids(fields: dict[bytes, bytes]) -> list[bytes]:
    return [EVENT_PREFIX.encode() + letters for letters in fields[b"e"].split()]
