"""The ledger as a few lines of Python: what each script must answer and leave behind.

Times are milliseconds of the model's own clock, which only `pass_time` moves.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.core.event import delivery_id
from gateway.core.retry import Dead, Decision, Done, Wait
from tests.adapters.ledger_rig import LEASE, LOOK, a_source, an_event

MOST_CRASHES: Final = 3
RETENTION, WINDOW = 3 * LEASE, 6 * LEASE
SOURCES: Final = {
    name: a_source(
        name, dedup_window=WINDOW / 1000, retention=RETENTION / 1000, revive_dead=name == "stripe"
    )
    for name in ("github", "stripe")
}


@dataclass(slots=True)
class Delivery:
    id: str
    event: "Event"
    look: int  # when the sweeper looks next
    state: str = "pending"
    attempts: int = 0
    crashes: int = 0
    fence: int = 0
    due: int = 0  # the end of the lease, or of the waiting

    @property
    def bell(self) -> str:
        return f"{self.id}-{self.fence + 1}"

    @property
    def open(self) -> bool:
        return self.state in ("pending", "leased", "waiting")


@dataclass(slots=True)
class Event:
    source: str
    content: str = ""  # what was signed, where it counts
    deliveries: list[Delivery] = field(default_factory=list)
    ended: int | None = None

    @property
    def state(self) -> str:
        states = {each.state for each in self.deliveries}
        if "dead" in states:
            return "dead"
        return "done" if states == {"done"} else "pending"


@dataclass(slots=True)
class Model:
    clock: int = 0
    events: dict[str, Event] = field(default_factory=dict)  # by source and value

    def deliveries(self) -> Iterator[Delivery]:
        return (delivery for event in self.events.values() for delivery in event.deliveries)

    def find(self, delivery: str) -> Delivery | None:
        return next((each for each in self.deliveries() if each.id == delivery), None)

    def due(self, delivery: Delivery) -> bool:
        return delivery.open and delivery.look <= self.clock

    def has_body(self, event: Event) -> bool:
        return event.ended is None or self.clock < event.ended + RETENTION

    def pass_time(self, ms: int) -> list[Event]:
        """The events whose record has expired."""
        self.clock += ms
        gone = {
            name: event
            for name, event in self.events.items()
            if event.ended is not None and event.ended + WINDOW <= self.clock
        }
        for name in gone:
            del self.events[name]
        return list(gone.values())

    def first_with(self, source: str, content: str) -> Event | None:
        same = (each for each in self.events.values() if each.source == source)
        return next((each for each in same if content and each.content == content), None)

    def accept(self, source: str, value: str, processors: int, content: str = "") -> str:
        event = self.events.get(source + value)
        if event is None:
            if first := self.first_with(source, content):
                return first.state
            event = self.events[source + value] = Event(source, content)
            for number in range(1, processors + 1):
                name = delivery_id(an_event(value, source).id, number)
                event.deliveries.append(Delivery(name, event, self.clock + LOOK))
            return "accepted"
        if event.state != "dead" or not SOURCES[source].revive_dead:
            return event.state
        words = [self.replay(each) for each in event.deliveries if each.state == "dead"]
        return "revived" if "replayed" in words else "dead"

    def claim(self, delivery: Delivery) -> str:
        if delivery.state in ("done", "dead"):
            return delivery.state
        if delivery.state != "pending" and self.clock < delivery.due:
            return "busy" if delivery.state == "leased" else "waiting"
        if delivery.state == "leased":
            delivery.crashes += 1
            if delivery.crashes >= MOST_CRASHES:
                delivery.state = "dead"
                return "poison"
        delivery.state = "leased"
        delivery.attempts += 1
        delivery.fence += 1
        delivery.due = delivery.look = self.clock + LEASE
        return "run"

    def holds(self, delivery: Delivery | None, fence: int) -> bool:
        return delivery is not None and (delivery.state, delivery.fence) == ("leased", fence)

    def finish(self, delivery: Delivery, decision: Decision | None) -> None:
        match decision:
            case Done():
                self._end(delivery)
            case Wait(delay):
                delivery.state = "waiting"
                delivery.due = delivery.look = self.clock + int(delay * 1000)
            case Dead():
                delivery.state = "dead"
            case None:
                delivery.state = "pending"
                delivery.attempts -= 1
                delivery.look = self.clock + LOOK

    def sweep(self) -> list[Delivery]:
        """The deliveries that were due, and are now rung if their bell was lost."""
        looked = [each for each in self.deliveries() if self.due(each)]
        for each in looked:
            each.look = self.clock + LOOK
            if each.state == "waiting":
                each.state = "pending"
        return looked

    def replay(self, delivery: Delivery, also_done: bool = False) -> str:
        if delivery.state != "dead" and not (also_done and delivery.state == "done"):
            return delivery.state
        if not self.has_body(delivery.event):
            return "body_missing"
        delivery.state, delivery.attempts, delivery.crashes = "pending", 0, 0
        delivery.look = self.clock + LOOK
        delivery.event.ended = None
        return "replayed"

    def discard(self, delivery: Delivery) -> str:
        if delivery.state != "dead":
            return delivery.state
        self._end(delivery)
        return "discarded"

    def _end(self, delivery: Delivery) -> None:
        delivery.state = "done"
        if all(each.state == "done" for each in delivery.event.deliveries):
            delivery.event.ended = self.clock
