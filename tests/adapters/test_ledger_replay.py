"""`replay` and `discard`: an operator puts a delivery back, or gives it up; pressing twice is once."""

import pytest
from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.core.delivery import Claimed
from gateway.core.retry import Decision, Wait
from tests.adapters.ledger_rig import (
    DONE,
    EXHAUSTED,
    LOOK,
    Rig,
    a_delivery,
    a_source,
    an_event,
)
from tests.adapters.rq_books import assert_true

DELIVERY = a_delivery()


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


def replay(rig: Rig, *deliveries: str, also_done: bool = False) -> list[str]:
    return rig.run(ledger.replay(deliveries, also_done=also_done, look_ms=LOOK))


def discard(rig: Rig, *deliveries: str) -> list[str]:
    return rig.run(ledger.discard(deliveries))


def in_state(rig: Rig, state: str) -> None:
    rig.accept("1")
    if state != "pending":
        held = rig.run_one()
        decisions: dict[str, Decision] = {"waiting": Wait(9.0), "done": DONE, "dead": EXHAUSTED}
        if state in decisions:
            rig.finish(held, decisions[state])
    assert rig.row(DELIVERY).state == state


def test_a_replayed_dead_letter_is_as_if_just_accepted_but_its_fence_goes_on(rig: Rig) -> None:
    rig.accept("1")
    for _ in range(3):
        rig.give_up(rig.run_one())
        rig.sweep()
    rig.claim(("github", 1))
    assert rig.row(DELIVERY).reason == "poison"
    assert replay(rig, DELIVERY) == ["replayed"]
    row = rig.row(DELIVERY)
    assert (row.state, row.attempts, row.crashes, row.fence) == ("pending", 0, 0, 3)
    assert rig.raw("ZSCORE", rig.keys.pending("github"), DELIVERY) == row.time + LOOK
    assert rig.members(rig.keys.dead("github")) == set()
    assert rig.queued() == [f"{DELIVERY}-4"]
    again = rig.run_one()
    assert (again.attempt, again.crashes, again.fence) == (1, 0, 4)
    assert rig.raw("HGET", rig.keys.counters, "replays|github") == b"1"


def test_a_replayed_dead_letter_is_gone_from_the_failed_jobs_of_rq(rig: Rig) -> None:
    rig.bury("1")
    assert_true(rig)
    assert rig.scan("rq:results:*") == [f"rq:results:{DELIVERY}"]
    replay(rig, DELIVERY)
    assert_true(rig)
    assert rig.scan(f"rq:*:{DELIVERY}") == []
    rig.finish(rig.run_one(), EXHAUSTED)
    assert_true(rig)
    assert rig.scan("rq:job:*") == [f"rq:job:{DELIVERY}"]


@pytest.mark.parametrize("state", ["pending", "leased", "waiting", "done"])
def test_only_dead_letters_are_replayed_and_discarded(rig: Rig, state: str) -> None:
    in_state(rig, state)
    before = rig.snapshot()
    assert replay(rig, DELIVERY) == [state]
    assert discard(rig, DELIVERY) == [state]
    assert rig.snapshot() == before


@pytest.mark.parametrize("state", ["pending", "leased", "waiting"])
def test_what_is_open_is_not_replayed_even_with_the_done_ones(rig: Rig, state: str) -> None:
    in_state(rig, state)
    before = rig.snapshot()
    assert replay(rig, DELIVERY, also_done=True) == [state]
    assert rig.snapshot() == before


def test_a_done_delivery_is_replayed_when_asked_and_nothing_of_it_expires_meanwhile(rig: Rig) -> None:
    source = a_source(dedup_window=700.0, retention=300.0)
    rig.accept("1", source=source, processors=["a", "b"])
    first, second = rig.run_one(), rig.run_one()
    rig.finish(first, DONE, "{}")
    rig.finish(second, DONE)
    assert replay(rig, first.delivery, also_done=True) == ["replayed"]
    assert {rig.lives(key) for key in rig.scan("*")} == {-1}
    again = rig.run_one()
    assert (again.attempt, again.fence) == (1, 2)
    rig.finish(again)
    assert rig.lives(rig.keys.event(an_event().id)) > 699_000
    assert 299_000 < rig.lives(rig.keys.body(an_event().id)) <= 300_000
    assert rig.lives(rig.keys.attempts(first.delivery)) > 699_000


def test_an_event_with_two_replayed_deliveries_ends_with_the_second(rig: Rig) -> None:
    rig.accept("1", processors=["a", "b"])
    both = [row for row in rig.claim(("github", 2)) if isinstance(row, Claimed)]
    for _ in range(2):
        for each in both:
            assert rig.finish(each)
        words = replay(rig, *(each.delivery for each in both), also_done=True)
        assert words == ["replayed", "replayed"]
        both = [rig.run_one(), rig.run_one()]
    rig.finish(both[0])
    assert rig.lives(rig.keys.event(an_event().id)) == -1
    rig.finish(both[1])
    assert rig.lives(rig.keys.event(an_event().id)) > 0


