"""What a stock `rq worker` runs: RQ's own SimpleWorker here, with its own books, in this process."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import TimeoutError
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer

from gateway import jobs
from gateway.adapters.ledger import scripts
from gateway.adapters.ledger.scripts import CLAIM, FINISH, RENEW, REPLAY, Script
from gateway.application import Application
from gateway.plugins import Discard, Event, RetryAfter
from tests.adapters.ledger_rig import Rig, a_delivery, an_event
from tests.adapters.worker_rig import a_processor, an_app, lines

__all__ = ["lines"]
Start = Callable[..., Application]


@pytest.fixture
def rig(redis: "Redis") -> Iterator[Rig]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield Rig(redis)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Makes functions the processors that jobs find."""

    def start(*functions: Any, **worker: Any) -> Application:
        app = an_app(*(a_processor(each, name="archive") for each in functions), **worker)
        monkeypatch.setattr(jobs, "_application", lambda: app)
        jobs._client.cache_clear()
        return app

    return start


def stock(rig: Rig, *queues: str) -> None:
    """A stock worker until the queues are empty."""
    SimpleWorker(list(queues) or ["github"], connection=rig.redis, serializer="json").work(
        burst=True, logging_level="ERROR"
    )


def test_a_job_runs_its_delivery_and_leaves_nothing_in_rq(rig: Rig, serve: Start) -> None:
    seen: list[Event] = []

    def remember(event: Event) -> None:
        seen.append(event)

    serve(remember)
    rig.accept("1", "2")
    stock(rig)
    assert [event.provider_id for event in seen] == ["1", "2"]
    assert {rig.row(a_delivery(value)).state for value in "12"} == {"done"}
    assert rig.scan("rq:job:*") == []
    assert StartedJobRegistry("github", connection=rig.redis).get_job_ids(cleanup=False) == []


def test_a_job_whose_delivery_is_busy_done_or_unknown_does_nothing(rig: Rig, serve: Start) -> None:
    seen: list[Event] = []

    def remember(event: Event) -> None:
        seen.append(event)

    serve(remember)
    rig.accept("busy", "done")
    rig.run_one()
    held = rig.run_one()
    rig.finish(held)
    queue = Queue("github", connection=rig.redis, serializer="json")
    for delivery in (a_delivery("busy"), a_delivery("done"), "dlv_unknown-1"):
        queue.enqueue("gateway.jobs.deliver", delivery, job_id=f"{delivery}-9", result_ttl=0)
    stock(rig)
    assert seen == []
    assert rig.row(a_delivery("busy")).attempts == 1
    assert FailedJobRegistry("github", connection=rig.redis).count == 0


def test_a_failed_attempt_is_scheduled_and_a_dead_letter_is_a_failed_job(
    rig: Rig, serve: Start
) -> None:
    def refuse(event: Event) -> None:
        raise RetryAfter(3600) if event.provider_id == "later" else Discard("no")

    serve(refuse)
    rig.accept("later", "never")
    stock(rig)
    scheduled = Queue("github", connection=rig.redis).scheduled_job_registry
    failed = FailedJobRegistry("github", connection=rig.redis)
    assert scheduled.get_job_ids() == [f"{a_delivery('later')}-2"]
    assert failed.get_job_ids() == [a_delivery("never")]
    job = Job.fetch(a_delivery("never"), connection=rig.redis, serializer=JSONSerializer)
    assert job.get_status() == "failed"
    result: Any = job.latest_result()
    assert result.exc_string == "Dead letter: discarded"


def test_rqs_requeue_of_a_dead_letter_is_a_replay(rig: Rig, serve: Start) -> None:
    well = False
    seen: list[int] = []

    def heals(event: Event) -> None:
        seen.append(event.attempt)
        if not well:
            raise Discard("no")

    serve(heals)
    rig.accept("1")
    stock(rig)
    well = True
    failed = FailedJobRegistry("github", connection=rig.redis, serializer=JSONSerializer)
    failed.requeue(a_delivery())
    stock(rig)
    row = rig.row(a_delivery())
    assert (row.state, row.attempts, seen) == ("done", 1, [1, 1])
    assert failed.get_job_ids() == []
    assert rig.scan("rq:job:*") == []


