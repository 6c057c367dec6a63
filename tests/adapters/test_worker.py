"""`hookline worker` on a real server: everything is run, by the rules, whatever goes wrong."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from redis import Redis
from redis.exceptions import TimeoutError
from rq import Queue, Worker
from rq.suspension import resume, suspend

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger import scripts
from gateway.adapters.ledger.scripts import CLAIM, FINISH, RENEW, Script
from gateway.adapters.worker import leases
from gateway.adapters.worker.bell import Bell
from gateway.adapters.worker.isolation import IsolatedEnd
from gateway.adapters.worker.watchdog import Watchdog
from gateway.core.delivery import Finish
from gateway.core.outcomes import AttemptOutcome, DeliveryState
from gateway.core.retry import RetryPolicy
from gateway.plugins import Discard, Event, RetryAfter
from gateway.process import Ready
from tests.adapters.ledger_rig import Rig, Row, a_delivery, a_source
from tests.adapters.worker_rig import (
    AT_ONCE,
    Running,
    a_processor,
    a_worker,
    an_app,
    drain,
    in_threads,
    lines,
    until,
)

__all__ = ["in_threads", "lines"]
DONE, DEAD = DeliveryState.DONE, DeliveryState.DEAD
STRIPE = a_source("stripe", retry=AT_ONCE)
GITHUB = a_source(retry=AT_ONCE)


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


class Seen:
    """A processor that remembers what it was called with, and may do more."""

    def __init__(self, also: Callable[[Event], Any] = lambda event: None) -> None:
        self.events: list[Event] = []
        self._also = also

    def processor(self, name: str = "archive", source: str = "github") -> Any:
        def process(event: Event) -> None:
            self.events.append(event)
            self._also(event)

        return a_processor(process, source, name=name)

    @property
    def values(self) -> list[str]:
        return [event.provider_id for event in self.events]


def rows(rig: Rig, *values: str, source: str = "github") -> list[Row]:
    return [rig.row(a_delivery(value, source=source)) for value in values]


def fail(event: Event) -> NoReturn:
    raise ValueError


def numbers(many: int) -> list[str]:
    return [str(number) for number in range(many)]


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


def test_a_start_that_fails_is_a_failed_attempt_and_the_worker_goes_on(
    rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen()
    app = an_app(seen.processor(), sources=[a_source(retry=RetryPolicy(3, first_delay=3600.0))])
    refused = iter([True, False, True])
    worker = a_worker(app, redis_url)
    start = worker._runner.start

    def start_or_refuse(*arguments: Any) -> None:
        if next(refused, False):
            raise RuntimeError("can't start new thread")
        start(*arguments)

    monkeypatch.setattr(worker._runner, "start", start_or_refuse)
    rig.accept("1", "2", "3", "4")
    worker.work(burst=True)
    states = Counter(row.state for row in rows(rig, *"1234"))
    assert states == {DONE: 2, DeliveryState.WAITING: 2}
    assert len(seen.events) == 2


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


# Stopping


def test_what_runs_may_end_within_the_grace(rig: Rig, redis_url: str, in_threads: None) -> None:
    opened = threading.Event()
    seen = Seen(lambda event: opened.wait(60))
    rig.accept("1", "2")
    with Running(a_worker(an_app(seen.processor(), grace=20.0), redis_url)) as running:
        until(lambda: len(seen.events) == 2)
        running.ask_to_stop()
        rig.accept("3")
        opened.set()
        running.join()
    assert [row.state for row in rows(rig, *"123")] == [DONE, DONE, DeliveryState.PENDING]
    assert rig.queued() == [f"{a_delivery('3')}-1"]


@pytest.mark.parametrize("signals", [1, 2])
def test_what_still_runs_at_the_end_is_released_and_was_no_attempt(
    rig: Rig, redis_url: str, in_threads: None, signals: int
) -> None:
    """At the end of the grace, or at once with the second signal."""
    opened = threading.Event()
    slow = Seen(lambda event: opened.wait(60))
    app = an_app(slow.processor(), grace=0.2 if signals == 1 else 3600.0, lease=60.0)
    rig.accept("1", "2")
    try:
        with Running(a_worker(app, redis_url)) as running:
            until(lambda: len(slow.events) == 2)
            for _ in range(signals):
                running.ask_to_stop()
            running.join()
        found = rows(rig, "1", "2")
        assert [(row.state, row.attempts, row.crashes) for row in found] == [("pending", 0, 0)] * 2
        quick = Seen()
        drain(an_app(quick.processor()), redis_url)  # at once: the lease was a minute's
        assert [event.attempt for event in quick.events] == [1, 1]
        assert [event.fence for event in quick.events] == [2, 2]
    finally:
        opened.set()


def test_what_has_ended_is_recorded_not_released(rig: Rig, redis_url: str, in_threads: None) -> None:
    """However late its result comes in."""
    opened = threading.Event()
    seen = Seen(lambda event: opened.wait(60))
    worker = a_worker(an_app(seen.processor(), grace=0.001), redis_url)
    teardown = worker.teardown

    def end_meanwhile() -> None:
        opened.set()
        until(lambda: not worker._inbox.empty())
        teardown()  # type: ignore[no-untyped-call]

    worker.teardown = end_meanwhile  # type: ignore[method-assign]
    rig.accept("1")
    with Running(worker) as running:
        until(lambda: len(seen.events) == 1)
        running.stop()
    assert (rig.row(a_delivery()).state, rig.row(a_delivery()).attempts) == (DONE, 1)


def test_a_bell_that_was_taken_when_it_stopped_rings_again(
    rig: Rig, redis_url: str, in_threads: None
) -> None:
    for value in numbers(6):
        seen = Seen()
        worker = a_worker(an_app(seen.processor()), redis_url)
        with Running(worker) as running:
            until(worker._ringer._asked.is_set)
            running.ask_to_stop()
            rig.accept(value)
        if value not in seen.values:
            assert rig.queued() == [f"{a_delivery(value)}-1"]
            drain(an_app(seen.processor()), redis_url)
        assert seen.values == [value]


# Trouble with the server


class Trouble:
    """Lets calls of one script be carried out and then loses the reply, or refuses them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lost: Counter[Script] = Counter()
        self.refused: Counter[Script] = Counter()
        run = scripts.run
        monkeypatch.setattr(leases, "run", lambda *arguments: self._run(run, *arguments))

    def _run(self, run: Any, client: "Redis", keys: Any, call: Any) -> Any:
        if self.refused[call.script]:
            self.refused[call.script] -= 1
            raise TimeoutError("refused")
        reply = run(client, keys, call)
        if self.lost[call.script]:
            self.lost[call.script] -= 1
            raise TimeoutError("lost")
        return reply


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Trouble:
    monkeypatch.setattr("gateway.adapters.worker.worker.PAUSE_SECONDS", 0.0)
    return Trouble(monkeypatch)