@pytest.mark.parametrize("also_done", [True, False])
def test_without_its_body_nothing_is_replayed(rig: Rig, also_done: bool) -> None:
    rig.bury("1")
    rig.redis.delete(rig.keys.body(an_event().id))
    before = rig.snapshot()
    assert replay(rig, DELIVERY, also_done=also_done) == ["body_missing"]
    assert rig.snapshot() == before


def test_a_done_delivery_whose_retention_is_over_is_not_replayed(rig: Rig) -> None:
    rig.accept("1", source=a_source(dedup_window=700.0, retention=300.0))
    rig.finish(rig.run_one())
    rig.pass_time(300_000)
    before = rig.snapshot()
    assert replay(rig, DELIVERY, also_done=True) == ["body_missing"]
    assert rig.snapshot() == before


@pytest.mark.parametrize("strange", [a_delivery("2"), a_delivery("1", 2), "report-7", ""])
def test_what_the_ledger_does_not_know_is_missing(rig: Rig, strange: str) -> None:
    rig.bury("1")
    before = rig.snapshot()
    assert replay(rig, strange, also_done=True) == discard(rig, strange) == ["missing"]
    assert rig.snapshot() == before


def test_replaying_twice_is_replaying_once(rig: Rig) -> None:
    rig.bury("1")
    assert replay(rig, DELIVERY, DELIVERY) == ["replayed", "pending"]
    before = rig.snapshot()
    assert replay(rig, DELIVERY) == ["pending"]
    assert rig.snapshot() == before


def test_discarding_twice_is_discarding_once(rig: Rig) -> None:
    rig.bury("1")
    assert discard(rig, DELIVERY, DELIVERY) == ["discarded", "done"]
    before = rig.snapshot()
    assert discard(rig, DELIVERY) == ["done"]
    assert rig.snapshot() == before


def test_discarding_the_last_open_delivery_starts_the_life_times(rig: Rig) -> None:
    source = a_source(dedup_window=700.0, retention=300.0)
    rig.accept("1", source=source)
    rig.finish(rig.run_one(), EXHAUSTED, "{}")
    assert discard(rig, DELIVERY) == ["discarded"]
    assert (rig.row(DELIVERY).state, rig.row(DELIVERY).reason) == ("done", "discarded")
    for key, most in (("event", 700_000), ("body", 300_000)):
        assert most - 1000 < rig.lives(f"hookline:{key}:{an_event().id}") <= most
    assert 699_000 < rig.lives(rig.keys.attempts(DELIVERY)) <= 700_000
    assert rig.members(rig.keys.dead("github")) == set()
    assert_true(rig)
    assert rig.scan("rq:*") == ["rq:queues"]


def test_a_discarded_delivery_can_be_replayed_with_the_done_ones(rig: Rig) -> None:
    rig.bury("1")
    discard(rig, DELIVERY)
    assert replay(rig, DELIVERY) == ["done"]
    assert replay(rig, DELIVERY, also_done=True) == ["replayed"]
    assert rig.finish(rig.run_one())
    assert rig.lives(rig.keys.event(an_event().id)) > 0


def test_each_delivery_of_an_event_is_replayed_and_discarded_by_itself(rig: Rig) -> None:
    rig.accept("1", processors=["a", "b", "c"])
    held = [row for row in rig.claim(("github", 3)) if isinstance(row, Claimed)]
    for each in held:
        rig.finish(each, EXHAUSTED)
    first, second, third = (each.delivery for each in held)
    assert replay(rig, first) + discard(rig, second) == ["replayed", "discarded"]
    assert [rig.row(each).state for each in (first, second, third)] == ["pending", "done", "dead"]
    assert_true(rig)


def test_many_are_replayed_in_the_order_asked(rig: Rig) -> None:
    dead = [rig.bury(value) for value in "1234"]
    assert replay(rig, *reversed(dead)) == ["replayed"] * 4
    assert rig.queued() == [f"{delivery}-2" for delivery in reversed(dead)]


def test_an_operators_replay_and_a_pressed_requeue_together_are_one(rig: Rig) -> None:
    rig.bury("1")
    rig.redis.rpush(rig.keys.queue("github"), DELIVERY)
    assert replay(rig, DELIVERY) == ["replayed"]
    words = [getattr(row, "word", "run") for row in rig.claim(("github", 5))]
    assert words == ["pending", "run"]
    assert_true(rig)
