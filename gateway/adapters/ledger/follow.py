"""Follows what happens in the ledger, from any process: nothing is written, no hot path pays for it.

Arrivals and deaths have indexes by time, of which each look reads what is new. How an attempt ended
stands in the event's record alone. So the records of open events are read again, and those of the
latest ones that have ended, because somebody may replay them. What a look costs is bounded, however
many events there are: 500 arrivals a source and 300 records. What goes past that is counted.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from gateway.adapters.ledger.arrivals import Arrivals
from gateway.adapters.ledger.event_records import EventRecord
from gateway.adapters.ledger.happenings import Happening, has_ended
from gateway.adapters.ledger.reader import Reader
from gateway.adapters.ledger.vigil import Watched, by_time
from gateway.core.event import event_of

MOST_ARRIVALS: Final = 500
MOST_SKIPS: Final = 20
MOST_FOUND: Final = 100
MOST_READ: Final = 300
MOST_OPEN: Final = 2000
MOST_ENDED: Final = 200
ENDED_EVERY: Final = 4  # looks
SOON_MS: Final = 5000


@dataclass(slots=True)
class _Edge:
    """How far an index has been read. Members may share a score: the last one's are remembered."""

    score: float
    seen: set[bytes] = field(default_factory=set)

    def advance(self, rows: Sequence[tuple[bytes, float]]) -> list[str]:
        """Those of the rows, by score, that are new."""
        fresh = [(member, score) for member, score in rows if member not in self.seen]
        if fresh:
            last = fresh[-1][1]
            if last > self.score:
                self.score, self.seen = last, set()
            self.seen |= {member for member, score in fresh if score == last}
        return [member.decode() for member, _ in fresh]


