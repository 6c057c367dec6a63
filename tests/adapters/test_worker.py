"""`hookline worker` on a real server: everything is run, by the rules, whatever goes wrong."""

import threading
from collections import Counter
from typing import Any, NoReturn

import pytest
from redis import Redis
from rq import Queue, Worker
from rq.suspension import resume, suspend

from gateway.adapters.ledger import calls as ledger
from gateway.core.outcomes import DeliveryState
from gateway.plugins import Discard, Event, RetryAfter
from tests.adapters.ledger_rig import Rig, a_delivery, a_source
from tests.adapters.worker_rig import (
    AT_ONCE,
    Running,
    Seen,
    a_processor,
    a_worker,
    an_app,
    drain,
    in_threads,
    lines,
    numbers,
    rows,
    until,
)

__all__ = ["in_threads", "lines"]
DONE, DEAD = DeliveryState.DONE, DeliveryState.DEAD
STRIPE = a_source("stripe", retry=AT_ONCE)
GITHUB = a_source(retry=AT_ONCE)


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


def fail(event: Event) -> NoReturn:
    raise ValueError


# Draining


def test_drains_everything_once(rig: Rig, redis_url: str) -> None:
    seen, other = Seen(), Seen()
    app = an_app(seen.processor(), other.processor("bill", "stripe"), sources=[GITHUB, STRIPE])
    rig.accept(*numbers(150))
    rig.accept(*numbers(50), source=STRIPE, processors=("bill",))
    worker = drain(app, redis_url)
    assert sorted(seen.values) == sorted(numbers(150))
    assert sorted(other.values) == sorted(numbers(50))
    assert {(row.state, row.attempts) for row in rows(rig, *numbers(150))} == {(DONE, 1)}
    assert (worker.successful_job_count, worker.failed_job_count) == (200, 0)


def test_both_kinds_of_function_run_at_once(rig: Rig, redis_url: str) -> None:
    meeting = threading.Barrier(4)

    def plain(event: Event) -> None:
        meeting.wait(60)

    async def coroutine(event: Event) -> None:
        import asyncio

        await asyncio.to_thread(meeting.wait, 10)

    rig.accept("1", "2", processors=("plain", "coroutine"))
    drain(an_app(plain, coroutine), redis_url)
    assert {rig.row(a_delivery(value, number)).state for value in "12" for number in (1, 2)} == {DONE}


def test_burst_finds_every_queue_with_one_slot(rig: Rig, redis_url: str) -> None:
    sources = [a_source(f"s{number}") for number in range(6)]
    seen = [Seen() for _ in sources]
    processors = [each.processor(f"p{s.name}", s.name) for each, s in zip(seen, sources, strict=True)]
    for source in sources[3:]:
        rig.accept("1", "2", source=source, processors=(f"p{source.name}",))
    drain(an_app(*processors, sources=sources), redis_url, concurrency=1)
    assert [len(each.events) for each in seen] == [0, 0, 0, 2, 2, 2]


def test_several_processors_of_one_event_are_independent(rig: Rig, redis_url: str) -> None:
    def discard(event: Event) -> NoReturn:
        raise Discard("not for us")

    seen = Seen()
    rig.accept("1", processors=("archive", "discard", "gone"))
    drain(an_app(seen.processor(), discard), redis_url)
    found = [rig.row(a_delivery("1", number)) for number in (1, 2, 3)]
    assert [(row.state, row.reason) for row in found] == [
        (DONE, ""),
        (DEAD, "discarded"),
        (DEAD, "processor_missing"),
    ]
    assert len(seen.events) == 1


def test_an_event_waits_when_a_queue_was_empty(rig: Rig, redis_url: str, in_threads: None) -> None:
    """The bell, not the sweeper, brings it: that looks once an hour here."""
    seen = Seen()
    app = an_app(seen.processor(), sweep_interval=3600.0, look_interval=3600.0, lease=3600.0)
    with Running(a_worker(app, redis_url)):
        for value in numbers(5):
            rig.accept(value)
            until(lambda value=value: value in seen.values)  # type: ignore[misc]


# Failing


