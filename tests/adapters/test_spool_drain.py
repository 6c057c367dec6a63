"""Back to the ledger: the oldest first, removed only once they are there, held up by nothing."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway import ports
from gateway.adapters.spool.drain import AT_ONCE, FIRST_STUCK_SECONDS, STUCK_SECONDS, Drainer
from gateway.adapters.spool.store import Store
from gateway.core.event import Arrival
from gateway.core.outcomes import Acceptance
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.source import Source
from gateway.ports import Unavailable
from tests.adapters.spool_rig import after_a_crash, names, quick_directory, record

SHOP = Source("shop", "/hooks/shop", "shop", UnverifiedScheme(), ())
OTHER = replace(SHOP, name="other")


class Crash(BaseException):
    """The process is gone."""


@dataclass
class Ledger(ports.Ledger):
    """Has what it accepted, once. `refuses` has the ids that it never takes."""

    has: list[str] = field(default_factory=list)
    calls: int = 0
    away: bool = False
    refuses: set[str] = field(default_factory=set)

    async def accept(self, arrivals: Sequence[Arrival], source: Source) -> list[Acceptance]:
        self.calls += 1
        found = [each.event.provider_id for each in arrivals]
        if self.away or self.refuses & set(found):
            raise Unavailable
        self.has += [each for each in found if each not in self.has]
        return [Acceptance.ACCEPTED] * len(arrivals)


@dataclass
class Rig:
    store: Store
    ledger: Ledger = field(default_factory=Ledger)
    now: float = 0.0

    def __post_init__(self) -> None:
        sources = {"shop": SHOP, "other": OTHER}
        self.drainer = Drainer(self.store, at_once, self.ledger, sources, lambda: self.now)

    def step(self) -> list[str] | None:
        return asyncio.run(self.drainer.step())

    def steps(self, most: int) -> int:
        """How many it took until nothing was left that can be drained."""
        for number in range(most):
            if self.step() is None:
                return number
        raise AssertionError(f"not done after {most} steps: {names(self.store, 'shop', 'other')}")


async def at_once(function: Any, *args: Any) -> Any:
    return function(*args)


@pytest.fixture
def rig() -> Iterator[Rig]:
    with quick_directory() as place, Store(place / "0.db") as store:
        yield Rig(store)


def fill(rig: Rig, *given: str, source: str = "shop") -> None:
    rig.store.add([record(name, source) for name in given])


def test_all_of_it_comes_back_in_the_order_in_which_it_came(rig: Rig) -> None:
    given = [str(number) for number in range(3 * AT_ONCE + 1)]
    fill(rig, *given)
    assert rig.steps(9) == 4
    assert (rig.ledger.has, rig.store.many, rig.drainer.drained) == (given, 0, len(given))


def test_nothing_is_removed_that_the_ledger_did_not_take(rig: Rig) -> None:
    fill(rig, *"123")
    rig.ledger.away = True
    for _ in range(5):
        assert rig.step() == []
        assert not rig.drainer.answered
    assert names(rig.store) == ["1", "2", "3"]
    rig.ledger.away = False
    rig.steps(9)
    assert sorted(rig.ledger.has) == ["1", "2", "3"]


def test_in_an_outage_one_request_at_a_time_is_tried(rig: Rig) -> None:
    fill(rig, *[str(number) for number in range(AT_ONCE)])
    rig.ledger.away = True
    rig.step()
    calls = rig.ledger.calls
    rig.step()
    assert rig.ledger.calls == calls + 1


def test_a_request_that_the_ledger_alone_does_not_take_holds_up_nobody(rig: Rig) -> None:
    fill(rig, *[f"{number}" for number in range(2 * AT_ONCE)])
    rig.ledger.refuses = {"0", "1", "77"}
    with capture_logs() as lines:
        rig.steps(3 * AT_ONCE)
    assert len(rig.ledger.has) == 2 * AT_ONCE - 3
    assert names(rig.store) == ["0", "1", "77"]
    assert [line["event"] for line in lines] == ["spool.stuck"] * 3
    rig.ledger.refuses = set()
    rig.now += STUCK_SECONDS
    rig.steps(9)
    assert rig.store.many == 0


def test_a_request_that_failed_once_is_tried_again_after_a_second(rig: Rig) -> None:
    """The connection was cut at that very moment: nothing is wrong with it."""
    fill(rig, *"123")
    rig.ledger.refuses = {"2"}
    rig.steps(9)
    rig.ledger.refuses = set()
    rig.now += FIRST_STUCK_SECONDS
    rig.steps(9)
    assert rig.store.many == 0


def test_a_request_that_is_never_taken_waits_twice_as_long_each_time(rig: Rig) -> None:
    rig.ledger.refuses = {"0"}
    fill(rig, "0")
    with capture_logs() as lines:
        for number in range(1, 10):
            fill(rig, f"{number}-a", f"{number}-b")
            rig.steps(9)
            rig.now += STUCK_SECONDS
    waits = [line["again_in_s"] for line in lines]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_what_comes_in_meanwhile_is_not_taken_for_corrupt(rig: Rig) -> None:
    fill(rig, *"12")

    async def beside_others(function: Any, *args: Any) -> Any:
        if function == rig.store.oldest:
            fill(rig, "3")
        return function(*args)

    rig.drainer.run = beside_others
    with capture_logs() as lines:
        rig.step()
    assert lines == []


def test_requests_of_a_source_that_is_gone_stay_and_hold_up_nobody(rig: Rig) -> None:
    fill(rig, "1", source="gone")
    fill(rig, "2")
    fill(rig, "3", source="other")
    rig.steps(3)
    assert rig.ledger.has == ["2", "3"]
    assert rig.store.totals().requests == {"gone": 1}


def test_a_corrupt_request_is_told_and_holds_up_nobody(rig: Rig) -> None:
    fill(rig, *"123")
    rig.store._db.execute("UPDATE kept SET head = X'7B' WHERE number = 1")
    with capture_logs() as lines:
        rig.steps(3)
    assert rig.ledger.has == ["2", "3"]
    assert [(line["event"], line["requests"]) for line in lines] == [("spool.corrupt", 1)]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["add", "step", "away", "back", "crash", "crash in accept"]), max_size=25)
)
def test_whatever_happens_what_was_acknowledged_is_in_the_ledger_or_on_disk(steps: list[str]) -> None:
    """A crash copies the files as they are and goes on with the copy; one in `accept` comes after the
    ledger has it and before the request is removed."""
    with quick_directory() as place:
        rig, given = Rig(Store(place / "0.db")), list[str]()
        for number, step in enumerate(steps):
            if step == "add":
                fill(rig, str(number), f"{number}b")
                given += [str(number), f"{number}b"]
            elif step == "step":
                rig.step()
            elif step in ("away", "back"):
                rig.ledger.away = step == "away"
            else:
                rig = crashed(rig, place / str(number), in_accept=step == "crash in accept")
            assert set(given) <= {*rig.ledger.has, *names(rig.store)}
        rig.ledger.away = False
        rig.steps(99)
        assert sorted(rig.ledger.has) == sorted(given)
        rig.store.close()


def crashed(rig: Rig, place: Path, *, in_accept: bool) -> Rig:
    if in_accept:
        rig.drainer.run = stopping
        with suppress(Crash):  # unless nothing is there to remove
            rig.step()
    left = after_a_crash(rig.store.path, place)
    rig.store.abandon()
    return Rig(Store(left), rig.ledger)


async def stopping(function: Any, *args: Any) -> Any:
    if function.__name__ == "remove":
        raise Crash
    return function(*args)
