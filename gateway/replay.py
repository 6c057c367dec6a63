"""Flow 3: an operator puts deliveries back.

Which ones (`Selection`, `expand`) and how fast (`Pace`) is decided on values; `Steps` carries it out.
What was read may be old by then: what becomes of a delivery is the ledger's word alone.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Protocol

from gateway.core.event import event_id, event_of
from gateway.core.outcomes import DeliveryState

EVENT: Final = re.compile(r"evt_[a-z2-7]{26}")
MOST_AT_ONCE: Final = 100  # a script holds the server up while it runs
STEPS_A_SECOND: Final = 50

REPLAYED: Final = "replayed"
MISSING: Final = "missing"
DISCARDED: Final = "discarded"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A delivery that might be put back. `received` in Unix seconds."""

    delivery: str
    event: str
    source: str
    type: str
    processor: str
    state: DeliveryState
    reason: str
    received: float


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a delivery (or of an event that has none to put back), in the ledger's word."""

    id: str
    word: str


class Archive(Protocol):
    """What is stored, as far as a replay needs to know it."""

    def of_event(self, event: str) -> Sequence[Candidate]:
        """The event's deliveries; none when it is unknown."""

    def died(self, sources: Sequence[str], since: float) -> Iterator[Candidate]:
        """Dead letters that died since then, the oldest first."""

    def received(self, sources: Sequence[str], since: float, until: float) -> Iterator[Candidate]:
        """Deliveries of the events received between the two, the oldest first."""


class Ledger(Protocol):
    """One operation of the ledger: replay, or discard."""

    def __call__(self, deliveries: Sequence[str], /) -> Sequence[str]:
        """A word each, in order."""


class Clock(Protocol):
    """Seconds. `sleep` may wake early once `stopped`: then no further step is taken."""

    def now(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...
    def stopped(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Selection:
    """Which deliveries are meant. `type` is a glob; `since` and `until` bound when events came."""

    sources: tuple[str, ...]
    state: DeliveryState = DeliveryState.DEAD
    type: str = "*"
    processor: str | None = None
    reason: str | None = None
    since: float = 0.0
    until: float = math.inf

    def wants(self, each: Candidate) -> bool:
        """Never what an operator has discarded: that can be put back by its own id only."""
        return (
            each.state == self.state
            and not (each.state is DeliveryState.DONE and each.reason == DISCARDED)
            and fnmatchcase(each.type, self.type)
            and self.processor in (None, each.processor)
            and self.reason in (None, each.reason)
            and self.since <= each.received <= self.until
        )


def select(archive: Archive, selection: Selection) -> Iterator[Candidate]:
    """All that the selection wants, the oldest first."""
    if selection.state is DeliveryState.DEAD:  # an event is received before its delivery dies
        found = archive.died(selection.sources, selection.since)
    else:
        found = archive.received(selection.sources, selection.since, selection.until)
    return filter(selection.wants, found)


def latest(candidates: Iterable[Candidate], meant: Selection, many: int) -> list[Candidate]:
    """The deliveries of the `many` events that came last, in whatever state: `candidates` come newest
    first, those of one event together. An event without a delivery that is meant does not count."""
    chosen: dict[str, list[Candidate]] = {}
    for each in candidates:
        if each.event not in chosen and len(chosen) == many:
            break
        if fnmatchcase(each.type, meant.type) and meant.processor in (None, each.processor):
            chosen.setdefault(each.event, []).append(each)
    return [each for event in reversed(chosen.values()) for each in event]


def runnable(
    candidates: Iterable[Candidate], states: Collection[DeliveryState]
) -> tuple[list[Candidate], list[Result]]:
    """Those in one of the states; the rest, with why not. What was discarded stays so."""
    chosen: list[Candidate] = []
    refused: list[Result] = []
    for each in candidates:
        discarded = each.state is DeliveryState.DONE and each.reason == DISCARDED
        if each.state in states and not discarded:
            chosen.append(each)
        else:
            refused.append(Result(each.delivery, DISCARDED if discarded else each.state))
    return chosen, refused


def refer(text: str) -> tuple[str, str | None] | None:
    """How operators name things, as (event id, delivery id or None); None when it is no such name.

    An event's id, a delivery's id, or `SOURCE:PROVIDER_ID`, from which the event's id is computed.
    """
    if EVENT.fullmatch(text):
        return text, None
    found = event_of(text)
    if found:
        return found[0], text
    source, colon, provider_id = text.partition(":")
    if not (source and colon and provider_id):
        return None
    return event_id(source, "id", provider_id.encode("utf-8", "surrogateescape")), None


def expand(
    archive: Archive, ids: Iterable[str], state: DeliveryState
) -> tuple[list[Candidate], list[Result]]:
    """What the ids stand for, and those that stand for nothing that can be put back, with the reason.

    An event stands for its deliveries in that state; a delivery for itself, dead or in that state.
    """
    chosen: dict[str, Candidate] = {}
    refused: list[Result] = []
    for text in dict.fromkeys(ids):
        event, delivery = refer(text) or ("", None)
        known = archive.of_event(event) if event else ()
        meant = [each for each in known if delivery in (None, each.delivery)]
        states = {state, DeliveryState.DEAD} if delivery else {state}
        found = {each.delivery: each for each in meant if each.state in states}
        chosen |= found
        if not found:
            refused.append(Result(text, _states(meant) or MISSING))
    return list(chosen.values()), refused


def _states(candidates: Sequence[Candidate]) -> str:
    return ", ".join(dict.fromkeys(each.state.value for each in candidates))


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `rate` a second, evenly: what was slow before is not made up for by a burst."""

    rate: float

    @property
    def step(self) -> int:
        """How many go at once."""
        return max(1, min(MOST_AT_ONCE, int(self.rate / STEPS_A_SECOND)))

    def next_start(self, started: float, many: int) -> float:
        """When the next step may start, after one of `many` that started then."""
        return started + many / self.rate


@dataclass(frozen=True, slots=True)
class Steps:
    """Carries an operation out on many deliveries."""

    ledger: Ledger
    clock: Clock

    def take(self, deliveries: Sequence[str], pace: Pace) -> Iterator[list[Result]]:
        """Yields the results of each step as soon as they are known; ends early when stopped.

        What the ledger raises ends it too: of the step under way nothing is known then.
        """
        start = self.clock.now()
        for first in range(0, len(deliveries), pace.step):
            self.clock.sleep(max(0.0, start - self.clock.now()))
            if self.clock.stopped():
                return
            step = deliveries[first : first + pace.step]
            start = pace.next_start(self.clock.now(), len(step))
            words = self.ledger(step)
            yield [Result(*pair) for pair in zip(step, words, strict=True)]
