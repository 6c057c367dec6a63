"""When a worker stops, and when it starts anew."""

import os
import signal
import threading

import pytest
from redis import Redis

from gateway.adapters.worker import farewell as module
from gateway.adapters.worker.farewell import Farewell
from gateway.plugins import Event
from tests.adapters.ledger_rig import Rig, a_delivery
from tests.adapters.worker_rig import Running, a_worker, an_app, in_threads
from tests.e2e.rig import until

__all__ = ["in_threads"]


@pytest.fixture
def farewell() -> Farewell:
    return Farewell(60.0, lambda: None)


def rehearse_with(monkeypatch: pytest.MonkeyPatch, *command: str) -> None:
    monkeypatch.setattr(module, "REHEARSAL", command)


def test_the_first_signal_begins_and_the_second_ends_the_grace(farewell: Farewell) -> None:
    with farewell.signals():
        os.kill(os.getpid(), signal.SIGTERM)
        until(lambda: farewell.begun)
        assert not farewell.overdue
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: farewell.overdue)
    assert not farewell.restart


def test_handlers_are_as_before_afterwards(farewell: Farewell) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    with farewell.signals():
        assert signal.getsignal(signal.SIGHUP) is not before[1]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before


def ended_rehearsal(farewell: Farewell) -> bool:
    farewell.rehearse()
    return farewell._rehearsal is None


def reload(farewell: Farewell) -> None:
    """A SIGHUP, and the rehearsal to its end."""
    os.kill(os.getpid(), signal.SIGHUP)
    until(lambda: farewell._reload_asked)
    until(lambda: ended_rehearsal(farewell))


def test_a_reload_with_a_fault_is_refused_and_the_work_goes_on(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearse_with(monkeypatch, "false")
    with farewell.signals():
        reload(farewell)
    assert not farewell.begun
    assert not farewell.restart


def test_a_reload_without_a_fault_stops_in_order_to_start_anew(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearse_with(monkeypatch, "true")
    with farewell.signals():
        reload(farewell)
    assert farewell.begun
    assert farewell.restart


def test_an_end_that_is_asked_for_during_a_reload_is_an_end_with_its_grace(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearse_with(monkeypatch, "true")
    with farewell.signals():
        reload(farewell)
        assert farewell.restart
        os.kill(os.getpid(), signal.SIGTERM)
        until(lambda: farewell.signalled)
    assert not farewell.restart
    assert farewell.begun
    assert not farewell.overdue


def test_the_second_request_gives_back_what_runs_as_if_it_had_never_begun(
    redis: Redis, redis_url: str, in_threads: None
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def process(event: Event) -> None:
        begun.set()
        may_end.wait(60)

    rig = Rig(redis)
    rig.accept("1", processors=("process",))
    with Running(a_worker(an_app(process, grace=3600.0, lease=3600.0), redis_url)) as running:
        until(begun.is_set)
        running.ask_to_stop()
        until(lambda: running.worker.farewell.begun)
        running.ask_to_stop()
        running.join(60)
    may_end.set()
    row = rig.row(a_delivery())
    assert (row.state, row.attempts, row.crashes) == ("pending", 0, 0)
