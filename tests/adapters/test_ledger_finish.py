"""`finish` and `renew`: only the holder of the fence says how it ended, and what then lives on."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.core.delivery import Claimed, Finish
from gateway.core.outcomes import AttemptOutcome, DeadReason
from gateway.core.retry import Dead, Decision, Wait
from tests.adapters.ledger_rig import (
    DONE,
    EXHAUSTED,
    LEASE,
    LOOK,
    Rig,
    a_delivery,
    a_source,
    an_event,
)

DELIVERY = a_delivery()
SOURCE = a_source(dedup_window=700.0, retention=300.0)
KEYS = (f"event:{an_event().id}", f"body:{an_event().id}", f"attempts:{DELIVERY}")
DECISIONS = [DONE, Wait(10.0), EXHAUSTED, None]


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


def renew(rig: Rig, *held: Claimed) -> list[bool]:
    return rig.run(ledger.renew([(each.delivery, each.fence) for each in held], LEASE))


def lives(rig: Rig) -> list[int]:
    """Of record, body and attempts, in whole seconds, rounded up; -1 for ever, -2 gone."""
    return [-(-ms // 1000) if ms > 0 else ms for ms in (rig.lives(f"hookline:{key}") for key in KEYS)]


def not_the_fence(held: Claimed) -> Claimed:
    return replace(held, fence=held.fence + 1)


def an_unknown_event(held: Claimed) -> Claimed:
    return replace(held, delivery=a_delivery("2"))


def an_unknown_number(held: Claimed) -> Claimed:
    return replace(held, delivery=a_delivery("1", 2))


@pytest.mark.parametrize("decision", DECISIONS, ids=str)
@pytest.mark.parametrize("other", [not_the_fence, an_unknown_event, an_unknown_number])
def test_only_the_holder_of_the_fence_finishes(
    rig: Rig, other: Callable[[Claimed], Claimed], decision: Decision | None
) -> None:
    rig.accept("1", processors=["a"])
    stranger = other(rig.run_one())
    before = rig.snapshot()
    assert not rig.finish(stranger, decision, "{}")
    assert renew(rig, stranger) == [False]
    assert rig.snapshot() == before


@pytest.mark.parametrize("decision", DECISIONS, ids=str)
@pytest.mark.parametrize("since", [*DECISIONS, "claimed again", "dead of crashes"], ids=str)
def test_a_late_finish_changes_nothing_at_all(
    rig: Rig, since: Decision | str | None, decision: Decision | None
) -> None:
    rig.accept("1", processors=["a", "b"])
    late = rig.run_one()
    for _ in range({"claimed again": 1, "dead of crashes": 3}.get(str(since), 0)):
        rig.pass_time(LEASE)
        rig.claim(taken=[(late.delivery, "")])
    if not isinstance(since, str):
        assert rig.finish(late, since, "{}")
    before = rig.snapshot()
    assert not rig.finish(late, decision, "{}")
    assert renew(rig, late) == [False]
    assert rig.snapshot() == before


def test_a_late_holder_may_still_finish_while_nobody_else_has_claimed(rig: Rig) -> None:
    rig.accept("1")
    held = rig.run_one()
    rig.pass_time(LEASE)
    rig.sweep()
    assert renew(rig, held) == [True]
    assert rig.finish(held)
    assert rig.row(DELIVERY).state == "done"
    assert rig.scan("rq:job:*") == []


def test_a_renewal_that_comes_after_giving_up_does_not_bring_the_lease_back(rig: Rig) -> None:
    """A worker's keeper may have asked for what its main thread gives up at that moment."""
    rig.accept("1")
    held = rig.run_one()
    give_up = ledger.renew([(held.delivery, held.fence)], 0)
    assert (rig.run(give_up), renew(rig, held), rig.run(give_up)) == ([True], [False], [True])
    assert rig.raw("ZSCORE", rig.keys.pending("github"), DELIVERY) <= rig.now()
    (next_holder,) = rig.claim(taken=[(held.delivery, "")])
    assert isinstance(next_holder, Claimed)
    assert (next_holder.fence, next_holder.crashes) == (held.fence + 1, 1)
    assert renew(rig, next_holder) == [True]


