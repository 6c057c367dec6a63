"""Reads what is kept of refused requests, and settles it: for the command line.

Both stores are bounded, so their indexes are read whole; the requests are read a page at a time.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis

from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.refused import Refused, Store, settle
from gateway.adapters.ledger.scripts import run
from gateway.core.capture import Captured

STORES: Final[tuple[Store, ...]] = ("quarantine", "refused")
PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request is kept."""

    store: Store
    source: str
    id: str

    @property
    def quarantined(self) -> bool:
        return self.store == "quarantine"


@dataclass(frozen=True, slots=True)
class RefusedReader:
    """Every method raises redis.RedisError. What has gone meanwhile is None, or left out."""

    client: "Redis"
    keys: Keys

    def newest(
        self, sources: Iterable[str], stores: Sequence[Store] = STORES
    ) -> Iterator[tuple[Place, Refused]]:
        """Of all these sources, the last to come first, without their bodies."""
        places = self._places(sources, stores)
        for first in range(0, len(places), PAGE):
            page = places[first : first + PAGE]
            for place, refused in zip(page, self.read(page, bodies=False), strict=True):
                if refused:
                    yield place, refused

    def waiting(self, source: str) -> list[str]:
        """The ids in the source's quarantine, the oldest first."""
        ids: Any = self.client.zrange(self.keys.refused(source, "quarantine"), 0, -1)
        return [each.decode() for each in ids]

    def whole(self, source: str, ids: Sequence[str]) -> list[Captured | None]:
        """Quarantined requests."""
        found = self.read([Place("quarantine", source, each) for each in ids], bodies=True)
        return [each.captured if each else None for each in found]

    def settle(
        self, source: str, verdicts: Iterable[tuple[str, str]], store: Store = "quarantine"
    ) -> list[str]:
        """Takes requests out, or gives them a new reason: (id, "" or the reason). A word each:
        discarded, refused or missing."""
        return run(self.client, self.keys, settle(store, source, verdicts))

    def find(self, sources: Iterable[str], ids: Sequence[str]) -> list[Place | None]:
        """Where each is kept, in two round trips at most."""
        candidates = [
            [Place(store, source, each) for source in sources for store in STORES] for each in ids
        ]
        pipeline = self.client.pipeline(transaction=False)
        for places in candidates:
            for place in places:
                pipeline.zscore(self.keys.refused(place.source, place.store), place.id)
        scores = iter(pipeline.execute())
        found = [[place for place in places if next(scores) is not None] for places in candidates]
        return [places[0] if places else None for places in found]

    def read(self, places: Sequence[Place], *, bodies: bool) -> list[Refused | None]:
        """A request each, in one round trip."""
        pipeline = self.client.pipeline(transaction=False)
        parts = ("h", "r", "b") if bodies else ("h", "r")
        for place in places:
            requests = self.keys.refused_requests(place.source, place.store)
            pipeline.hmget(requests, [f"{place.id}:{part}" for part in parts])
        rows: list[list[bytes | None]] = pipeline.execute()
        return [_refused(place, *row) for place, row in zip(places, rows, strict=True)]

    def _places(self, sources: Iterable[str], stores: Sequence[Store]) -> list[Place]:
        asked = [(store, source) for source in sources for store in stores]
        pipeline = self.client.pipeline(transaction=False)
        for store, source in asked:
            pipeline.zrange(self.keys.refused(source, store), 0, -1, withscores=True)
        found = [
            (came, Place(store, source, member.decode()))
            for (store, source), members in zip(asked, pipeline.execute(), strict=True)
            for member, came in members
        ]
        return [place for _, place in sorted(found, key=lambda each: each[0], reverse=True)]


def _refused(
    place: Place, head: bytes | None, reason: bytes | None, body: bytes | None = b""
) -> Refused | None:
    if head is None or reason is None or body is None:
        return None
    known = json.loads(head)
    captured = Captured.from_parts(known | {"reason": reason.decode()}, body)
    return Refused(place.id, captured, frozenset(known["proof"]), known["left_out"])
