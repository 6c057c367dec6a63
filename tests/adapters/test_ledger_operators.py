"""What operators do with RQ's own tools loses nothing: the ledger heals it within a look or two.

A tool acts on a queue in which there is one delivery in every state, and three dead letters. Then time
passes, sweepers sweep, and RQ shows again what is true; at the end everything has run.
"""

from collections.abc import Callable
from typing import Any, Final

import pytest
from redis import Redis
from rq.job import requeue_job
from rq.registry import FailedJobRegistry, ScheduledJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.calls import NotClaimed, Refiled
from gateway.core.retry import Wait
from tests.adapters.ledger_rig import EXHAUSTED, LOOK, Rig, a_delivery, a_source, an_event
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

DEAD: Final = [a_delivery(value) for value in ("dies", "fails", "ends badly")]
RUNS: Final = a_delivery("runs")


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


def registry(rig: Rig, kind: Any) -> Any:
    return kind("github", connection=rig.redis, serializer=JSONSerializer)


def requeue(rig: Rig, *deliveries: str) -> None:
    for each in deliveries or DEAD:
        requeue_job(each, connection=rig.redis, serializer=JSONSerializer)


def pop(rig: Rig, job_id: str) -> None:
    """Somebody takes it from its queue and dies."""
    assert rig.raw("LREM", rig.keys.queue("github"), 0, job_id)


def empty_registry(rig: Rig, kind: Any) -> None:
    """As the button of rq-dashboard does."""
    for each in ids(rig, kind):
        if has_job(rig, each.partition(":")[0]):
            job(rig, each.partition(":")[0]).delete()


# On dead letters


def delete_a_failed_job(rig: Rig) -> None:
    job(rig, DEAD[0]).delete()


def empty_the_failed_registry(rig: Rig) -> None:
    empty_registry(rig, FailedJobRegistry)


def take_it_out_of_the_registry(rig: Rig) -> None:
    registry(rig, FailedJobRegistry).remove(DEAD[0])


def cancel_a_failed_job(rig: Rig) -> None:
    job(rig, DEAD[0]).cancel()


def delete_the_hash_of_a_failed_job(rig: Rig) -> None:
    rig.raw("DEL", f"rq:job:{DEAD[0]}")


def press_requeue_and_die_halfway(rig: Rig) -> None:
    """RQ takes it out of the failed ones first, and queues it then."""
    rig.raw("ZREM", "rq:failed:github", DEAD[0])


def requeue_all_and_empty_the_queue(rig: Rig) -> None:
    requeue(rig)
    empty(rig)


def requeue_all_to_a_worker_that_dies(rig: Rig) -> None:
    requeue(rig)
    for each in DEAD:
        pop(rig, each)


def requeue_all_to_a_stock_worker_that_dies_at_its_start(rig: Rig) -> None:
    requeue(rig)
    for each in DEAD:
        pop(rig, each)
        rig.raw("HSET", f"rq:job:{each}", "status", "started")


# On open deliveries


def delete_the_queue(rig: Rig) -> None:
    queue: Any = rq_queue(rig)
    queue.delete(delete_jobs=True)


def delete_a_queued_job(rig: Rig) -> None:
    job(rig, a_delivery("rings") + "-1").delete()


def cancel_a_queued_job(rig: Rig) -> None:
    job(rig, a_delivery("rings") + "-1").cancel()


def empty_the_scheduled_registry(rig: Rig) -> None:
    empty_registry(rig, ScheduledJobRegistry)


def empty_the_started_registry(rig: Rig) -> None:
    empty_registry(rig, StartedJobRegistry)


def delete_everything_of_rq(rig: Rig) -> None:
    rig.raw("DEL", *rig.scan("rq:*"))


TOOLS: Final[list[Callable[[Rig], None]]] = [
    *(delete_a_failed_job, empty_the_failed_registry, take_it_out_of_the_registry, cancel_a_failed_job),
    *(delete_the_hash_of_a_failed_job, press_requeue_and_die_halfway, requeue, empty, delete_the_queue),
    *(requeue_all_and_empty_the_queue, requeue_all_to_a_worker_that_dies, run_scheduler, storm),
    *(requeue_all_to_a_stock_worker_that_dies_at_its_start, delete_a_queued_job, cancel_a_queued_job),
    *(empty_the_scheduled_registry, empty_the_started_registry, delete_everything_of_rq),
]


def one_of_each(rig: Rig) -> None:
    for value in ("dies", "fails", "ends badly"):
        rig.bury(value)
    rig.accept("waits", "runs", "rings")
    rig.finish(rig.run_one(), Wait(1000.0))
    rig.run_one()


def refile(rig: Rig, first: int = 0, most: int = 100, look_ms: int = 0) -> Refiled:
    """`look_ms` 0: the jobs are old enough, whatever RQ has written into them."""
    return rig.run(ledger.refile("github", first, most, look_ms))


def heal(rig: Rig) -> None:
    for _ in range(2):
        rig.pass_time(LOOK)
        rig.sweep()
        refile(rig)


