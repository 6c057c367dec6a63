"""`claim`: one holder at a time, an attempt counted before it runs, a crash counted after."""

import json
from typing import Any

import pytest
from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.calls import NotClaimed
from gateway.adapters.ledger.kept import unpack
from gateway.adapters.ledger.reader import Reader
from gateway.core.delivery import Claimed
from gateway.core.retry import Wait
from tests.adapters.ledger_rig import EXHAUSTED, LEASE, LOOK, Rig, a_delivery, a_source, an_event
from tests.adapters.rq_books import assert_true, job, rq_queue

DELIVERY = a_delivery()


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


def answer(rig: Rig, delivery: str = DELIVERY, queue: str = "") -> str:
    """The word for a delivery that was asked for by its id, "run" when it was leased."""
    (row,) = rig.claim(taken=[(delivery, queue)])
    assert row.delivery == delivery
    return row.word if isinstance(row, NotClaimed) else "run"


def crash(rig: Rig) -> None:
    """The holder's lease ends without a word, and the sweeper notices."""
    rig.pass_time(LEASE)
    assert rig.sweep() == (1, 1)


def crash_alone(rig: Rig, held: Claimed) -> None:
    """Its process dies, and the worker that had started that lives on."""
    rig.give_up(held)
    assert rig.sweep() == (1, 1)


def test_a_claim_tells_all_that_a_processor_needs(rig: Rig) -> None:
    rig.accept("1")
    before = rig.now()
    claimed = rig.run_one()
    row = rig.row(DELIVERY)
    assert claimed == Claimed(
        delivery=DELIVERY,
        fence=1,
        attempt=1,
        crashes=0,
        source="github",
        type="push",
        provider_id="1",
        received_ms=claimed.received_ms,
        processor="archive",
        event=an_event().id,
        headers=(("X-GitHub-Event", "push"), ("X-Odd", "\xff\xfe")),
        body=b"{}",
    )
    assert (row.state, row.attempts, row.fence) == ("leased", 1, 1)
    assert before + LEASE <= row.time <= rig.now() + LEASE
    assert rig.raw("ZSCORE", rig.keys.pending("github"), DELIVERY) == row.time
    assert before - 1000 < claimed.received_ms <= rig.now()


def test_an_empty_queue_gives_nothing(rig: Rig) -> None:
    assert rig.claim(("github", 10)) == []


def test_deliveries_come_in_the_order_of_their_bells_and_no_more_than_asked(rig: Rig) -> None:
    rig.accept(*"12345")
    taken = [rig.claim(("github", many)) for many in (2, 0, 9, 1)]
    assert [[row.delivery for row in rows] for rows in taken] == [
        [a_delivery("1"), a_delivery("2")],
        [],
        [a_delivery("3"), a_delivery("4"), a_delivery("5")],
        [],
    ]


def test_each_queue_has_its_own_limit(rig: Rig) -> None:
    rig.accept(*"1234")
    rig.accept(*"1234", source=a_source("stripe"))
    rows = rig.claim(("stripe", 1), ("none", 5), ("github", 3))
    assert [row.source for row in rows] == ["stripe", "github", "github", "github"]
    assert [len(rig.queued(queue)) for queue in ("stripe", "github")] == [3, 1]


def test_a_leased_delivery_is_busy_for_everybody_else(rig: Rig) -> None:
    rig.accept("1")
    rig.run_one()
    before = rig.snapshot()
    assert answer(rig) == "busy"
    assert rig.snapshot() == before


def test_a_waiting_delivery_is_left_alone_until_its_time(rig: Rig) -> None:
    rig.accept("1")
    rig.finish(rig.run_one(), Wait(10.0))
    before = rig.snapshot()
    assert answer(rig) == "waiting"
    assert rig.snapshot() == before
    rig.pass_time(10_000)
    assert answer(rig) == "run"


@pytest.mark.parametrize("delivery", [a_delivery("2"), a_delivery("1", 2), "dlv_a-1"])
def test_what_the_ledger_does_not_know_is_missing(rig: Rig, delivery: str) -> None:
    rig.accept("1")
    before = rig.snapshot()
    assert answer(rig, delivery) == "missing"
    assert rig.snapshot() == before


def test_done_and_dead_are_said_with_processor_and_source(rig: Rig) -> None:
    rig.accept("1", "2")
    rig.finish(rig.run_one())
    rig.finish(rig.run_one(), EXHAUSTED)
    before = rig.snapshot()
    assert rig.claim(taken=[(DELIVERY, ""), (a_delivery("2"), "")]) == [
        NotClaimed("done", DELIVERY, "archive", "github"),
        NotClaimed("dead", a_delivery("2"), "archive", "github"),
    ]
    assert rig.snapshot() == before


