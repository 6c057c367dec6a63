"""What rq-dashboard and RQ's other tools show is what the ledger says, and they can do no harm."""

from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from rq.job import requeue_job
from rq.registry import FailedJobRegistry, ScheduledJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.calls import NotClaimed
from gateway.adapters.ledger.scripts import ACCEPT
from gateway.core.outcomes import DeadReason
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
from tests.adapters.rq_books import (
    assert_true,
    empty,
    has_job,
    ids,
    job,
    rq_queue,
    run_scheduler,
    storm,
)

DELIVERY = a_delivery()


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


def one_of_each(rig: Rig) -> dict[str, str]:
    """A delivery in every state, by state."""
    rig.accept("waits", "dies", "ends", "runs", "rings")
    rig.finish(rig.run_one(), Wait(1000.0))
    rig.finish(rig.run_one(), EXHAUSTED)
    rig.finish(rig.run_one())
    rig.run_one()
    values = {"waiting": "waits", "dead": "dies", "done": "ends", "leased": "runs", "pending": "rings"}
    return {state: a_delivery(value) for state, value in values.items()}


def test_rq_shows_every_delivery_as_what_it_is(rig: Rig) -> None:
    of = one_of_each(rig)
    assert rq_queue(rig).get_job_ids() == [of["pending"] + "-1"]
    assert ids(rig, StartedJobRegistry) == {of["leased"] + "-1"}
    assert ids(rig, ScheduledJobRegistry) == {of["waiting"] + "-2"}
    assert ids(rig, FailedJobRegistry) == {of["dead"]}
    assert_true(rig)


def test_counting_and_cleaning_change_nothing(rig: Rig) -> None:
    one_of_each(rig)
    rig.pass_time(LEASE)
    before = rig.snapshot()
    for _ in range(3):
        storm(rig)
    assert rig.snapshot() == before


def test_the_times_of_a_job_are_dates_that_rq_reads(rig: Rig) -> None:
    of = one_of_each(rig)
    now = datetime.fromtimestamp(rig.now() / 1000, UTC)
    started, dead = job(rig, of["leased"] + "-1"), job(rig, of["dead"])
    for moment in (started.created_at, started.started_at, dead.ended_at):
        assert moment is not None
        assert timedelta(0) <= now - moment.astimezone(UTC) < timedelta(seconds=5)
    assert (started.worker_name, dead.failure_ttl) == ("w1", -1)
    for registry in (StartedJobRegistry, FailedJobRegistry):
        each = registry("github", connection=rig.redis, serializer=JSONSerializer)
        for _, score in rig.redis.zscan_iter(each.key):
            assert now + timedelta(days=365_000) < datetime.fromtimestamp(score, UTC)


@pytest.mark.parametrize("moment", ["2024-02-29 23:59:59", "2025-01-01", "2000-03-01", "2099-12-31"])
def test_the_civil_date_of_a_moment_is_right(rig: Rig, moment: str) -> None:
    when = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    prelude = ACCEPT.text.partition("local made_stamp")[0]
    said = rig.redis.eval(
        prelude + "return iso(tonumber(ARGV[1])) end)()", 2, "p", "rq", int(when.timestamp() * 1000 + 7)
    )
    assert said == (when + timedelta(milliseconds=7)).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()


@pytest.mark.parametrize("reason", DeadReason)
def test_a_dead_letter_tells_its_reason_where_rq_shows_an_exception(
    rig: Rig, reason: DeadReason
) -> None:
    rig.accept("1")
    rig.finish(rig.run_one(), Dead(reason))
    result = job(rig, DELIVERY).latest_result()
    assert result is not None
    assert result.exc_string == f"Dead letter: {reason.value}"


def test_the_next_attempt_stands_in_the_schedule_at_its_time(rig: Rig) -> None:
    rig.accept("1")
    rig.finish(rig.run_one(), Wait(90.0))
    shown = rig.raw("ZSCORE", "rq:scheduled:github", f"{DELIVERY}-2")
    assert 0 <= shown - rig.row(DELIVERY).time / 1000 < 1


def test_the_scheduler_of_rq_rings_no_earlier_and_does_no_harm(rig: Rig) -> None:
    rig.accept("1")
    rig.finish(rig.run_one(), Wait(1.0))
    run_scheduler(rig)
    assert_true(rig)
    rig.pass_time(2000)
    run_scheduler(rig)
    assert rig.queued() == [f"{DELIVERY}-2"]
    rig.sweep()
    words = [getattr(row, "word", "run") for row in rig.claim(("github", 5))]
    assert words == ["run", "busy"]
    assert_true(rig)


