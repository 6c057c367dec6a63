"""Looks again and again at the records of events that are known, and tells what has become of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from gateway.adapters.ledger.event_records import EventRecord, Failure
from gateway.adapters.ledger.happenings import Happening, happenings
from gateway.adapters.ledger.reader import Reader

Mark = tuple[int, float]


@dataclass(slots=True)
class Watched:
    """A record as it was last seen, and the last note that was seen of each delivery."""

    record: EventRecord | None
    marks: dict[str, Mark] = field(default_factory=dict)

    @classmethod
    def from_now(cls, reader: Reader, event: EventRecord) -> "Watched":
        """What is known of it by now is not told."""
        if not any(each.attempts or each.fence for each in event.deliveries):
            return cls(event)
        ids = [each.id for each in event.deliveries]
        last = zip(ids, reader.last_failures(ids), strict=True)
        return cls(event, {delivery: _mark(failure) for delivery, failure in last if failure})

    def compare(self, reader: Reader, event: EventRecord) -> list[Happening]:
        """What has become of it since."""
        if event == self.record:
            return []
        told = list(happenings(self.record, event, partial(self._notes, reader)))
        self.record = event
        return told

    def _notes(self, reader: Reader, delivery: str) -> list[Failure]:
        """Those that were not seen yet; from now on they were."""
        kept, mark = reader.failures(delivery), self.marks.get(delivery)
        places = [place for place, each in enumerate(kept) if _mark(each) == mark]
        if kept:
            self.marks[delivery] = _mark(kept[-1])
        return kept[places[-1] + 1 :] if places else kept


class Vigil:
    """Events that are known, from now on: `look` tells what has become of them since the last look."""

    def __init__(self, reader: Reader, events: Sequence[str]) -> None:
        """Raises redis.RedisError, as `look` does."""
        self._reader = reader
        self.began = reader.now()
        found = filter(None, reader.events(list(dict.fromkeys(events))))
        self._watched = {each.id: Watched.from_now(reader, each) for each in found}

    def look(self) -> list[Happening]:
        records = filter(None, self._reader.events(list(self._watched)))
        told = (self._watched[each.id].compare(self._reader, each) for each in records)
        return by_time(each for some in told for each in some)


def _mark(failure: Failure) -> Mark:
    return failure.attempt, failure.at


def by_time(found: Iterable[Happening]) -> list[Happening]:
    return sorted(found, key=lambda each: each.at)