def test_a_failing_one_is_tried_by_the_schedule_then_dead(
    rig: Rig, redis_url: str, in_threads: None
) -> None:
    seen = Seen(fail)
    rig.accept("1")
    with Running(a_worker(an_app(seen.processor()), redis_url)):
        until(lambda: rig.row(a_delivery()).state == DEAD)
    assert [event.attempt for event in seen.events] == [1, 2, 3]
    assert [event.fence for event in seen.events] == [1, 2, 3]
    assert rig.row(a_delivery()).reason == "exhausted"


def test_retry_after_is_kept_to_the_millisecond(rig: Rig, redis_url: str) -> None:
    def later(event: Event) -> NoReturn:
        raise RetryAfter(3600)

    rig.accept("1", processors=("later",))
    before = rig.now()
    drain(an_app(later), redis_url)
    row = rig.row(a_delivery())
    assert (row.state, row.attempts) == (DeliveryState.WAITING, 1)
    assert before + 3_600_000 <= row.time <= rig.now() + 3_600_000


def test_a_processor_that_is_gone_can_be_replayed_when_it_is_back(rig: Rig, redis_url: str) -> None:
    rig.accept("1")
    drain(an_app(), redis_url)
    assert rig.row(a_delivery()).reason == "processor_missing"
    seen = Seen()
    assert rig.run(ledger.replay([a_delivery()])) == ["replayed"]
    drain(an_app(seen.processor()), redis_url)
    assert (rig.row(a_delivery()).state, seen.values) == (DONE, ["1"])


# Fair shares


def test_a_sources_own_limit_holds_however_much_waits(
    rig: Rig, redis_url: str, in_threads: None
) -> None:
    running, most = Counter[str](), Counter[str]()
    guard, another = threading.Lock(), threading.Barrier(2)

    def count(event: Event) -> None:
        with guard:
            running[event.source] += 1
            most[event.source] = max(most[event.source], running[event.source])
        if event.source == "github":
            another.wait(60)  # in pairs: two at once do run
        with guard:
            running[event.source] -= 1

    capped = a_source(concurrency=2)
    app = an_app(
        a_processor(count, name="archive"),
        a_processor(count, "stripe", name="bill"),
        sources=[capped, STRIPE],
    )
    worker = a_worker(app, redis_url)
    with Running(worker):
        for value in numbers(60):  # trickling in: some by a bell, some by a look into the queue
            rig.accept(value, f"{value}b", source=capped)
            rig.accept(value, source=STRIPE, processors=("bill",))
        until(lambda: worker.successful_job_count == 180)
    assert most["github"] == 2  # how many of the others run at once, the machine's speed decides


def test_long_deliveries_of_one_source_do_not_starve_another(
    rig: Rig, redis_url: str, in_threads: None
) -> None:
    opened = threading.Event()
    slow, quick = Seen(lambda event: opened.wait(600)), Seen()
    app = an_app(slow.processor(), quick.processor("bill", "stripe"), sources=[GITHUB, STRIPE])
    rig.accept(*numbers(100))
    worker = a_worker(app, redis_url, concurrency=8)
    with Running(worker):
        until(lambda: len(slow.events) == 6)
        for value in numbers(20):
            rig.accept(value, source=STRIPE, processors=("bill",))
            until(lambda value=value: value in quick.values)  # type: ignore[misc]
        assert len(slow.events) == 6
        opened.set()
        until(lambda: worker.successful_job_count == 120)


# RQ's side of it


def test_rq_lists_it_with_heartbeats_and_counts(rig: Rig, redis_url: str, in_threads: None) -> None:
    app = an_app(Seen().processor(), sources=[GITHUB, STRIPE])
    worker = a_worker(app, redis_url)

    def listed() -> Any:
        (found,) = Worker.all(connection=rig.redis)
        return found

    with Running(worker):
        rig.accept("1", "2")
        until(lambda: worker.successful_job_count == 2)
        until(lambda: listed().successful_job_count == 2)
        first = listed()
        assert first.name == worker.name
        assert first.queue_names() == ["github", "stripe"]
        assert first.get_state() == "idle"
        assert Worker.count(queue=Queue("stripe", connection=rig.redis)) == 1
        until(lambda: listed().last_heartbeat > first.last_heartbeat)
        assert 60 < rig.redis.ttl(worker.key) <= 90
    assert Worker.all(connection=rig.redis) == []