def test_requeue_in_a_tool_of_rq_is_a_replay(rig: Rig) -> None:
    rig.bury("1")
    requeue_job(DELIVERY, connection=rig.redis, serializer=JSONSerializer)
    assert_true(rig, unbooked={DELIVERY})
    assert rig.claim(("github", 1)) == [NotClaimed("replayed", DELIVERY)]
    assert_true(rig)
    rig.finish(rig.run_one())
    assert rig.scan("rq:*") == ["rq:queues"]


def test_a_requeue_that_cannot_be_done_is_a_failed_job_again(rig: Rig) -> None:
    rig.bury("1")
    rig.redis.delete(rig.keys.body(an_event().id))
    requeue_job(DELIVERY, connection=rig.redis, serializer=JSONSerializer)
    assert rig.claim(("github", 1)) == [NotClaimed("body_missing", DELIVERY)]
    assert_true(rig)
    assert rig.redis.persist(f"rq:job:{DELIVERY}") == 0


def test_a_requeue_pressed_while_it_is_replayed_leaves_no_job(rig: Rig) -> None:
    rig.bury("1")
    pressed = job(rig, DELIVERY)
    rig.redis.zrem("rq:failed:github", DELIVERY)  # RQ's Requeue works in two steps
    rig.run(ledger.replay([DELIVERY]))
    rq_queue(rig)._enqueue_job(pressed)
    rig.claim(("github", 5))
    assert_true(rig)
    assert rig.scan("rq:job:*") == [f"rq:job:{DELIVERY}-2"]


def test_emptying_a_queue_in_a_tool_of_rq_loses_nothing(rig: Rig) -> None:
    one_of_each(rig)
    empty(rig)
    rig.pass_time(LOOK)
    rig.sweep()
    assert_true(rig, unbooked={a_delivery("runs") + "-1"})
    assert len(rig.claim(("github", 10))) == 3


def test_jobs_whose_hash_was_deleted_are_written_anew_at_the_next_look(rig: Rig) -> None:
    of = one_of_each(rig)
    rig.raw("DEL", *rig.scan("rq:job:*"), "rq:queue:github")
    rig.pass_time(LOOK)
    rig.sweep()
    assert_true(rig, unbooked={of["leased"] + "-1"}, deleted={of["dead"]})
    assert has_job(rig, of["pending"] + "-1")


def test_no_job_is_left_when_everything_is_done(rig: Rig) -> None:
    of = one_of_each(rig)
    rig.pass_time(LOOK)
    rig.sweep()
    rig.run(ledger.replay([of["dead"]]))
    while rows := rig.claim(("github", 10)):
        for row in rows:
            if not isinstance(row, NotClaimed):
                rig.finish(row)
    assert rig.scan("rq:*") == ["rq:queues"]
    assert rig.members(rig.keys.pending("github")) == set()


@pytest.mark.parametrize("decision", [DONE, EXHAUSTED], ids=str)
def test_a_bell_rung_for_a_holder_who_was_only_late_leaves_no_job(rig: Rig, decision: Decision) -> None:
    rig.accept("1")
    held = rig.run_one()
    rig.pass_time(LEASE)
    rig.sweep()
    rig.finish(held, decision)
    rig.redis.delete("rq:queue:github")
    rig.run(ledger.discard([DELIVERY]))
    assert rig.scan("rq:*") == ["rq:queues"]


def test_a_stock_worker_keeps_its_own_books_and_ours_stay_out_of_them(rig: Rig) -> None:
    rig.accept("1")
    rig.raw("LPOP", "rq:queue:github")
    (held,) = rig.claim(taken=[(DELIVERY, "")], books=False)
    assert not isinstance(held, NotClaimed)
    assert rig.scan("rq:wip:*") == []
    assert has_job(rig, f"{DELIVERY}-1")
    rig.finish(held, Wait(9.0), books=False)
    assert has_job(rig, f"{DELIVERY}-1")  # RQ deletes it when the function returns
    rig.raw("DEL", f"rq:job:{DELIVERY}-1")
    assert_true(rig)


def test_two_queues_are_shown_apart(rig: Rig) -> None:
    rig.accept("1", "2")
    rig.accept("1", "2", source=a_source("stripe"))
    rig.finish(rig.run_one(), EXHAUSTED)
    rig.finish(rig.run_one("stripe"), Wait(9.0))
    for name in ("github", "stripe"):
        assert_true(rig, name)
    assert ids(rig, FailedJobRegistry, "stripe") == ids(rig, ScheduledJobRegistry, "github") == set()
