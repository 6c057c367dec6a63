"""Flow 3: which deliveries an operator means, how fast they go back, and what is told of each."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.core.event import delivery_id, event_id
from gateway.core.outcomes import DeliveryState
from gateway.replay import Candidate, Pace, Result, Selection, Steps, expand, refer, select

EVENT = event_id("github", "id", b"1")
OTHER = event_id("github", "id", b"2")


def a_candidate(number: int = 1, event: str = EVENT, **changes: Any) -> Candidate:
    dead = Candidate(
        delivery=delivery_id(event, number),
        event=event,
        source="github",
        type="push",
        processor="archive",
        state=DeliveryState.DEAD,
        reason="exhausted",
        received=1000.0,
    )
    return replace(dead, **changes)


@dataclass(frozen=True)
class FakeArchive:
    stored: Sequence[Candidate]

    def of_event(self, event: str) -> list[Candidate]:
        return [each for each in self.stored if each.event == event]

    def died(self, sources: Sequence[str], since: float) -> Iterator[Candidate]:
        dead = (each for each in self.stored if each.state is DeliveryState.DEAD)
        return (each for each in dead if each.source in sources)

    def received(self, sources: Sequence[str], since: float, until: float) -> Iterator[Candidate]:
        return (each for each in self.stored if each.source in sources)


@dataclass
class FakeClock:
    """Time passes only by sleeping, and while the ledger takes its time."""

    time: float = 0.0
    stop_at: float = math.inf
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def stopped(self) -> bool:
        return self.time >= self.stop_at


@dataclass
class FakeLedger:
    """Replays all, and notes when; the first call takes `delay` seconds."""

    clock: FakeClock
    delay: float = 0.0
    calls: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)

    def __call__(self, deliveries: Sequence[str]) -> list[str]:
        self.calls.append((self.clock.time, tuple(deliveries)))
        self.clock.time += self.delay if len(self.calls) == 1 else 0.0
        return ["replayed"] * len(deliveries)


def ids(count: int) -> list[str]:
    return [delivery_id(EVENT, number) for number in range(1, count + 1)]


def test_without_further_wishes_every_dead_letter_of_the_sources_is_meant() -> None:
    stored = [a_candidate(1), a_candidate(2, state=DeliveryState.DONE), a_candidate(3, source="slack")]
    assert list(select(FakeArchive(stored), Selection(("github",)))) == stored[:1]


@pytest.mark.parametrize(
    ("wish", "meant"),
    [
        ({"type": "push"}, True),
        ({"type": "pu*"}, True),
        ({"type": "pull_*"}, False),
        ({"type": "PUSH"}, False),
        ({"processor": "archive"}, True),
        ({"processor": "mail"}, False),
        ({"reason": "exhausted"}, True),
        ({"reason": "poison"}, False),
        ({"since": 1000.0, "until": 1000.0}, True),
        ({"since": 1000.1}, False),
        ({"until": 999.9}, False),
    ],
)
def test_each_wish_narrows_the_selection(wish: dict[str, Any], meant: bool) -> None:
    assert Selection(("github",), **wish).wants(a_candidate()) is meant


def test_done_deliveries_are_meant_only_when_asked_for() -> None:
    done = a_candidate(state=DeliveryState.DONE, reason="")
    assert list(select(FakeArchive([done]), Selection(("github",)))) == []
    asked = Selection(("github",), DeliveryState.DONE)
    assert list(select(FakeArchive([done, a_candidate(2)]), asked)) == [done]


def test_what_an_operator_gave_up_is_not_swept_up_with_what_is_done() -> None:
    given_up = a_candidate(state=DeliveryState.DONE, reason="discarded")
    assert not Selection(("github",), DeliveryState.DONE).wants(given_up)
    by_its_processor = a_candidate(reason="discarded")
    assert Selection(("github",)).wants(by_its_processor)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (EVENT, (EVENT, None)),
        (delivery_id(EVENT, 12), (EVENT, delivery_id(EVENT, 12))),
        ("github:1", (EVENT, None)),
        ("github:a:b", (event_id("github", "id", b"a:b"), None)),
        ("github:\udcff", (event_id("github", "id", b"\xff"), None)),
        ("evt_1NG8Du2eZvKYlo2C", None),
        (EVENT + "a", None),
        ("github:", None),
        (":1", None),
        ("", None),
    ],
)
def test_events_and_deliveries_go_by_three_kinds_of_names(
    text: str, meaning: tuple[str, str | None] | None
) -> None:
    assert refer(text) == meaning


def test_an_event_stands_for_its_deliveries_in_the_state_asked_for() -> None:
    dead, done = a_candidate(1), a_candidate(2, state=DeliveryState.DONE, reason="")
    archive = FakeArchive([dead, done, a_candidate(1, OTHER)])
    assert expand(archive, [EVENT], DeliveryState.DEAD) == ([dead], [])
    assert expand(archive, ["github:1"], DeliveryState.DONE) == ([done], [])


def test_a_delivery_stands_for_itself_dead_or_in_the_state_asked_for() -> None:
    dead, done = a_candidate(1), a_candidate(2, state=DeliveryState.DONE)
    archive = FakeArchive([dead, done])
    assert expand(archive, ids(2), DeliveryState.DONE) == ([dead, done], [])
    assert expand(archive, ids(2), DeliveryState.DEAD) == ([dead], [Result(done.delivery, "done")])


def test_what_stands_for_nothing_is_told_with_the_reason() -> None:
    archive = FakeArchive([a_candidate(1, state=DeliveryState.LEASED), a_candidate(1, OTHER)])
    chosen, refused = expand(archive, [EVENT, "nonsense", delivery_id(OTHER, 2)], DeliveryState.DEAD)
    assert chosen == []
    assert refused == [
        Result(EVENT, "leased"),
        Result("nonsense", "missing"),
        Result(delivery_id(OTHER, 2), "missing"),
    ]


def test_what_is_named_twice_is_put_back_once() -> None:
    dead = a_candidate()
    names = [EVENT, dead.delivery, EVENT, "github:1"]
    assert expand(FakeArchive([dead]), names, DeliveryState.DEAD) == ([dead], [])


def test_results_come_in_order_a_step_at_a_time() -> None:
    clock = FakeClock()
    steps = list(Steps(FakeLedger(clock), clock).take(ids(3), Pace(100.0)))
    assert [[each.id for each in step] for step in steps] == [ids(3)[:2], ids(3)[2:]]
    assert {each.word for step in steps for each in step} == {"replayed"}


@pytest.mark.parametrize("rate", [0.5, 1.0, 20.0, 50.0, 100.0, 4000.0])
def test_no_second_sees_more_than_the_rate(rate: float) -> None:
    clock = FakeClock()
    ledger = FakeLedger(clock)
    list(Steps(ledger, clock).take(ids(math.ceil(rate * 3)), Pace(rate)))
    sent = [(at, len(step)) for at, step in ledger.calls]
    for start, _ in sent:
        within = sum(many for at, many in sent if start <= at < start + 1 - 1e-9)
        assert within <= max(1, math.ceil(rate))


def test_a_slow_server_is_not_followed_by_a_burst() -> None:
    clock = FakeClock()
    ledger = FakeLedger(clock, delay=10.0)
    list(Steps(ledger, clock).take(ids(4), Pace(1.0)))
    assert [at for at, _ in ledger.calls] == [0.0, 10.0, 11.0, 12.0]


def test_the_first_step_does_not_wait_and_the_last_is_not_waited_for() -> None:
    clock = FakeClock()
    list(Steps(FakeLedger(clock), clock).take(ids(3), Pace(10.0)))
    assert clock.slept == pytest.approx([0.0, 0.1, 0.1])


def test_no_step_holds_the_server_up_for_long() -> None:
    assert Pace(1_000_000.0).step == 100
    assert Pace(0.001).step == 1


def test_when_stopped_it_takes_no_further_step() -> None:
    clock = FakeClock(stop_at=2.0)
    results = [
        each for step in Steps(FakeLedger(clock), clock).take(ids(9), Pace(1.0)) for each in step
    ]
    assert [each.id for each in results] == ids(2)


def test_nothing_to_do_asks_the_ledger_nothing() -> None:
    clock = FakeClock()
    ledger = FakeLedger(clock)
    assert list(Steps(ledger, clock).take([], Pace(1.0))) == []
    assert ledger.calls == []