def test_a_claim_whose_reply_was_lost_is_no_attempt_and_no_crash(
    rig: Rig, redis_url: str, trouble: Trouble
) -> None:
    """Three of them in a row would otherwise be poison that never ran."""
    seen = Seen()
    rig.accept(*numbers(6))
    trouble.lost[CLAIM] = 4
    drain(an_app(seen.processor(), lease=3600.0), redis_url)
    assert sorted(seen.values) == numbers(6)
    assert {(row.state, row.attempts, row.crashes) for row in rows(rig, *numbers(6))} == {(DONE, 1, 0)}


def test_a_recording_whose_reply_was_lost_is_repeated_and_not_called_stale(
    rig: Rig, redis_url: str, trouble: Trouble, lines: Any
) -> None:
    rig.accept(*numbers(5))
    trouble.lost[FINISH] = 2
    trouble.refused[FINISH] = 1
    worker = drain(an_app(Seen().processor()), redis_url)
    assert {(row.state, row.attempts) for row in rows(rig, *numbers(5))} == {(DONE, 1)}
    assert worker.successful_job_count == 5
    assert [line.get("stale") for line in lines if line["event"] == "attempt.done"] == [None] * 5


def test_a_claim_of_what_we_run_ourselves_is_a_lease_of_its_own(
    rig: Rig, redis_url: str, in_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our lease ran out, somebody rang, and our own worker was the one to hear it."""
    opened = threading.Event()
    seen = Seen(lambda event: opened.wait(60) if event.fence == 1 else None)
    app = an_app(seen.processor(), lease=60.0, sweep_interval=60.0)
    worker = a_worker(app, redis_url)
    monkeypatch.setattr("gateway.adapters.worker.worker.run_isolated", worker._runner.start)
    rig.accept("1")
    with Running(worker):
        until(lambda: len(seen.events) == 1)
        rig.pass_time(61_000)
        rig.sweep()
        until(lambda: rig.row(a_delivery()).state == DONE)
        until(lambda: [each.fence for each in worker._leases.held()] == [1])
        opened.set()
        until(lambda: not worker._leases.held())
    row = rig.row(a_delivery())
    assert (row.attempts, row.crashes, row.fence) == (2, 1, 2)


def crash(ready: Ready, report: Callable[[Any], None]) -> None:
    """As `run_isolated` does when the child dies."""
    claimed = ready.claimed
    report(IsolatedEnd(ready, Finish(claimed.delivery, claimed.fence, None, AttemptOutcome.CRASHED), 0))


def test_a_crash_that_cannot_be_told_the_server_at_once_is_not_forgotten(
    rig: Rig, redis_url: str, trouble: Trouble, monkeypatch: pytest.MonkeyPatch, lines: Any
) -> None:
    monkeypatch.setattr("gateway.adapters.worker.worker.run_isolated", crash)
    rig.accept("1", "2")
    trouble.refused[RENEW] = 2
    trouble.lost[RENEW] = 2
    drain(an_app(Seen().processor(), lease=3600.0), redis_url, isolate=True)
    for row in rows(rig, "1", "2"):
        assert (row.state, row.reason, row.crashes, row.attempts) == (DEAD, "poison", 3, 3)
    assert sum(line["event"] == "attempt.crashed" for line in lines) == 6


def test_once_too_many_do_not_listen_to_their_limit_the_next_run_in_processes(
    rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolated: list[str] = []
    worker = a_worker(an_app(Seen().processor()), redis_url, concurrency=2)

    def run_isolated(ready: Ready, report: Callable[[Any], None]) -> None:
        isolated.append(ready.event.provider_id)
        worker._runner.start(ready, report)

    monkeypatch.setattr("gateway.adapters.worker.worker.run_isolated", run_isolated)
    rig.accept("1")
    worker._runner.abandoned = 2
    worker.work(burst=True)
    assert isolated == ["1"]


def test_a_stock_workers_books_are_not_taken_for_ours(
    rig: Rig, redis_url: str, trouble: Trouble
) -> None:
    seen = Seen()
    rig.accept("1", "2")
    rig.redis.zadd("rq:wip:github", {"dlv_abc-1-1:0f8fad5bd9cb469fa16570867728950e": 4e12})
    rig.redis.hset("rq:job:dlv_abc-1-1", "worker_name", "another")
    trouble.lost[CLAIM] = 1
    drain(an_app(seen.processor()), redis_url)
    assert sorted(seen.values) == ["1", "2"]
    assert len(rig.members("rq:wip:github")) == 1


def test_a_bell_without_room_rings_again(rig: Rig, redis_url: str, in_threads: None) -> None:
    """It was asked for while there was room, and then a look into the queue was quicker."""
    opened = threading.Event()
    seen = Seen(lambda event: opened.wait(60))
    app = an_app(seen.processor(), sources=[a_source(concurrency=1, retry=AT_ONCE)])
    worker = a_worker(app, redis_url)
    rig.accept("1")
    with Running(worker):
        until(lambda: seen.values == ["1"])
        rig.accept("2")
        job = rig.redis.lpop("rq:queue:github")
        assert job
        worker._inbox.put(Bell(job.decode(), "github"))  # type: ignore[union-attr]
        until(lambda: rig.queued() == [f"{a_delivery('2')}-1"])
        assert seen.values == ["1"]
        opened.set()
        until(lambda: worker.successful_job_count == 2)
    assert seen.values == ["1", "2"]


def test_errors_of_the_server_end_no_worker(
    rig: Rig, redis_url: str, in_threads: None, trouble: Trouble
) -> None:
    seen = Seen()
    worker = a_worker(an_app(seen.processor()), redis_url)
    with Running(worker):
        for _ in range(4):
            trouble.refused[CLAIM] += 1
            trouble.refused[FINISH] += 1
        rig.accept(*numbers(30))
        until(lambda: worker.successful_job_count == 30)
    assert sorted(seen.values) == sorted(numbers(30))


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


class Fed(Watchdog):
    """Counts, and ends nothing."""

    times = 0
    stopped = False

    def feed(self) -> None:
        self.times += 1

    def stop(self) -> None:
        self.stopped = True


def test_a_server_that_is_away_is_no_standstill(
    redis_url: str, in_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> NoReturn:
        raise TimeoutError

    watchdog = Fed(10.0)
    worker = a_worker(an_app(Seen().processor()), redis_url, watchdog=watchdog)
    monkeypatch.setattr(worker._leases, "recover", fail)
    worker._in_doubt = True
    with Running(worker):
        until(lambda: watchdog.times > 2)
        assert worker._in_doubt
    assert watchdog.stopped