def test_the_fence_grows_with_every_claim_for_ever(rig: Rig) -> None:
    rig.accept("1")
    fences = [rig.run_one().fence]
    crash(rig)
    held = rig.run_one()
    fences.append(held.fence)
    rig.finish(held, None)
    held = rig.run_one()
    fences.append(held.fence)
    rig.finish(held, Wait(0.0))
    rig.sweep()
    held = rig.run_one()
    fences.append(held.fence)
    rig.finish(held, EXHAUSTED)
    rig.claim(taken=[(DELIVERY, "github")])
    fences.append(rig.run_one().fence)
    assert fences == [1, 2, 3, 4, 5]


def test_an_attempt_that_crashed_was_an_attempt_and_counts_as_a_crash(rig: Rig) -> None:
    rig.accept("1")
    rig.run_one()
    crash(rig)
    again = rig.run_one()
    assert (again.attempt, again.crashes, again.fence) == (2, 1, 2)
    assert rig.raw("HGET", rig.keys.counters, "attempts|github|archive|crashed") == b"1"


def test_a_lease_that_has_ended_can_be_claimed_before_any_sweep(rig: Rig) -> None:
    rig.accept("1")
    rig.run_one(lease_ms=0)
    (row,) = rig.claim(taken=[(DELIVERY, "")])
    assert isinstance(row, Claimed)
    assert (row.fence, row.crashes) == (2, 1)
    assert_true(rig)


def test_a_lease_lasts_to_its_end(rig: Rig) -> None:
    rig.accept("1")
    rig.run_one()
    rig.pass_time(LEASE - 60_000)
    assert answer(rig) == "busy"
    rig.pass_time(60_000)
    assert answer(rig) == "run"


def test_what_waits_and_is_claimed_before_any_sweep_is_out_of_the_schedule(rig: Rig) -> None:
    rig.accept("1")
    rig.finish(rig.run_one(), Wait(0.0))
    assert answer(rig) == "run"
    assert_true(rig)


@pytest.mark.parametrize("books", [True, False])
@pytest.mark.parametrize("took_its_worker_along", [True, False])
def test_the_third_crash_makes_it_a_dead_letter_and_runs_nothing(
    rig: Rig, books: bool, took_its_worker_along: bool
) -> None:
    rig.accept("1")
    for number in range(3):
        claimed = rig.run_one(books=books)
        assert (claimed.attempt, claimed.crashes) == (number + 1, number)
        if took_its_worker_along and number == 0:
            crash(rig)
        else:
            crash_alone(rig, claimed)
    assert rig.claim(("github", 1)) == [NotClaimed("poison", DELIVERY, "archive", "github")]
    row = rig.row(DELIVERY)
    assert (row.state, row.reason, row.crashes, row.fence) == ("dead", "poison", 3, 3)
    assert rig.members(rig.keys.dead("github")) == {DELIVERY}
    assert rig.members(rig.keys.pending("github")) == set()
    assert rig.members("rq:failed:github") == {DELIVERY}
    assert rig.scan("rq:job:*") == [f"rq:job:{DELIVERY}"]
    assert rig.raw("HGET", rig.keys.counters, "dead|github|poison") == b"1"


def test_what_crashes_in_a_stock_worker_ran_there_alone(rig: Rig) -> None:
    """Its work horse runs nothing else."""
    accept_and_take(rig)
    for number in range(3):
        assert isinstance(again(rig, f"token {number}"), Claimed)
        rig.pass_time(LEASE)
    assert again(rig, "token 3") == NotClaimed("poison", DELIVERY, "archive", "github")


def test_a_lease_of_a_hookline_worker_after_one_of_a_stock_worker_is_judged_by_itself(rig: Rig) -> None:
    accept_and_take(rig)
    again(rig, "mine")
    for number in range(1, 10):
        rig.pass_time(LEASE)
        (row,) = rig.claim(taken=[(DELIVERY, "")])
        assert isinstance(row, Claimed)
        assert (row.crashes, row.alone) == (number, True)
    rig.pass_time(LEASE)
    assert answer(rig) == "abandoned"


def test_workers_that_vanish_make_no_poison_and_at_last_abandon_it(rig: Rig) -> None:
    """Killed from outside, all of them: what ran there is innocent."""
    rig.accept("1")
    for number in range(10):
        assert rig.run_one().crashes == number
        crash(rig)
    assert rig.claim(("github", 1)) == [NotClaimed("abandoned", DELIVERY, "archive", "github")]
    row = rig.row(DELIVERY)
    assert (row.state, row.reason, row.crashes, row.attempts) == ("dead", "abandoned", 10, 10)
    result = job(rig, DELIVERY).latest_result()
    assert result is not None
    assert result.exc_string == "Dead letter: abandoned"
    assert rig.raw("HGET", rig.keys.counters, "dead|github|abandoned") == b"1"


