"""A worker's turns: it hears what the server did, asks for the next, and begins what it has leased; and
nothing is lost or run again where a question or its reply fails.
"""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError

from gateway.adapters.ledger import scripts
from gateway.adapters.ledger.scripts import CLAIM, FINISH, RENEW, Asked, Script
from gateway.adapters.worker import leases
from gateway.adapters.worker.bell import Bell
from gateway.adapters.worker.isolation import IsolatedEnd
from gateway.adapters.worker.runner import Runner
from gateway.adapters.worker.watchdog import Watchdog
from gateway.core.delivery import Finish
from gateway.core.outcomes import AttemptOutcome, DeliveryState
from gateway.process import Ready
from tests.adapters.ledger_rig import Rig, a_delivery, a_source
from tests.adapters.worker_rig import (
    AT_ONCE,
    Running,
    Seen,
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


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


def test_what_was_leased_runs_also_where_the_next_question_fails(
    rig: Rig, redis_url: str, in_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen()
    worker = a_worker(an_app(seen.processor()), redis_url)
    ask, fails = worker._leases.ask, iter([False, True])

    def ask_or_fail(*arguments: Any) -> None:
        if next(fails, False):
            raise RedisConnectionError
        ask(*arguments)

    monkeypatch.setattr(worker._leases, "ask", ask_or_fail)
    rig.accept("1")
    with Running(worker):
        until(lambda: seen.values == ["1"])
        until(lambda: rig.row(a_delivery()).state == DONE)


def test_what_ended_is_recorded_also_where_the_last_call_is_lost(
    rig: Rig, redis_url: str, in_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen()
    worker = a_worker(an_app(seen.processor()), redis_url)
    ask = worker._leases.ask

    def leave_instead(*arguments: Any) -> None:
        if not worker._leases.unrecorded:
            return ask(*arguments)
        monkeypatch.setattr(worker._leases, "hear", lost)
        raise ZeroDivisionError  # any reason to end

    def lost() -> NoReturn:
        raise RedisConnectionError

    monkeypatch.setattr(worker._leases, "ask", leave_instead)
    rig.accept("1")
    with pytest.raises(ZeroDivisionError):
        worker.work(burst=True)
    assert (rig.row(a_delivery()).state, seen.values) == (DONE, ["1"])


def test_what_the_last_call_leased_is_given_back_where_its_reply_is_lost(
    rig: Rig, redis_url: str, in_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen()
    worker = a_worker(an_app(seen.processor(), lease=3600.0), redis_url)
    ask, replies = worker._leases.ask, Asked.replies

    def ask_and_leave(*arguments: Any) -> NoReturn:
        ask(*arguments)
        monkeypatch.setattr(Asked, "replies", lost)
        raise ZeroDivisionError  # any reason to end

    def lost(asked: Asked) -> NoReturn:
        replies(asked)
        raise RedisConnectionError

    monkeypatch.setattr(worker._leases, "ask", ask_and_leave)
    rig.accept("1")
    with pytest.raises(ZeroDivisionError):
        worker.work(burst=True)
    row = rig.row(a_delivery())
    assert (row.state, row.fence, row.attempts, seen.values) == ("pending", 1, 0, [])


def test_what_is_leased_by_a_call_under_way_is_not_taken_for_unheard(
    rig: Rig, redis_url: str, in_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = a_worker(an_app(Seen().processor()), redis_url)
    beat, recover, fails = worker.beat, worker._leases.recover, iter([False, True])
    under_way: list[bool] = []

    def beat_or_fail(**options: Any) -> None:
        if worker._leases.under_way and next(fails, False):
            raise RedisConnectionError
        beat(**options)

    def recover_and_note(queues: Any) -> None:
        under_way.append(worker._leases.under_way)
        recover(queues)

    monkeypatch.setattr(worker, "beat", beat_or_fail)
    monkeypatch.setattr(worker._leases, "recover", recover_and_note)
    monkeypatch.setattr("gateway.adapters.worker.worker.BEAT_SECONDS", 0.0)
    monkeypatch.setattr("gateway.adapters.worker.worker.PAUSE_SECONDS", 0.0)
    with Running(worker):
        until(lambda: under_way)
    assert under_way == [False]


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
    monkeypatch.setattr("gateway.adapters.worker.attempts.run_isolated", Runner().start)
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
    monkeypatch.setattr("gateway.adapters.worker.attempts.run_isolated", crash)
    rig.accept("1", "2")
    trouble.refused[RENEW] = 2
    trouble.lost[RENEW] = 2
    drain(an_app(Seen().processor(), lease=3600.0), redis_url, isolate=True)
    for row in rows(rig, "1", "2"):
        assert (row.state, row.reason, row.crashes, row.attempts) == (DEAD, "poison", 3, 3)
    assert sum(line["event"] == "attempt.crashed" for line in lines) == 6


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
    worker._turns.in_doubt = True
    with Running(worker):
        until(lambda: watchdog.times > 2)
        assert worker._turns.in_doubt
    assert watchdog.stopped
