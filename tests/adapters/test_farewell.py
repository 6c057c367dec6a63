"""When a worker stops, and when it starts anew."""

import os
import signal

import pytest

from gateway.adapters.worker import farewell as module
from gateway.adapters.worker.farewell import Farewell
from tests.e2e.rig import until


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
