"""A worker's turns: it hears what the server did, asks for the next, and begins what it has leased; and
nothing is lost or run again where a question or its reply fails.
"""

from typing import Any, NoReturn

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.core.outcomes import DeliveryState
from gateway.plugins import Event, Processor
from tests.adapters.ledger_rig import Rig, a_delivery
from tests.adapters.worker_rig import Running, a_processor, a_worker, an_app, in_threads, until

__all__ = ["in_threads"]
DONE = DeliveryState.DONE


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


def reads(seen: list[str]) -> Processor:
    def process(event: Event) -> None:
        seen.append(event.provider_id)

    return a_processor(process, name="archive")


def test_what_was_leased_runs_also_where_the_next_question_fails(
    rig: Rig, redis_url: str, in_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    worker = a_worker(an_app(reads(seen)), redis_url)
    ask, fails = worker._leases.ask, iter([False, True])

    def ask_or_fail(*arguments: Any) -> None:
        if next(fails, False):
            raise RedisConnectionError
        ask(*arguments)

    monkeypatch.setattr(worker._leases, "ask", ask_or_fail)
    rig.accept("1")
    with Running(worker):
        until(lambda: seen == ["1"])
        until(lambda: rig.row(a_delivery()).state == DONE)


def test_what_ended_is_recorded_also_where_the_last_call_is_lost(
    rig: Rig, redis_url: str, in_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    worker = a_worker(an_app(reads(seen)), redis_url)
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
    assert (rig.row(a_delivery()).state, seen) == (DONE, ["1"])


def test_what_is_leased_by_a_call_under_way_is_not_taken_for_unheard(
    rig: Rig, redis_url: str, in_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = a_worker(an_app(reads([])), redis_url)
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