def test_a_requeue_is_asked_for_until_it_is_heard_and_leaves_no_failed_job(
    rig: Rig, serve: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RQ would file the job as failed, though its dead letter was replayed."""
    run, failures = scripts.run, iter([True])

    def fail_at_first(client: Any, keys: Any, call: Any) -> Any:
        reply = run(client, keys, call)
        if call.script is REPLAY and next(failures, False):
            raise TimeoutError
        return reply

    monkeypatch.setattr(jobs, "run", fail_at_first)
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0.01)
    serve(lambda event: None)
    rig.bury("1")
    failed = FailedJobRegistry("github", connection=rig.redis, serializer=JSONSerializer)
    failed.requeue(a_delivery())
    stock(rig)
    assert rig.row(a_delivery()).state == "done"
    assert failed.get_job_ids() == []
    assert rig.scan("rq:job:*") == []


def test_a_requeued_dead_letter_without_its_body_stays_a_failed_job(rig: Rig, serve: Start) -> None:
    serve(lambda event: None)
    rig.bury("1")
    rig.redis.delete(rig.keys.body(an_event("1").id))
    failed = FailedJobRegistry("github", connection=rig.redis, serializer=JSONSerializer)
    failed.requeue(a_delivery())
    stock(rig)
    assert rig.row(a_delivery()).state == "dead"
    assert failed.get_job_ids() == [a_delivery()]
    job = Job.fetch(a_delivery(), connection=rig.redis, serializer=JSONSerializer)
    assert job.get_status() == "failed"
    result: Any = job.latest_result()
    assert "its body is gone" in result.exc_string
    assert rig.lives(f"rq:job:{a_delivery()}") == -1


def test_a_job_that_finds_poison_leaves_the_dead_letter_only(rig: Rig, serve: Start) -> None:
    """The ledger drops the next look of what it buries, and that is the very job that RQ runs."""
    serve(lambda event: None)
    rig.accept("1")
    for _ in range(3):
        rig.give_up(rig.run_one(books=False))
        rig.sweep()
    stock(rig)
    assert rig.row(a_delivery()).reason == "poison"
    assert FailedJobRegistry("github", connection=rig.redis).get_job_ids() == [a_delivery()]
    assert rig.scan("rq:job:*") == [f"rq:job:{a_delivery()}"]


def test_a_job_whose_body_is_gone_leaves_the_dead_letter_only(rig: Rig, serve: Start) -> None:
    serve(lambda event: None)
    rig.accept("1")
    rig.redis.delete(rig.keys.body(an_event("1").id))
    stock(rig)
    assert rig.row(a_delivery()).reason == "body_missing"
    assert FailedJobRegistry("github", connection=rig.redis).get_job_ids() == [a_delivery()]
    assert rig.scan("rq:job:*") == [f"rq:job:{a_delivery()}"]


def test_the_lease_is_kept_while_it_runs_though_renewals_fail(
    rig: Rig, serve: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Counter[Any]()
    run = scripts.run
    renewed = threading.Event()

    def fail_at_first(client: Any, keys: Any, call: Any) -> Any:
        asked[call.script] += 1
        if call.script is RENEW and asked[RENEW] <= 2:
            raise TimeoutError
        reply = run(client, keys, call)
        if call.script is RENEW and asked[RENEW] > 4:
            renewed.set()
        return reply

    monkeypatch.setattr(jobs, "run", fail_at_first)
    serve(lambda event: renewed.wait(60) and None, lease=0.3)
    rig.accept("1")
    stock(rig)
    assert (rig.row(a_delivery()).state, rig.row(a_delivery()).attempts) == ("done", 1)
    assert asked[RENEW] > 4


def fail_twice(monkeypatch: pytest.MonkeyPatch, script: Script, *, lost: bool) -> None:
    """The first two calls of this script. `lost`: they are carried out, and their replies are lost."""
    run, failures = scripts.run, iter([True, True])

    def fail_at_first(client: Any, keys: Any, call: Any) -> Any:
        failing = call.script is script and next(failures, False)
        if failing and not lost:
            raise TimeoutError
        reply = run(client, keys, call)
        if failing:
            raise TimeoutError
        return reply

    monkeypatch.setattr(jobs, "run", fail_at_first)
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0.01)


@pytest.mark.parametrize("lost", [True, False], ids=["its reply was lost", "it was refused"])
def test_a_claim_is_repeated_until_it_is_heard_and_is_one_attempt(
    rig: Rig, serve: Start, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    """Three leases in a row that ran out unheard would be a dead letter that never ran."""
    fail_twice(monkeypatch, CLAIM, lost=lost)
    seen: list[int] = []
    serve(lambda event: seen.append(event.fence))
    rig.accept("1")
    stock(rig)
    row = rig.row(a_delivery())
    assert (row.state, row.attempts, row.crashes, seen) == ("done", 1, 0, [1])
    assert rig.scan("rq:job:*") == []


@pytest.mark.parametrize("lost", [True, False], ids=["its reply was lost", "it was refused"])
def test_recording_is_repeated_until_it_is_heard(
    rig: Rig, serve: Start, monkeypatch: pytest.MonkeyPatch, lines: Any, lost: bool
) -> None:
    fail_twice(monkeypatch, FINISH, lost=lost)
    seen: list[Event] = []

    def remember(event: Event) -> None:
        seen.append(event)

    serve(remember)
    rig.accept("1")
    stock(rig)
    assert (rig.row(a_delivery()).state, len(seen)) == ("done", 1)
    assert [line.get("stale") for line in lines if line["event"] == "attempt.done"] == [None]


def test_a_late_finisher_is_called_stale(rig: Rig, serve: Start, lines: Any) -> None:
    """Its lease ran out meanwhile, and somebody else has finished."""

    def loses_its_lease(event: Event) -> None:
        rig.pass_time(3_600_000)
        (held,) = rig.claim(taken=[(a_delivery(), "")])
        rig.finish(held)  # type: ignore[arg-type]

    serve(loses_its_lease, lease=3600.0)
    rig.accept("1")
    stock(rig)
    row = rig.row(a_delivery())
    assert (row.state, row.attempts, row.fence, row.crashes) == ("done", 2, 2, 1)
    assert [line.get("stale") for line in lines if line["event"] == "attempt.done"] == [True]
    assert FailedJobRegistry("github", connection=rig.redis).get_job_ids() == []
    assert rig.scan("rq:job:*") == []


def test_its_client_repeats_nothing_silently(rig: Rig, serve: Start) -> None:
    found: list[Any] = []
    serve(lambda event: found.append(jobs._client()))
    rig.accept("1")
    stock(rig)
    options = found[0].connection_pool.connection_kwargs
    assert options["retry"].get_retries() == 0
    assert options["socket_timeout"] == 5.0


def test_many_jobs_in_one_process_gather_no_threads(rig: Rig, serve: Start) -> None:
    async def coroutine(event: Event) -> None: ...

    serve(coroutine)
    rig.accept("first")
    stock(rig)
    before = threading.active_count()
    rig.accept(*(str(number) for number in range(30)))
    stock(rig)
    deadline = time.monotonic() + 60
    while threading.active_count() > before + 2:  # renewers on their way out
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("entry", "named"), [("deliver", a_delivery()), ("look", a_delivery().removeprefix("dlv_"))]
)
def test_a_job_that_an_earlier_release_queued_is_run_by_this_one(
    rig: Rig, serve: Start, entry: str, named: str
) -> None:
    """It names its delivery, by an entry point that therefore stays."""
    seen: list[Event] = []

    def remember(event: Event) -> None:
        seen.append(event)

    serve(remember)
    rig.accept("1")
    rig.redis.delete(rig.keys.queue("github"))
    queue = Queue("github", connection=rig.redis, serializer=JSONSerializer)
    queue.enqueue(f"gateway.jobs.{entry}", named, job_id=f"{a_delivery('1')}-1", result_ttl=0)
    stock(rig)
    assert [event.provider_id for event in seen] == ["1"]


def test_a_look_that_fails_is_shown_for_a_day(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(delivery: str) -> None:
        raise OSError(delivery)

    monkeypatch.setattr(jobs, "deliver", fail)
    rig.accept("1")
    stock(rig)
    score = rig.raw("ZSCORE", "rq:failed:github", f"{a_delivery()}-1")
    assert 86_000 < score - rig.now() / 1000 <= 86_400
