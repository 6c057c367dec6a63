"""What an attempt leaves besides its end: emitted events, in the same script, and recorded steps."""

from typing import Any, Final

import pytest
from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.calls import Internal
from gateway.core.delivery import Claimed, Finish
from gateway.core.event import INTERNAL, Event, Turn, delivery_id
from gateway.core.outcomes import AttemptOutcome
from gateway.core.retry import Decision, Done
from gateway.core.routing import Routing
from gateway.plugins.outbox import Outbox
from tests.adapters.ledger_rig import (
    DONE,
    EXHAUSTED,
    GITHUB,
    LEASE,
    LOOK,
    Rig,
    a_delivery,
    a_source,
    an_event,
)

KEY: Final = "k" * 26
TAKERS: Final = {"booked": Routing(("mail", "print")), "line": Routing(("mail",), (Turn(1, KEY),))}


def who_takes(event: Event) -> Routing:
    return TAKERS.get(event.type, Routing(()))


INSIDE: Final = Internal(a_source(INTERNAL), who_takes)


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


def emitted(held: Claimed, *types: str) -> tuple[Event, ...]:
    outbox = Outbox(held.delivery)
    for each in types:
        outbox.add(each, {"n": 1})
    return outbox.events(0.0)


def end(rig: Rig, held: Claimed, *types: str, decision: Decision = DONE) -> bool:
    finish = Finish(held.delivery, held.fence, decision, AttemptOutcome.DONE, "", emitted(held, *types))
    call = ledger.finish([finish], keep_books=True, look_ms=LOOK, internal=INSIDE)
    (recorded,) = rig.run(call)
    return recorded


def counted(rig: Rig, word: str) -> int:
    return int(rig.redis.hget(rig.keys.counters, f"emitted|github|archive|{word}") or 0)


# Emitted events


def test_an_emitted_event_is_durable_with_the_end_of_its_attempt(rig: Rig) -> None:
    rig.accept("1")
    held = rig.run_one()
    assert end(rig, held, "booked", "unwanted", "booked")
    first, _, third = emitted(held, "booked", "unwanted", "booked")
    assert rig.queued(INTERNAL) == [
        f"{delivery_id(event.id, number)}-1" for event in (first, third) for number in (1, 2)
    ]
    rows = rig.claim((INTERNAL, 9))
    assert [row.processor for row in rows] == ["mail", "print"] * 2
    taken = rows[0]
    assert isinstance(taken, Claimed)
    assert (taken.source, taken.type, taken.body) == (INTERNAL, "booked", b'{"n":1}')
    assert dict(taken.headers)["hookline-cause"] == held.delivery
    assert dict(taken.headers)["hookline-depth"] == "1"
    assert (counted(rig, "accepted"), counted(rig, "ignored")) == (2, 1)
    assert rig.raw("SISMEMBER", rig.keys.sources, INTERNAL) == 1


def test_a_finish_that_is_repeated_or_stale_stores_nothing_more(rig: Rig) -> None:
    rig.accept("1")
    held = rig.run_one()
    end(rig, held, "booked")
    before = rig.snapshot()
    assert not end(rig, held, "booked", "booked")
    assert rig.snapshot() == before


def test_a_replay_that_emits_again_finds_its_events_there(rig: Rig) -> None:
    rig.accept("1")
    end(rig, rig.run_one(), "booked")
    rig.run(ledger.replay([a_delivery()], also_done=True))
    end(rig, rig.run_one(), "booked", "booked")
    assert len(rig.queued(INTERNAL)) == 4
    assert (counted(rig, "accepted"), counted(rig, "duplicate")) == (2, 1)


def test_an_attempt_that_is_not_done_emits_nothing(rig: Rig) -> None:
    rig.accept("1", "2")
    assert end(rig, rig.run_one(), "booked", decision=EXHAUSTED)
    assert rig.queued(INTERNAL) == []
    assert end(rig, rig.run_one(), "booked")


