"""The ledger as a few lines of Python: what each script must answer and leave behind.

Times are milliseconds of the model's own clock, which only `pass_time` moves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.core.event import Turn, delivery_id
from gateway.core.retry import Dead, Decision, Done, Wait
from tests.adapters.ledger_rig import LEASE, LOOK, a_source, an_event

MOST_CRASHES: Final = 3
ABANDON_AFTER: Final = 4
RETENTION, WINDOW = 3 * LEASE, 6 * LEASE
FAR: Final = 221845392000000  # where the sweeper does not see what is blocked
NO_TURN: Final = Turn(0, "")
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
    own: int = 0  # of them, those that its holder lived to see
    given_up: bool = False
    fence: int = 0
    due: int = 0  # the end of the lease, or of the waiting
    turn: Turn = NO_TURN
    arrival: int = 0

    @property
    def bell(self) -> str:
        return f"{self.id}-{self.fence + 1}"

    @property
    def open(self) -> bool:
        return self.state in ("pending", "leased", "waiting", "blocked")


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
    arrivals: int = 0
    holders: dict[str, Delivery] = field(default_factory=dict)  # by key of the line
    latest: dict[str, tuple[str, int]] = field(default_factory=dict)  # version, when it is forgotten
    rung: list[Delivery] = field(default_factory=list)  # whose turn came, since somebody last asked

    def deliveries(self) -> Iterator[Delivery]:
        return (delivery for event in self.events.values() for delivery in event.deliveries)

    def find(self, delivery: str) -> Delivery | None:
        return next((each for each in self.deliveries() if each.id == delivery), None)

    def line(self, key: str) -> list[Delivery]:
        blocked = (each for each in self.deliveries() if each.state == "blocked")
        return sorted((each for each in blocked if each.turn.key == key), key=lambda each: each.arrival)

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

    def accept(
        self,
        source: str,
        value: str,
        processors: int,
        content: str = "",
        turns: Sequence[Turn] = (),
    ) -> str:
        event = self.events.get(source + value)
        if event is None:
            if first := self.first_with(source, content):
                return first.state
            event = self.events[source + value] = Event(source, content)
            for number in range(1, processors + 1):
                name = delivery_id(an_event(value, source).id, number)
                event.deliveries.append(Delivery(name, event, self.clock + LOOK))
            for turn in turns:
                self._enter(event.deliveries[turn.number - 1], turn)
            return "accepted"
        if event.state != "dead" or not SOURCES[source].revive_dead:
            return event.state
        words = [self.replay(each) for each in event.deliveries if each.state == "dead"]
        return "revived" if "replayed" in words else "dead"

    def claim(self, delivery: Delivery) -> str:
        if delivery.state in ("done", "dead", "blocked"):
            return delivery.state
        if delivery.state != "pending" and self.clock < delivery.due:
            return "busy" if delivery.state == "leased" else "waiting"
        if delivery.state == "leased":
            delivery.crashes += 1
            delivery.own += delivery.given_up
            if word := _deadly(delivery):
                self._die(delivery)
                return word
        if self._is_overtaken(delivery.turn):
            self._end(delivery)
            return "overtaken"
        if not self._take_turn(delivery):
            return "blocked"
        delivery.state = "leased"
        delivery.attempts += 1
        delivery.fence += 1
        delivery.given_up = False
        delivery.due = delivery.look = self.clock + LEASE
        return "run"

    def holds(self, delivery: Delivery | None, fence: int) -> bool:
        return delivery is not None and (delivery.state, delivery.fence) == ("leased", fence)

    def give_up(self, delivery: Delivery) -> None:
        delivery.given_up = True
        delivery.due = delivery.look = self.clock

    def finish(self, delivery: Delivery, decision: Decision | None) -> None:
        match decision:
            case Done():
                self._end(delivery)
            case Wait(delay, counted):
                delivery.state = "waiting"
                delivery.attempts -= not counted
                delivery.due = delivery.look = self.clock + int(delay * 1000)
            case Dead():
                self._die(delivery)
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
        self._look_after_lines()
        return looked

    def replay(self, delivery: Delivery, also_done: bool = False) -> str:
        if delivery.state != "dead" and not (also_done and delivery.state == "done"):
            return delivery.state
        if not self.has_body(delivery.event):
            return "body_missing"
        delivery.state = "pending"
        delivery.attempts = delivery.crashes = delivery.own = 0
        delivery.look = self.clock + LOOK
        delivery.event.ended = None
        self._take_turn(delivery)
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
        self._pass_turn(delivery)

    def _die(self, delivery: Delivery) -> None:
        delivery.state = "dead"
        if not delivery.turn.blocks:
            self._pass_turn(delivery)

    # Order

    def _enter(self, delivery: Delivery, turn: Turn) -> None:
        self.arrivals += 1
        delivery.turn, delivery.arrival = turn, self.arrivals
        if turn.version:
            overtaken = self._is_overtaken(turn)
            latest = self._latest(turn.key) if overtaken else turn.version
            self.latest[turn.key] = (latest, self.clock + WINDOW)
            if overtaken:
                delivery.turn = NO_TURN  # it never stood in line
                self._end(delivery)
                delivery.turn = turn
                return
        self._take_turn(delivery)

    def _latest(self, key: str) -> str:
        version, forgotten = self.latest.get(key, ("", 0))
        return version if self.clock < forgotten else ""

    def _is_overtaken(self, turn: Turn) -> bool:
        return bool(turn.version) and turn.version < self._latest(turn.key)

    def _take_turn(self, delivery: Delivery) -> bool:
        if not delivery.turn.key or self.holders.setdefault(delivery.turn.key, delivery) is delivery:
            return True
        delivery.state = "blocked"
        delivery.look = FAR + self.clock + LOOK
        return False

    def _pass_turn(self, delivery: Delivery) -> None:
        key = delivery.turn.key
        if key and self.holders.get(key, delivery) is delivery:
            self._pass_on(key)

    def _pass_on(self, key: str) -> None:
        self.holders.pop(key, None)
        for first in self.line(key)[:1]:
            first.state, first.look = "pending", self.clock + LOOK
            self.holders[key] = first
            self.rung.append(first)

    def _look_after_lines(self) -> None:
        """Those of which somebody got lost."""
        for each in list(self.deliveries()):
            if each.state == "blocked" and each.look <= FAR + self.clock:
                each.look = FAR + self.clock + LOOK
                if each.turn.key not in self.holders:
                    self._pass_on(each.turn.key)


def _deadly(delivery: Delivery) -> str:
    """The reason of its death by crashes, "" for none."""
    if delivery.crashes >= MOST_CRASHES and delivery.own >= MOST_CRASHES - 1:
        return "poison"
    return "abandoned" if delivery.crashes >= ABANDON_AFTER else ""