def test_what_vanished_with_its_worker_runs_alone_and_is_cleared_where_that_vanishes_too(
    rig: Rig,
) -> None:
    """A worker that lives for a second gets nothing done in further processes."""
    rig.accept("1")
    alone = []
    for _ in range(4):
        held = rig.run_one()
        alone.append(held.alone)
        crash(rig)
    assert alone == [False, True, False, True]
    held = rig.run_one()
    crash_alone(rig, held)
    held = rig.run_one()
    assert (held.alone, held.crashes) == (True, 5)
    crash(rig)
    assert rig.run_one().alone


def test_how_many_may_vanish_is_for_the_deployment_to_say(rig: Rig) -> None:
    rig.accept("1")
    for _ in range(3):
        rig.run_one(abandon_after=3)
        crash(rig)
    (row,) = rig.claim(("github", 1), abandon_after=3)
    assert isinstance(row, NotClaimed)
    assert row.word == "abandoned"


def test_crashes_that_an_earlier_release_counted_are_kept_and_are_not_called_its_own(rig: Rig) -> None:
    rig.accept("1")
    held = rig.run_one()
    rig.redis.hset(rig.keys.event(an_event().id), "1c", 2)
    crash_alone(rig, held)
    held = rig.run_one()
    assert held.crashes == 3
    crash_alone(rig, held)
    assert answer(rig) == "poison"


def accept_and_take(rig: Rig) -> None:
    """As RQ does before it runs a job: the bell is out of its queue."""
    rig.accept("1")
    rig.raw("LPOP", rig.keys.queue("github"))


def again(rig: Rig, token: str) -> Claimed | NotClaimed:
    (row,) = rig.claim(taken=[(DELIVERY, "")], token=token, books=False)
    return row