def test_emitted_events_keep_an_order_too(rig: Rig) -> None:
    rig.accept("1")
    held = rig.run_one()
    end(rig, held, "line", "line")
    first, second = (delivery_id(event.id, 1) for event in emitted(held, "line", "line"))
    assert [rig.row(each).state for each in (first, second)] == ["pending", "blocked"]
    rig.finish(rig.run_one(INTERNAL))
    assert rig.row(second).state == "pending"
    assert rig.run_one(INTERNAL).delivery == second


def test_in_one_call_the_turn_may_pass_to_what_was_emitted_a_moment_ago(rig: Rig) -> None:
    """The index must say of it what came last."""
    rig.run(ledger.accept([(an_event("1"), GITHUB, ["archive"], [Turn(1, KEY)])], LOOK))
    rig.accept("2")
    holder, other = (rig.run_one(), rig.run_one())
    finishes = [
        Finish(each.delivery, each.fence, Done(), AttemptOutcome.DONE, "", more)
        for each, more in ((other, emitted(other, "line")), (holder, ()))
    ]
    rig.run(ledger.finish(finishes, keep_books=True, look_ms=LOOK, internal=INSIDE))
    waits = delivery_id(emitted(other, "line")[0].id, 1)
    assert rig.row(waits).state == "pending"
    score = rig.redis.zscore(rig.keys.pending(INTERNAL), waits)
    assert abs(float(score or 0) - rig.now() - LOOK) < LEASE


def test_an_emitted_event_is_stored_on_a_server_that_is_out_of_memory(rig: Rig) -> None:
    """It is a part of an end, and ends are how memory becomes free again."""
    rig.accept("1")
    held = rig.run_one()
    rig.redis.config_set("maxmemory", 1)
    try:
        assert end(rig, held, "booked")
    finally:
        rig.redis.config_set("maxmemory", 0)
    assert len(rig.queued(INTERNAL)) == 2


# Steps


def step(rig: Rig, held: Claimed, name: str = "charge", value: bytes = b'"ch_1"') -> bool:
    return rig.run(ledger.step(held.delivery, held.fence, name, value))


def steps(rig: Rig, delivery: str = a_delivery()) -> dict[bytes, Any]:
    found: dict[bytes, Any] = rig.raw("HGETALL", rig.keys.steps(delivery))
    return found


def test_a_step_is_recorded_by_who_holds_the_delivery(rig: Rig) -> None:
    rig.accept("1")
    held = rig.run_one()
    assert step(rig, held)
    assert steps(rig) == {b"charge": b'"ch_1"'}
    assert not rig.run(ledger.step("dlv_nobody", 1, "x", b"1"))


def test_an_outdated_run_records_nothing(rig: Rig) -> None:
    rig.accept("1")
    stalled = rig.run_one()
    rig.pass_time(LEASE)
    (again,) = rig.claim(taken=[(a_delivery(), "")])
    assert isinstance(again, Claimed)
    assert not step(rig, stalled)
    assert step(rig, again)
    rig.finish(again)
    assert not step(rig, again)


def test_steps_live_as_the_attempts_do(rig: Rig) -> None:
    rig.accept("1", source=a_source(dedup_window=100.0, retention=50.0))
    held = rig.run_one()
    step(rig, held)
    assert rig.lives(rig.keys.steps(held.delivery)) == -1
    rig.finish(held)
    assert 99_000 < rig.lives(rig.keys.steps(held.delivery)) <= 100_000
    rig.run(ledger.replay([held.delivery], also_done=True))
    assert rig.lives(rig.keys.steps(held.delivery)) == -1
    rig.finish(rig.run_one())
    rig.pass_time(100_000)
    assert steps(rig) == {}


def test_an_event_without_steps_and_failures_costs_no_command_for_them(rig: Rig) -> None:
    rig.accept("1")
    held = rig.run_one()
    rig.redis.config_resetstat()
    rig.finish(held)
    assert rig.redis.info("commandstats")["cmdstat_pexpire"]["calls"] == 2  # record and body