def work_off(rig: Rig) -> None:
    for _ in range(3):
        while rows := rig.claim(("github", 50)):
            for row in rows:
                assert isinstance(row, NotClaimed) or rig.finish(row)
        heal(rig)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: str(tool.__name__))
def test_what_a_tool_of_rq_did_is_healed_and_everything_runs(rig: Rig, tool: Any) -> None:
    one_of_each(rig)
    tool(rig)
    heal(rig)
    pressed = {each for each in DEAD if each in rig.queued()}
    assert_true(rig, unbooked={f"{RUNS}-1", *pressed})
    work_off(rig)
    shown = ids(rig, FailedJobRegistry)
    assert shown == rig.members(rig.keys.dead("github")) <= set(DEAD)
    rig.run(ledger.replay(sorted(shown)))
    work_off(rig)
    values = ("dies", "fails", "ends badly", "waits", "runs", "rings")
    assert {rig.row(a_delivery(value)).state for value in values} == {"done"}
    assert rig.scan("rq:job:*") == []


def test_a_dead_letter_that_was_deleted_is_filed_as_it_was_with_its_reason(rig: Rig) -> None:
    rig.bury("1")
    job(rig, a_delivery()).delete()
    assert refile(rig) == Refiled(1, 1, 0)
    assert_true(rig)
    result = job(rig, a_delivery()).latest_result()
    assert result is not None
    assert result.exc_string == "Dead letter: exhausted"
    assert refile(rig) == Refiled(1, 0, 0)


def test_what_is_shown_already_is_left_alone(rig: Rig) -> None:
    one_of_each(rig)
    before = rig.snapshot()
    assert refile(rig) == Refiled(3, 0, 0)
    assert rig.snapshot() == before


def test_a_pressed_requeue_is_left_time_and_then_carried_out(rig: Rig) -> None:
    rig.bury("1")
    requeue(rig, a_delivery())
    assert refile(rig) == Refiled(1, 0, 0)  # it lies in its queue
    pop(rig, a_delivery())
    assert refile(rig, look_ms=60_000) == Refiled(1, 0, 0)  # somebody has it, perhaps
    assert rig.row(a_delivery()).state == "dead"
    assert refile(rig) == Refiled(1, 0, 1)
    assert rig.run_one().delivery == a_delivery()
    assert refile(rig) == Refiled(0, 0, 0)


def test_a_pressed_requeue_without_a_body_is_filed_again(rig: Rig) -> None:
    rig.bury("1")
    requeue(rig, a_delivery())
    pop(rig, a_delivery())
    rig.redis.delete(rig.keys.body(an_event().id))
    assert refile(rig) == Refiled(1, 0, 0)
    assert_true(rig)


def test_a_piece_at_a_time_is_looked_at(rig: Rig) -> None:
    for value in "1234":
        rig.bury(value)
    empty_the_failed_registry(rig)
    assert [refile(rig, first, 3) for first in (0, 3, 4)] == [
        Refiled(3, 3, 0),
        Refiled(1, 1, 0),
        Refiled(0, 0, 0),
    ]
    assert_true(rig)


def test_what_is_no_dead_letter_leaves_their_index(rig: Rig) -> None:
    rig.accept("1")
    rig.redis.zadd(rig.keys.dead("github"), {a_delivery("1"): 1, "nonsense": 2, a_delivery("x"): 3})
    assert refile(rig) == Refiled(3, 0, 0)
    assert rig.members(rig.keys.dead("github")) == set()
    assert rig.row(a_delivery("1")).state == "pending"


def test_requeue_all_in_a_queue_of_others_is_not_searched_for_without_end(rig: Rig) -> None:
    """A search costs as much as the queue is long, and stops everybody else meanwhile."""
    for value in map(str, range(60)):
        rig.bury(value)
    requeue(rig, *(a_delivery(value) for value in map(str, range(60))))
    rig.redis.delete(rig.keys.queue("github"))
    assert refile(rig) == Refiled(60, 0, 50)


def test_in_a_long_queue_nobody_searches_and_the_requeue_waits_until_it_is_shorter(rig: Rig) -> None:
    rig.bury("1")
    requeue(rig, a_delivery())
    pop(rig, a_delivery())
    rig.redis.rpush(rig.keys.queue("github"), *map(str, range(10_001)))
    assert refile(rig) == Refiled(1, 0, 0)
    rig.raw("LPOP", rig.keys.queue("github"))
    assert refile(rig) == Refiled(1, 0, 1)


def test_dead_letters_of_a_source_with_a_queue_of_another_name_are_filed_there(rig: Rig) -> None:
    rig.accept("1", source=a_source("stripe"))
    rig.finish(rig.run_one("stripe"), EXHAUSTED)
    rig.raw("DEL", "rq:failed:stripe")
    assert rig.run(ledger.refile("stripe", 0, 10, 0)) == Refiled(1, 1, 0)
    assert_true(rig, "stripe")