def test_a_claim_that_is_repeated_with_its_token_is_the_same_lease(rig: Rig) -> None:
    accept_and_take(rig)
    first = again(rig, "mine")
    rig.pass_time(LEASE // 2)
    assert again(rig, "mine") == first
    row = rig.row(DELIVERY)
    assert (row.attempts, row.crashes, row.fence) == (1, 0, 1)
    assert rig.raw("ZSCORE", rig.keys.pending("github"), DELIVERY) == row.time
    assert row.time > rig.now() + LEASE / 2
    assert isinstance(first, Claimed)
    assert rig.finish(first)
    assert isinstance(again(rig, "mine"), NotClaimed)


def test_a_repeated_claim_is_no_crash_though_its_lease_has_ended_meanwhile(rig: Rig) -> None:
    accept_and_take(rig)
    first = again(rig, "mine")
    crash(rig)
    assert again(rig, "mine") == first
    assert rig.claim(("github", 1)) == [NotClaimed("busy", DELIVERY, "archive", "github")]


@pytest.mark.parametrize("token", ["another", ""])
def test_a_token_is_no_key_to_anybody_elses_lease(rig: Rig, token: str) -> None:
    accept_and_take(rig)
    again(rig, "mine")
    assert again(rig, token) == NotClaimed("busy", DELIVERY, "archive", "github")
    crash(rig)
    taken = again(rig, token)
    assert isinstance(taken, Claimed)
    assert (taken.fence, taken.crashes) == (2, 1)
    assert again(rig, "mine") == NotClaimed("busy", DELIVERY, "archive", "github")


@pytest.mark.parametrize("state", ["pending", "waiting", "leased"])
def test_a_delivery_whose_body_is_gone_is_a_dead_letter_that_says_so(rig: Rig, state: str) -> None:
    rig.accept("1")
    if state != "pending":
        held = rig.run_one()
        rig.finish(held, Wait(0.0)) if state == "waiting" else rig.pass_time(LEASE)
        rig.sweep()
    rig.redis.delete(rig.keys.body(an_event().id))
    assert rig.claim(("github", 1)) == [NotClaimed("body_missing", DELIVERY, "archive", "github")]
    assert (rig.row(DELIVERY).state, rig.row(DELIVERY).reason) == ("dead", "body_missing")
    assert rig.members("rq:failed:github") == {DELIVERY}
    assert rig.scan("rq:job:*") == [f"rq:job:{DELIVERY}"]


def test_the_job_of_another_program_is_put_aside_and_not_dropped(rig: Rig) -> None:
    strangers = ["report-7", "dlv_", "dlv_UPPER-1", "", "\x00\xff", "dlv_abc-1-2-3"]
    rig.redis.rpush(rig.keys.queue("github"), *strangers)
    rig.accept("1")
    words = [getattr(row, "word", "run") for row in rig.claim(("github", 10))]
    assert words == ["foreign"] * len(strangers) + ["run"]
    assert rig.queued("foreign-github") == strangers
    assert b"rq:queue:foreign-github" in rig.raw("SMEMBERS", "rq:queues")


def test_a_stranger_among_the_ids_taken_from_a_queue_is_put_aside_too(rig: Rig) -> None:
    assert [row.delivery for row in rig.claim(taken=[("report-7", "github")])] == ["report-7"]
    assert rig.queued("foreign-github") == ["report-7"]
    rig.claim(taken=[("report-8", "")])
    assert rig.queued("foreign-github") == ["report-7"]


def test_a_bare_delivery_id_in_the_queue_is_a_pressed_requeue_and_replays(rig: Rig) -> None:
    rig.bury("1")
    rig.redis.rpush(rig.keys.queue("github"), DELIVERY)
    assert rig.claim(("github", 1)) == [NotClaimed("replayed", DELIVERY)]
    row = rig.row(DELIVERY)
    assert (row.state, row.attempts, row.reason) == ("pending", 0, "replayed")
    assert rig.queued() == [DELIVERY + "-2"]
    assert rig.raw("ZSCORE", rig.keys.pending("github"), DELIVERY) == row.time + LOOK


@pytest.mark.parametrize("state", ["pending", "busy", "waiting", "done", "missing"])
def test_a_requeue_of_what_is_no_dead_letter_says_why_and_leaves_no_job(rig: Rig, state: str) -> None:
    if state != "missing":
        rig.accept("1")
    if state in ("busy", "waiting", "done"):
        held = rig.run_one()
        if state != "busy":
            rig.finish(held, Wait(9.0) if state == "waiting" else EXHAUSTED)
        if state == "done":
            rig.run(ledger.discard([DELIVERY]))
    before = rig.snapshot()
    rig.redis.hset(f"rq:job:{DELIVERY}", "status", "queued")
    assert answer(rig, DELIVERY, "github") == state
    assert rig.snapshot() == before


def test_a_taken_id_with_its_queue_is_a_job_and_without_one_a_delivery(rig: Rig) -> None:
    rig.bury("1")
    assert answer(rig, DELIVERY, "") == "dead"
    assert answer(rig, DELIVERY, "github") == "replayed"
    rig.redis.delete(rig.keys.queue("github"))
    assert answer(rig, DELIVERY, "") == "run"


def test_taken_ids_and_queues_go_together_in_one_call(rig: Rig) -> None:
    rig.accept(*"123")
    job = rig.raw("LPOP", rig.keys.queue("github")).decode()
    rows = rig.claim(("github", 5), taken=[(job, "github")])
    assert [row.delivery for row in rows] == [a_delivery("2"), a_delivery("3"), a_delivery("1")]
    assert all(isinstance(row, Claimed) for row in rows)


def test_a_bell_that_rang_twice_runs_once_and_leaves_no_job(rig: Rig) -> None:
    rig.accept("1")
    rig.redis.rpush(rig.keys.queue("github"), *rig.queued() * 2)
    first, *rest = rig.claim(("github", 3))
    assert isinstance(first, Claimed)
    assert [row.word for row in rest if isinstance(row, NotClaimed)] == ["busy", "busy"]
    assert rig.scan("rq:job:*") == [f"rq:job:{DELIVERY}-1"]
    rig.finish(first)
    assert rig.scan("rq:job:*") == []


def test_the_bell_for_a_late_holder_does_not_disturb_what_the_holder_then_said(rig: Rig) -> None:
    rig.accept("1")
    held = rig.run_one()
    rig.pass_time(LEASE)
    rig.sweep()
    rig.finish(held, Wait(9.0))
    assert rig.claim(("github", 1)) == [NotClaimed("waiting", DELIVERY, "archive", "github")]
    assert_true(rig)


@pytest.mark.parametrize("look", [1, 2])
def test_a_job_that_rq_writes_again_after_the_end_goes_with_its_bell(rig: Rig, look: int) -> None:
    rig.accept("1")
    held = rig.run_one()
    if look == 2:
        rig.pass_time(LEASE)
        rig.sweep()
    written_late = job(rig, f"{DELIVERY}-{look}")
    rig.finish(held)
    rq_queue(rig)._enqueue_job(written_late)
    assert {row.delivery for row in rig.claim(("github", 5))} == {DELIVERY}
    assert rig.scan("rq:*") == ["rq:queues"]


def test_a_body_that_the_release_before_kept_as_a_hash_is_still_found(rig: Rig) -> None:
    rig.accept("1")
    key = rig.keys.body(an_event().id)
    kept: Any = rig.redis.get(key)
    pairs, body = unpack(kept)
    headers = json.dumps(pairs).encode()
    rig.redis.delete(key)
    rig.redis.hset(key, mapping={"h": headers, "b": body})
    reader = Reader(rig.redis, rig.keys)
    assert (reader.body(an_event().id), reader.headers(an_event().id)) == (body, unpack(kept)[0])
    (row,) = rig.claim()
    assert isinstance(row, Claimed)
    assert (row.body, row.headers) == (body, unpack(kept)[0])