def test_renewing_moves_the_end_of_the_lease_and_the_next_look(rig: Rig) -> None:
    rig.accept("1", "2")
    first, second = rig.run_one(), rig.run_one()
    rig.pass_time(LEASE // 2)
    assert renew(rig, first, not_the_fence(second)) == [True, False]
    due = rig.row(DELIVERY).time
    assert rig.now() + LEASE - 1000 < due <= rig.now() + LEASE
    assert rig.raw("ZSCORE", rig.keys.pending("github"), DELIVERY) == due
    rig.pass_time(LEASE // 2)
    assert rig.sweep() == (1, 1)
    assert [job.rpartition("-")[0] for job in rig.queued()] == [second.delivery]


def test_a_done_event_lives_for_the_window_and_its_body_for_the_retention(rig: Rig) -> None:
    rig.accept("1", source=SOURCE)
    held = rig.run_one()
    rig.finish(held, Wait(0.0), "{}")
    rig.sweep()
    assert rig.finish(rig.run_one())
    assert lives(rig) == [700, 300, 700]
    row = rig.row(DELIVERY)
    assert (row.state, row.attempts, row.fence, row.reason) == ("done", 2, 2, "")
    assert rig.members(rig.keys.pending("github")) == set()


def test_a_done_event_leaves_nothing_in_the_books_of_rq(rig: Rig) -> None:
    rig.accept("1")
    rig.finish(rig.run_one())
    assert rig.scan("rq:*") == ["rq:queues"]


def test_life_times_begin_when_the_last_delivery_is_done(rig: Rig) -> None:
    rig.accept("1", source=SOURCE, processors=["a", "b", "c"])
    first, second, third = (rig.run_one() for _ in range(3))
    rig.finish(first, DONE, "{}")
    rig.finish(second, EXHAUSTED)
    rig.finish(third)
    assert lives(rig) == [-1, -1, -1]
    rig.run(ledger.discard([second.delivery]))
    assert lives(rig) == [700, 300, 700]


def test_without_a_window_a_done_event_is_gone_at_once(rig: Rig) -> None:
    rig.accept("1", source=a_source(dedup_window=0.0, retention=0.0))
    assert rig.finish(rig.run_one(), DONE, "{}")
    assert lives(rig) == [-2, -2, -2]


@pytest.mark.parametrize("reason", DeadReason)
def test_a_dead_letter_keeps_everything_for_good(rig: Rig, reason: DeadReason) -> None:
    rig.accept("1")
    before = rig.now()
    rig.finish(rig.run_one(), Dead(reason), '{"error": "boom"}')
    row = rig.row(DELIVERY)
    assert (row.state, row.reason) == ("dead", reason)
    assert before <= row.time <= rig.now()
    assert {rig.lives(key) for key in rig.scan("*")} == {-1}
    assert rig.raw("ZSCORE", rig.keys.dead("github"), DELIVERY) == row.time
    assert rig.members(rig.keys.pending("github")) == set()
    assert rig.raw("HGET", rig.keys.counters, f"dead|github|{reason}") == b"1"


def test_waiting_lasts_as_long_as_was_said(rig: Rig) -> None:
    rig.accept("1")
    before = rig.now()
    rig.finish(rig.run_one(), Wait(90.0006))
    row = rig.row(DELIVERY)
    assert row.state == "waiting"
    assert before + 90_001 <= row.time <= rig.now() + 90_001
    assert rig.raw("ZSCORE", rig.keys.pending("github"), DELIVERY) == row.time
    assert rig.queued() == []


def test_a_delay_below_zero_is_none(rig: Rig) -> None:
    rig.accept("1")
    rig.finish(rig.run_one(), Wait(-5.0))
    assert rig.row(DELIVERY).time <= rig.now()


def test_a_delivery_given_back_has_its_attempt_again_and_is_rung(rig: Rig) -> None:
    rig.accept("1")
    assert rig.finish(rig.run_one(), None)
    row = rig.row(DELIVERY)
    assert (row.state, row.attempts, row.crashes, row.fence) == ("pending", 0, 0, 1)
    assert rig.queued() == [f"{DELIVERY}-2"]
    assert rig.raw("ZSCORE", rig.keys.pending("github"), DELIVERY) == row.time + LOOK
    again = rig.run_one()
    assert (again.attempt, again.fence) == (1, 2)


def test_what_went_wrong_is_kept_for_the_last_twenty_attempts(rig: Rig) -> None:
    rig.accept("1")
    for number in range(25):
        rig.finish(rig.run_one(), Wait(0.0), f'{{"attempt": {number}, "said": "\u00e9|\u0000"}}')
        rig.sweep()
    kept = [text.decode() for text in rig.raw("LRANGE", rig.keys.attempts(DELIVERY), 0, -1)]
    assert kept == [f'{{"attempt": {number}, "said": "\u00e9|\u0000"}}' for number in range(5, 25)]


def test_an_attempt_without_an_error_leaves_no_text(rig: Rig) -> None:
    rig.accept("1")
    rig.finish(rig.run_one(), Wait(0.0))
    assert rig.scan("hookline:attempts:*") == []


def test_many_are_finished_in_one_call_with_an_answer_each(rig: Rig) -> None:
    rig.accept(*"1234")
    held = [row for row in rig.claim(("github", 4)) if isinstance(row, Claimed)]
    held[1] = not_the_fence(held[1])
    decisions: tuple[Decision, ...] = (DONE, DONE, Wait(9.0), EXHAUSTED)
    finishes = [
        Finish(each.delivery, each.fence, decision, AttemptOutcome.FAILED)
        for each, decision in zip(held, decisions, strict=True)
    ]
    twice = [*finishes, finishes[0]]
    assert rig.run(ledger.finish(twice, keep_books=True)) == [True, False, True, True, False]
    states = [rig.row(each.delivery).state for each in held]
    assert states == ["done", "leased", "waiting", "dead"]


def test_what_rq_has_written_of_a_failed_look_is_gone_with_its_end(rig: Rig) -> None:
    """A stock worker took the bell too, and its work horse died."""
    rig.accept("1", "2")
    for held in (rig.run_one(), rig.run_one()):
        job = f"{held.delivery}-{held.fence}"
        rig.redis.zadd("rq:failed:github", {job: rig.now() / 1000 + 86_400})
        rig.redis.xadd(f"rq:results:{job}", {"type": "2"})
        assert rig.finish(held)
    assert rig.scan("rq:failed:*") + rig.scan("rq:results:*") + rig.scan("rq:job:*") == []


@pytest.mark.parametrize("books", [True, False])
def test_the_job_of_a_look_that_is_not_to_come_is_gone_with_the_end(rig: Rig, books: bool) -> None:
    """Its holder was late, and the sweeper has rung for another one."""
    rig.accept("1")
    held = rig.run_one(books=books)
    rig.pass_time(LEASE + LOOK)
    assert rig.sweep() == (1, 1)
    assert rig.scan("rq:job:*-2")
    assert rig.finish(held, books=books)
    assert rig.scan("rq:job:*-2") == []


def test_every_attempt_is_counted_by_how_it_ended(rig: Rig) -> None:
    rig.accept(*"123")
    for decision in (DONE, EXHAUSTED, None):
        rig.finish(rig.run_one(), decision)
    counters: dict[bytes, bytes] = rig.raw("HGETALL", rig.keys.counters)
    attempts = {name: n for name, n in counters.items() if name.startswith(b"attempts|")}
    words = ("done", "failed", "released")
    assert attempts == {f"attempts|github|archive|{word}".encode(): b"1" for word in words}


def test_what_is_done_does_not_tell_why_it_was_put_back_nor_who_has_leased_it(rig: Rig) -> None:
    rig.run(ledger.replay([rig.bury("put back")]))
    put_back = rig.run_one()
    assert rig.row(put_back.delivery).reason == "replayed"
    rig.finish(put_back)
    rig.accept("stock")
    rig.finish(rig.run_one(token="token", books=False), books=False)
    for value in ("put back", "stock"):
        fields = rig.raw("HKEYS", rig.keys.event(an_event(value).id))
        assert not {b"1r", b"1o"} & set(fields)