def test_it_is_listed_again_after_the_server_has_forgotten_it(
    rig: Rig, redis_url: str, in_threads: None
) -> None:
    worker = a_worker(an_app(), redis_url)
    with Running(worker):
        until(lambda: rig.redis.exists(worker.key))
        rig.redis.flushall()
        until(lambda: [each.name for each in Worker.all(connection=rig.redis)] == [worker.name])
        (found,) = Worker.all(connection=rig.redis)
        assert found.queue_names() == ["github"]
        assert found.birth_date


def test_rq_suspend_holds_it_and_rq_resume_lets_it_go_on(
    rig: Rig, redis_url: str, in_threads: None
) -> None:
    seen = Seen()
    worker = a_worker(an_app(seen.processor()), redis_url)
    with Running(worker):
        rig.accept("before")
        until(lambda: seen.values == ["before"])
        suspend(rig.redis)
        until(lambda: rig.redis.hget(worker.key, "state") == b"suspended")
        rig.accept("meanwhile")
        beats = worker.last_heartbeat
        until(lambda: worker.last_heartbeat != beats)
        assert seen.values == ["before"]
        assert rig.queued() == [f"{a_delivery('meanwhile')}-1"]
        resume(rig.redis)
        until(lambda: seen.values == ["before", "meanwhile"])


def test_a_suspended_burst_leaves_the_work_where_it_is(rig: Rig, redis_url: str) -> None:
    rig.accept("1")
    suspend(rig.redis)
    drain(an_app(Seen().processor()), redis_url)
    assert rig.queued() == [f"{a_delivery()}-1"]


def test_another_programs_job_is_put_where_people_see_it(rig: Rig, redis_url: str) -> None:
    job = Queue("github", connection=rig.redis, serializer="json").enqueue(print, "hello")
    rig.accept("1")
    seen = Seen()
    drain(an_app(seen.processor()), redis_url)
    assert seen.values == ["1"]
    assert rig.queued("foreign-github") == [job.id]
    assert rig.redis.exists(f"rq:job:{job.id}")


def test_the_command_thread_outlives_bad_commands(
    rig: Rig, redis_url: str, in_threads: None, lines: Any
) -> None:
    worker = a_worker(an_app(), redis_url)
    with Running(worker):
        until(lambda: rig.redis.pubsub_numsub(worker.pubsub_channel_name)[0][1])
        thread: Any = until(lambda: worker.pubsub_thread)
        for text in ("no json", '"text"', "{}", '{"command": "stop-job", "job_id": "x"}'):
            rig.redis.publish(worker.pubsub_channel_name, text)
        rig.redis.publish(worker.pubsub_channel_name, '{"command": "kill-horse"}')
        until(lambda: sum(line["event"] == "worker.commands_interrupted" for line in lines) >= 2)
        assert thread.is_alive()


# Sources that changed


def test_deliveries_of_a_source_that_left_the_configuration_are_run(rig: Rig, redis_url: str) -> None:
    left = a_source("gone")
    seen = Seen()
    rig.accept("1", "2", source=left)
    drain(an_app(seen.processor(source="gone"), sources=[GITHUB]), redis_url)
    assert sorted(seen.values) == ["1", "2"]
    assert {row.state for row in rows(rig, "1", "2", source="gone")} == {DONE}


def test_deliveries_that_wait_in_a_sources_former_queue_are_run(rig: Rig, redis_url: str) -> None:
    from dataclasses import replace

    seen = Seen()
    rig.accept("1", source=replace(GITHUB, queue="former"))
    drain(an_app(seen.processor(), sources=[GITHUB]), redis_url)
    assert seen.values == ["1"]


def test_a_worker_for_one_source_leaves_stray_queues_to_the_others(rig: Rig, redis_url: str) -> None:
    from gateway.adapters.worker.worker import HooklineWorker

    rig.accept("1", source=a_source("gone"))
    app = an_app(Seen().processor(source="gone"), sources=[GITHUB, STRIPE])
    HooklineWorker(app, redis_url, ["github"], 4).work(burst=True)
    assert rig.queued("gone") == [f"{a_delivery(source='gone')}-1"]
