"""Reads what the ledger keeps: events, their deliveries, failed attempts, dead letters.

Never KEYS, never a whole index: indexes are walked a page at a time, and stop being read when the
caller stops asking. Nothing is written. Times are Unix seconds by Redis' own clock.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any, Final, TypeVar

from redis import Redis
from redis.exceptions import ResponseError

from gateway.adapters.ledger.arrivals import Arrivals
from gateway.adapters.ledger.event_records import (
    DeliveryRecord,
    EventRecord,
    Failure,
    event_record,
    failure,
)
from gateway.adapters.ledger.kept import joined, unpack
from gateway.adapters.ledger.redis_keys import Keys
from gateway.core.event import event_of
from gateway.core.outcomes import DeliveryState
from gateway.replay import Candidate

PAGE: Final = 100

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reader:
    """Every method raises redis.RedisError."""

    client: "Redis"
    keys: Keys

    def now(self) -> float:
        seconds, micros = self.client.time()
        return float(seconds) + float(micros) / 1_000_000

    def known_sources(self) -> set[str]:
        """Every source that ever had an event."""
        members: Any = self.client.smembers(self.keys.sources)
        return {name.decode() for name in members}

    def events(self, ids: Sequence[str]) -> list[EventRecord | None]:
        """A record each, in one round trip; None for what is expired or was never there."""
        pipeline = self.client.pipeline(transaction=False)
        for each in ids:
            pipeline.hgetall(self.keys.event(each))
        rows: list[dict[bytes, bytes]] = pipeline.execute()
        return [event_record(each, row) if row else None for each, row in zip(ids, rows, strict=True)]

    def event(self, event: str) -> EventRecord | None:
        return self.events([event])[0]

    def received(
        self,
        sources: Iterable[str],
        since: float = 0.0,
        until: float = math.inf,
        *,
        newest_first: bool,
    ) -> Iterator[EventRecord]:
        """Events that came between the two, merged by time. Expired ones are skipped."""
        low, high = round(since * 1000, 3), round(until * 1000, 3)
        names, arrivals = list(sources), Arrivals(self.client, self.keys)
        walks = [arrivals.between(name, low, high, newest_first=newest_first) for name in names]
        former = [
            self._walk(self.keys.events(name), low, high, newest_first=newest_first) for name in names
        ]
        for page in _pages(_merged(walks + former, newest_first=newest_first)):
            yield from filter(None, self.events(page))

    def dead_letters(
        self, sources: Iterable[str], since: float = 0.0, *, newest_first: bool
    ) -> Iterator[tuple[EventRecord, DeliveryRecord]]:
        """Those that died since then, with their events, merged by time of death."""
        low = round(since * 1000, 3)
        walks = [
            self._walk(self.keys.dead(name), low, math.inf, newest_first=newest_first)
            for name in sources
        ]
        for page in _pages(_merged(walks, newest_first=newest_first)):
            found = [(event_of(each) or ("", 0))[0] for each in page]
            for event, delivery in zip(self.events(found), page, strict=True):
                record = event.delivery(delivery) if event else None
                if event and record and record.state is DeliveryState.DEAD:
                    yield event, record

    def failures(self, delivery: str) -> list[Failure]:
        """The last twenty, the oldest first."""
        rows: Any = self.client.lrange(self.keys.attempts(delivery), 0, -1)
        return [failure(row) for row in rows]

    def last_failures(self, deliveries: Sequence[str]) -> list[Failure | None]:
        """The last one of each, in one round trip; None where an attempt left no word."""
        pipeline = self.client.pipeline(transaction=False)
        for each in deliveries:
            pipeline.lindex(self.keys.attempts(each), -1)
        return [failure(row) if row else None for row in pipeline.execute()]

    def behind(self, deliveries: Sequence[DeliveryRecord]) -> dict[str, str]:
        """Of the blocked ones among them: which delivery each waits for."""
        blocked = [each for each in deliveries if each.state is DeliveryState.BLOCKED]
        pipeline = self.client.pipeline(transaction=False)
        for each in blocked:
            pipeline.get(self.keys.turn(each.line))
        holders = zip(blocked, pipeline.execute(), strict=True)
        return {each.id: holder.decode() for each, holder in holders if holder}

    def steps(self, delivery: str) -> dict[str, bytes]:
        """What its steps gave, as JSON by name, the way it was recorded. May quote the sender."""
        rows: Any = self.client.hgetall(self.keys.steps(delivery))
        return {name.decode(): value for name, value in rows.items()}

    def headers(self, event: str) -> tuple[tuple[str, str], ...] | None:
        """As they came; None after the retention."""
        kept = self._kept(event)
        return None if kept is None else unpack(kept)[0]

    def body(self, event: str) -> bytes | None:
        """The raw bytes; None after the retention."""
        kept = self._kept(event)
        return None if kept is None else unpack(kept)[1]

    def _kept(self, event: str) -> bytes | None:
        key = self.keys.body(event)
        found: Any
        try:
            found = self.client.get(key)
        except ResponseError:  # the release before this one kept a hash
            found = self.client.hmget(key, "h", "b")
            return joined(found)
        return None if found is None else bytes(found)

    def _walk(
        self, key: str, low: float, high: float, *, newest_first: bool
    ) -> Iterator[tuple[float, bytes]]:
        """Resumes at a score, not at a rank: members come and go while somebody works through them."""
        seen: set[bytes] = set()  # of the score at which the page before ended: a batch shares one
        while True:
            most = PAGE + len(seen)
            page = self._page(key, low, high, most, newest_first=newest_first)
            yield from ((score, member) for member, score in page if member not in seen)
            if len(page) < most:
                return
            edge = page[-1][1]
            seen = {member for member, score in page if score == edge}
            low, high = (low, edge) if newest_first else (edge, high)

    def _page(
        self, key: str, low: float, high: float, most: int, *, newest_first: bool
    ) -> list[tuple[bytes, float]]:
        read = self.client.zrevrangebyscore if newest_first else self.client.zrangebyscore
        first, last = (high, low) if newest_first else (low, high)
        rows: Any = read(key, first, last, start=0, num=most, withscores=True)
        return [(member, score) for member, score in rows]


@dataclass(frozen=True, slots=True)
class ReplayArchive:
    """What the replay flow asks for (`gateway.replay.Archive`)."""

    reader: Reader

    def of_event(self, event: str) -> list[Candidate]:
        record = self.reader.event(event)
        return [candidate(record, each) for each in record.deliveries] if record else []

    def died(self, sources: Sequence[str], since: float) -> Iterator[Candidate]:
        found = self.reader.dead_letters(sources, since, newest_first=False)
        return (candidate(event, delivery) for event, delivery in found)

    def received(self, sources: Sequence[str], since: float, until: float) -> Iterator[Candidate]:
        found = self.reader.received(sources, since, until, newest_first=False)
        return (candidate(event, delivery) for event in found for delivery in event.deliveries)


def candidate(event: EventRecord, delivery: DeliveryRecord) -> Candidate:
    return Candidate(
        delivery.id,
        event.id,
        event.source,
        event.type,
        delivery.processor,
        delivery.state,
        delivery.reason,
        event.received,
    )


def _merged(walks: Iterable[Iterator[tuple[float, bytes]]], *, newest_first: bool) -> Iterator[str]:
    for _, member in merge(*walks, key=lambda row: row[0], reverse=newest_first):
        yield member.decode()


def _pages(members: Iterator[T]) -> Iterator[list[T]]:
    while page := list(islice(members, PAGE)):
        yield page