class Follower:
    """`sources` says which, at each look. Every method raises redis.RedisError."""

    def __init__(self, reader: Reader, sources: Callable[[], Iterable[str]], look_ms: int) -> None:
        self._reader = reader
        self._sources = sources
        self._look_ms = look_ms
        self._index = Arrivals(reader.client, reader.keys)
        self._cursors: dict[str, str] = {}  # how far the index of arrivals has been read
        self._deaths: dict[str, _Edge] = {}
        self._open: OrderedDict[str, Watched] = OrderedDict()
        self._ended: OrderedDict[str, Watched] = OrderedDict()
        self._looks = 0
        self._now = self._clock()
        self.passed_over = 0
        """Events that came too quickly to be followed."""
        self._begin(self._now)

    def history(self, since: float, most: int, wants: Callable[[EventRecord], bool]) -> list[Happening]:
        """What is known of the newest events that came since then, at most so many of those wanted."""
        newest = self._reader.received(self._sources(), since, newest_first=True)
        looked_at = islice(newest, MOST_OPEN)
        events = list(islice((each for each in looked_at if wants(each)), most))
        return by_time(each for event in events for each in self._first_look(event))

    def look(self) -> list[Happening]:
        """What has happened since the last look, by time. Call it a few times a second."""
        began, self._now = self._now, self._clock()
        self._looks += 1
        names = list(self._sources())
        arrived, replayed = self._arrived(names), self._replayed(names, began)
        self._note_deaths(names)
        since = began / 1000 - 1  # of what was not watched, no more than the news
        return by_time((*arrived, *replayed, *self._looked_again(since)))

    def _clock(self) -> int:
        """Redis' own, in whole milliseconds, as the indexes have it."""
        return math.floor(self._reader.now() * 1000)

    # What to look at

    def _begin(self, now: int) -> None:
        """What ended lately, and what is due soon, is watched from now on."""
        names = list(self._sources())
        for name in names:
            self._cursors[name], self._deaths[name] = str(now), _Edge(now)
        newest = islice(self._reader.received(names, newest_first=True), MOST_ENDED)
        for event in (*newest, *self._events(self._due(names, 0, now + SOON_MS))):
            self._keep(Watched.from_now(self._reader, event), event)

    def _arrived(self, names: Sequence[str]) -> list[Happening]:
        found: list[Happening] = []
        for name in names:
            cursor = self._cursors.get(name, str(self._now - 1000))
            self._cursors[name], ids = self._index.after(name, cursor, MOST_ARRIVALS)
            if len(ids) >= MOST_ARRIVALS:
                self.passed_over += len(ids[MOST_ARRIVALS:])
                ids = ids[:MOST_ARRIVALS]
                self._skip(name)
            for event in self._events([each for each in ids if not self._knows(each)]):
                found += self._first_look(event)
        return found

    def _skip(self, name: str) -> None:
        """Too many to show one by one: go on with what comes next."""
        for _ in range(MOST_SKIPS):
            self._cursors[name], ids = self._index.after(name, self._cursors[name], MOST_ARRIVALS)
            self.passed_over += len(ids)
            if not ids:
                return

    def _note_deaths(self, names: Sequence[str]) -> None:
        """Of events that nobody watched too."""
        for name in names:
            edge = self._deaths.setdefault(name, _Edge(self._now - 1000))
            died = edge.advance(self._rows(self._reader.keys.dead(name), edge, MOST_FOUND))
            for event in _events_of(died):
                if not self._knows(event):
                    self._open[event] = Watched(None)

    def _replayed(self, names: Sequence[str], began: int) -> list[Happening]:
        """And those that are due soon begin to be watched. What has just come is not meant."""
        found = self._due(names, began + self._look_ms, self._now + self._look_ms)
        if self._looks % ENDED_EVERY == 0:
            found += self._due(names, 0, self._now + SOON_MS)
        told: list[Happening] = []
        for event in self._events([each for each in found if not self._knows(each)]):
            if event.received * 1000 >= began:
                continue
            self._keep(Watched.from_now(self._reader, event), event)
            told += [
                Happening(each.time, "replayed", event, each)
                for each in event.deliveries
                if each.reason == "replayed" and each.time * 1000 >= began
            ]
        return told

    def _due(self, names: Sequence[str], low: float, high: float) -> list[str]:
        pipeline = self._reader.client.pipeline(transaction=False)
        for name in names:
            pipeline.zrangebyscore(self._reader.keys.pending(name), low, high, 0, MOST_FOUND)
        return [each for page in pipeline.execute() for each in _events_of(map(bytes.decode, page))]

    def _rows(self, key: str, edge: _Edge, most: int) -> list[tuple[bytes, float]]:
        many = most + len(edge.seen)
        rows: Any = self._reader.client.zrangebyscore(key, edge.score, "+inf", 0, many, withscores=True)
        return [(member, score) for member, score in rows]

    # Looking

    def _first_look(self, event: EventRecord) -> list[Happening]:
        watched = Watched(None)
        told = watched.compare(self._reader, event)
        self._keep(watched, event)
        return [Happening(event.received, "accepted", event), *told]

    def _looked_again(self, since: float) -> list[Happening]:
        ids = list(islice(self._open, MOST_READ))
        if self._looks % ENDED_EVERY == 0:
            ids += self._ended
        found: list[Happening] = []
        for event_id, event in zip(ids, self._reader.events(ids), strict=True):
            watched = self._open.pop(event_id, None) or self._ended.pop(event_id)
            if event is None:  # it has expired
                continue
            known = watched.record is not None
            told = watched.compare(self._reader, event)
            found += [each for each in told if known or each.at >= since]
            self._keep(watched, event)
        return found

    def _keep(self, watched: Watched, event: EventRecord) -> None:
        """At the end of its line: each in turn."""
        line, most = (self._ended, MOST_ENDED) if has_ended(event) else (self._open, MOST_OPEN)
        line[event.id] = watched
        while len(line) > most:
            line.popitem(last=False)
            self.passed_over += line is self._open

    def _knows(self, event: str) -> bool:
        return event in self._open or event in self._ended

    def _events(self, ids: Sequence[str]) -> Iterator[EventRecord]:
        return filter(None, self._reader.events(list(dict.fromkeys(ids)))) if ids else iter(())


def _events_of(deliveries: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(found[0] for each in deliveries if (found := event_of(each))))
