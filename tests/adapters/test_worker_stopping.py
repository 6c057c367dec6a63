"""How a worker stops: what runs may end, what has ended is recorded, and the rest is given back."""

import threading

import pytest
from redis import Redis

from gateway.core.outcomes import DeliveryState
from tests.adapters.ledger_rig import Rig, a_delivery
from tests.adapters.worker_rig import (
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
DONE = DeliveryState.DONE


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


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
